"""Named text normalisers. The name of the one that was used is part of every score's signature."""

import json
import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from itertools import chain

import yaml

from wavllm_cli.errors import UsageError, nearest

APOSTROPHES = str.maketrans(dict.fromkeys("\u2018\u2019\u02bc\uff07", "'"))
LIGATURES = str.maketrans({"æ": "ae", "œ": "oe", "ß": "ss"})
# Runs of scripts that put no spaces between words: Thai, Lao, Burmese, Khmer, kana, Han.
UNSPACED = re.compile(r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff]+")


TURKIC = ("tr", "tur", "turkish", "az", "aze", "azerbaijani")  # an I with a dot and one without are two letters
_TURKIC_LOWER = str.maketrans({"I": "ı", "İ": "i"})
_LETTER = re.compile(r"[^\W\d_]")
_NOT_LATIN = re.compile(r"[^\W\d_\u0000-\u024f\u1e00-\u1eff]")
_WITH_SIGNS = re.compile(r"[\u0900-\u109f\u1780-\u17ff]")  # scripts from Devanagari to Khmer, whose vowels are marks


@dataclass(frozen=True)
class Normalizer:
    """A named function from text to text.

    Attributes:
        language: a code or a name, for upper and lower case; None: not known.
    """

    name: str
    description: str
    apply: Callable[[str], str]
    language: str | None = None

    def __call__(self, text: str) -> str:
        return self.apply(text.translate(_TURKIC_LOWER) if self._is_turkic else text)

    @property
    def signature(self) -> str:
        return f"{self.name}|case:tr" if self._is_turkic else self.name

    @property
    def _is_turkic(self) -> bool:
        return self.language in TURKIC and self.name != "none"


def erases(text: str, normalized: str) -> bool:
    """Whether a normaliser has taken away what tells words apart: letters of a script that it does not know, or signs
    of vowels. Accents, punctuation and what stands in brackets of a Latin text are not that.
    """
    if text.isascii():
        return False
    letters = len(_NOT_LATIN.findall(text)) - len(_NOT_LATIN.findall(normalized))
    signs = _signs(text)
    return 2 * letters > len(_LETTER.findall(text)) or 2 * (signs - _signs(normalized)) > signs


def _signs(text: str) -> int:
    return sum(unicodedata.category(c)[0] == "M" for c in _WITH_SIGNS.findall(text))


class _PunctuationToSpace(dict[int, int | str | None]):
    """A table for `str.translate`, filled as characters are met: Unicode categories P* and S* become a space, Cf (such
    as zero-width spaces, soft hyphens, byte order marks) nothing."""

    def __missing__(self, code: int) -> int | str | None:
        category = unicodedata.category(chr(code))
        self[code] = None if category == "Cf" else " " if code != ord("'") and category[0] in "PS" else code
        return self[code]


_punctuation_to_space = _PunctuationToSpace()
_spelling_kept = _PunctuationToSpace({ord(letter): letter for letter in "\u00b7\u200c\u200d"})
_OWN = "\ue000"  # stands for an apostrophe that no quotation mark can be a pair with
_QUOTED = re.compile(r"(?<!\S)'(\S|\S.*?\S)'(?!\S)")


def without_format(text: str) -> str:
    """A text without characters that show nothing (Unicode's Cf); and İ in lower case, one letter where Python has two:
    `"Donau\u00addampf İ"` -> `"Donaudampf i"`."""
    if text.isascii():
        return text
    return "".join(c for c in text.replace("İ", "i") if unicodedata.category(c) != "Cf")


def basic(text: str) -> str:
    """`"Don’t -- well-known, GRÖSSE!"` -> `"don't well known grösse"`, composed (NFC) whatever the input was."""
    text = text.replace("İ", "i").lower()
    text = unicodedata.normalize("NFC", text).translate(APOSTROPHES).translate(_punctuation_to_space)
    if "'" in text:  # most texts have none, and the search takes longer than all the rest
        text = re.sub(r"(?<!\S)'+|'+(?!\S)", " ", text)
    return " ".join(text.split())


def as_spoken(text: str, language: str | None = None) -> str:
    """What a recogniser is to write for a text as people write it: `"‘Don’t,’ the boys’ 2 dogs said."` ->
    `"don't the boys' 2 dogs said"`.

    As `basic`, but apostrophes at the edge of a word stay unless they are a pair of quotation marks (those of 'tis and
    its like, in `elisions.yaml`, are none), and so does what
    belongs to the spelling of a word: the dot of Catalan, the joiners of Persian and of India.

    Args:
        text: with upper case and punctuation.
        language: its code, for upper and lower case.
    """
    if language and language.split("-")[0].lower() in TURKIC:
        text = text.translate(_TURKIC_LOWER)
    text = unicodedata.normalize("NFC", text.replace("İ", "i").lower()).translate(APOSTROPHES)
    text = " ".join(text.translate(_spelling_kept).replace("''", " ").split())
    text = _elided(language.split("-")[0].lower() if language else None).sub(_OWN, text)
    text = _QUOTED.sub(r"\1", text).replace(_OWN, "'")
    return " ".join(word for word in text.split() if any(map(str.isalnum, word)))


@cache
def _elided(language: str | None) -> re.Pattern[str]:
    """The apostrophe before a word whose beginning is left out; in any language where it is not known which."""
    path = files("wavllm_cli.text").joinpath("elisions.yaml")
    known: dict[str, list[str]] = yaml.safe_load(path.read_text(encoding="utf-8"))
    words = known.get(language, ()) if language else chain(*known.values())
    return re.compile(rf"(?<!\S)'(?=(?:{'|'.join(words) or '(?!)'})(?!\w))")


def librispeech(text: str) -> str:
    """`"Señor, the boys’ 2 dogs"` -> `"senor the boys' 2 dogs"`.

    The corpus writes A-Z and apostrophes, also at the edge of a word. A digit can never match it; digits stay so that
    an unspelled number counts as a substitution instead of vanishing.
    """
    text = without_format(text).translate(APOSTROPHES).lower().translate(LIGATURES)
    text = unicodedata.normalize("NFKD", text)
    text = "".join(c for c in text if not unicodedata.combining(c))
    return " ".join(re.sub(r"[^a-z0-9']", " ", text).split())


def whisper_english(text: str) -> str:
    """`"Mr. Smith's colour won't cost $20"` -> `"mister smith is color will not cost $20"`; fillers such as "uh" go."""
    return _whisper_english()(without_format(text)).strip()


def whisper_basic(text: str) -> str:
    """`"(laughs) Größe, 20%"` -> `"größe 20"`: Whisper's for every other language; words in brackets are left out."""
    return _whisper_basic()(without_format(text)).strip()


@cache
def _whisper_english() -> Callable[[str], str]:
    from transformers.models.whisper.english_normalizer import EnglishTextNormalizer

    spellings = files("whisper_normalizer").joinpath("normalizers", "english.json").read_text(encoding="utf-8")
    return EnglishTextNormalizer(json.loads(spellings))


@cache
def _whisper_basic() -> Callable[[str], str]:
    from transformers.models.whisper.english_normalizer import BasicTextNormalizer

    return BasicTextNormalizer()


NORMALIZERS = {
    n.name: n
    for n in (
        Normalizer("none", "the text as it is", lambda text: text),
        Normalizer("lower", "lower case, nothing else", str.lower),
        Normalizer("basic", "lower case, no punctuation or symbols but apostrophes within words, single spaces", basic),
        Normalizer(
            "librispeech", "LibriSpeech's alphabet: a-z and apostrophes, accents dropped (digits stay)", librispeech
        ),
        Normalizer("whisper-english", "Whisper's for English: one spelling, no contractions, digits", whisper_english),
        Normalizer("whisper-basic", "Whisper's for other languages: no punctuation, no brackets", whisper_basic),
    )
}


def get_normalizer(name: str) -> Normalizer:
    """Look a normaliser up by name.

    Raises:
        UsageError: no normaliser is called so; the message names the nearest one and all others.
    """
    if name in NORMALIZERS:
        return NORMALIZERS[name]
    meant = nearest(name, NORMALIZERS, 0)
    raise UsageError(f"unknown normaliser '{name}': did you mean '{meant}'? There are {', '.join(NORMALIZERS)}.")


def normalizers_named(name: str) -> list[Normalizer]:
    """The normaliser of that name; all of them for "all".

    Raises:
        UsageError: as `get_normalizer`.
    """
    return list(NORMALIZERS.values()) if name == "all" else [get_normalizer(name)]
