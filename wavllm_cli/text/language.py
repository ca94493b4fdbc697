"""Which language a text is in, by py3langid among those of `languages.LANGUAGES`."""

import re
from functools import cache, lru_cache
from itertools import chain
from typing import TYPE_CHECKING

from wavllm_cli.text.languages import LANGUAGES, language_code
from wavllm_cli.text.lexicon import any_of, lexicon

if TYPE_CHECKING:
    from py3langid.langid import LanguageIdentifier

SHORT = 40  # characters; below, a language that comes close counts too
CLOSE = 0.15  # probability
ENOUGH = 1000  # characters to tell a language by; more take time and change nothing

_KANA = re.compile(r"[\u3040-\u30ff]")
_HAN = re.compile(r"[\u3400-\u4dbf\u4e00-\u9fff]")
_HANGUL = re.compile(r"[\uac00-\ud7af]")
_UNSPACED = {  # scripts of one language each, that put no spaces between words
    "th": re.compile(r"[\u0e00-\u0e7f]"),
    "lo": re.compile(r"[\u0e80-\u0eff]"),
    "my": re.compile(r"[\u1000-\u109f]"),
    "km": re.compile(r"[\u1780-\u17ff]"),
}
_LETTER = re.compile(r"[^\W\d_]")


def language_of(text: str, among_all: bool = False) -> str | None:
    """The code of the likeliest language; None where there is not a letter to tell by.

    Args:
        text: any.
        among_all: any of the 97 languages that py3langid knows may be the likeliest.
    """
    if not _LETTER.search(text):
        return None
    return by_script(text) or _identifier(among_all).classify(text[:ENOUGH])[0]


def is_in(text: str, language: str) -> bool:
    """Whether a text can pass for one in this language; short ones are given the benefit of the doubt.

    Args:
        text: any.
        language: a code or an English name. Of a language that py3langid does not know, every text may be.
    """
    code = language_code(language)
    if code not in _identifier_codes() or not _LETTER.search(text):
        return True
    script = by_script(text)
    if script:
        return script == code
    ranking = _identifier().rank(text[:ENOUGH])
    return ranking[0][0] == code or (len(text) < SHORT and dict(ranking)[code] >= CLOSE)


@lru_cache(maxsize=1024)
def named_in(instruction: str) -> str | None:
    """The code of the last language that an instruction names: "translate the French text into German" -> "de"."""
    found = [(match.start(), code) for code, names in _names() for match in names.finditer(instruction)]
    return max(found)[1] if found else None


def languages_replaced(instruction: str, by: str) -> str:
    """With something else in the place of every language that it names."""
    for _, names in _names():
        instruction = names.sub(by, instruction)
    return instruction


@cache
def _names() -> list[tuple[str, re.Pattern[str]]]:
    """How languages are called: in English, and some in others."""
    others = lexicon("languages")
    return [
        (code, re.compile(any_of([name.lower(), *chain(*others.get(code, {}).values())]), re.IGNORECASE))
        for code, name in LANGUAGES.items()
    ]


def by_script(text: str) -> str | None:
    """Chinese, Japanese, Korean, Thai, Lao, Burmese and Khmer show by their characters: a third of them will do."""
    letters = len(_LETTER.findall(text))
    for code, script in _UNSPACED.items():
        if letters and 3 * len(script.findall(text)) >= letters:
            return code
    cjk = len(_HAN.findall(text)) + len(_KANA.findall(text)) + len(_HANGUL.findall(text))
    if 3 * cjk < letters or not cjk:
        return None
    if _HANGUL.search(text):
        return "ko"
    return "ja" if _KANA.search(text) else "zh"


@cache
def _identifier(among_all: bool = False) -> "LanguageIdentifier":
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    identifier = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
    if not among_all:
        identifier.set_languages(_identifier_codes())
    return identifier


def _identifier_codes() -> set[str]:
    return {*LANGUAGES, "ko"}
