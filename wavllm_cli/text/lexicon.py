"""Words by what they mean, in `lexicon/*.yaml`: to teach a reader another word or language, add a line there.

A file maps names to phrases, those of each language under its code. A phrase is written as it is said, in lower case,
with `(a|b)` for one or the other, `a?` and `(a|b)?` after a word for what may be left out, `{name}` for any phrase of
that name in the same file, `word*` for any ending, `*` for any word, and `…` for up to `GAP` characters of the same
sentence. It is found as whole words; where scripts put no spaces between words, anywhere.
"""

import re
from collections.abc import Iterable, Mapping
from functools import cache
from importlib.resources import files

import yaml

from wavllm_cli.errors import WavLLMError
from wavllm_cli.text.normalize import UNSPACED

GAP = 80  # characters
MAX_DEPTH = 5  # of names within names

# Of scripts that put spaces between words. To ignore the case of whole scripts takes long to compile.
_LETTER = rf"(?-i:[^\W{UNSPACED.pattern[1:-2]}])"
_TOKEN = re.compile(r"(?P<space>\s+)|(?P<open>\()|(?P<close>\)\??)|(?P<mark>[|…])|(?P<word>[^\s(|)…?]+\??)")
_MARKS = {"|": "|", "…": rf"[^.!?\n]{{0,{GAP}}}?"}

Lexicon = Mapping[str, Mapping[str, tuple[str, ...]]]  # name -> language -> phrases


def parse(text: str, source: str) -> Lexicon:
    """A lexicon out of YAML.

    Raises:
        WavLLMError: it is no mapping of names to languages to lists of phrases; the message says where.
    """
    try:
        content = yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except yaml.YAMLError as error:
        raise WavLLMError(f"{source} is no YAML: {error}") from None
    if not isinstance(content, dict):
        raise WavLLMError(f"{source} has to map names to languages to lists of phrases.")
    for name, languages in content.items():
        for code, phrases in languages.items() if isinstance(languages, dict) else [("", None)]:
            where = f"{source}: {name}{'.' if code else ''}{code}"
            if not isinstance(phrases, list) or not phrases:
                raise WavLLMError(f"{where} has to be a list of phrases under the code of their language.")
            for phrase in phrases:
                if not isinstance(phrase, str) or not phrase.strip() or phrase != phrase.lower():
                    raise WavLLMError(f"{where}: {phrase!r} is no text in lower case (no and yes need quotes).")
    return {name: {code: tuple(phrases) for code, phrases in by.items()} for name, by in content.items()}


@cache
def lexicon(file: str) -> Lexicon:
    """The lexicon `lexicon/FILE.yaml`."""
    path = files("wavllm_cli.text").joinpath("lexicon", f"{file}.yaml")
    return parse(path.read_text(encoding="utf-8"), f"{file}.yaml")


def phrases(file: str, name: str) -> tuple[str, ...]:
    """The phrases of a name in all languages."""
    return tuple(phrase for of_language in lexicon(file)[name].values() for phrase in of_language)


@cache
def pattern(file: str, *names: str) -> re.Pattern[str]:
    """What finds any phrase of these names in text, upper case or lower; it has no groups."""
    return re.compile(source(file, *names), re.IGNORECASE)


def source(file: str, *names: str) -> str:
    """The same as the source of a regular expression, to be a part of another one."""
    return any_of((phrase for name in names for phrase in phrases(file, name)), lexicon(file))


def any_of(said: Iterable[str], among: Lexicon | None = None) -> str:
    """The source of a regular expression for any of these phrases, the longest first."""
    longest_first = sorted(said, key=lambda phrase: -len(phrase))
    anywhere = [phrase for phrase in longest_first if UNSPACED.match(phrase)]
    whole = [phrase for phrase in longest_first if phrase not in anywhere]
    found = [_expanded(phrase, among or {}, 0) for phrase in anywhere]
    if whole:
        alternatives = "|".join(_expanded(phrase, among or {}, 0) for phrase in whole)
        found.insert(0, f"(?<!{_LETTER})(?:{alternatives})(?!{_LETTER})")
    return f"(?:{'|'.join(found)})"


def _expanded(phrase: str, among: Lexicon, depth: int) -> str:
    """The phrase as a regular expression; the space before what may be left out is left out with it."""
    if depth > MAX_DEPTH:
        raise WavLLMError(f"'{phrase}' names itself.")
    parts, space = [], ""
    for token in _TOKEN.finditer(phrase):
        said = token[0]
        if token["space"]:
            space = r"\s+"
            continue
        if token["open"]:
            parts.append(rf"(?:{space}(?:")
        elif token["close"]:
            parts.append("))" + said[1:])
        elif token["mark"]:
            parts.append(_MARKS[said])
        else:
            word = _word(said.rstrip("?"), among, depth)
            parts.append(rf"(?:{space}{word})?" if said.endswith("?") else space + word)
        space = ""
    return "".join(parts)


def _word(word: str, among: Lexicon, depth: int) -> str:
    if word == "*":
        return r"\S+"
    if word[0] == "{":
        inner = (phrase for by in among[word.strip("{}")].values() for phrase in by)
        return "(?:" + "|".join(_expanded(phrase, among, depth + 1) for phrase in inner) + ")"
    return re.escape(word).replace(r"\*", r"\w*")
