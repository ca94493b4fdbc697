"""Sentences of open English: a text file's, or the usage examples of WordNet's glosses."""

import re
from collections.abc import Iterable, Iterator
from hashlib import sha256
from pathlib import Path

from wavllm_cli.data.files import shown, why_unreadable
from wavllm_cli.data.text_file import text_lines
from wavllm_cli.errors import UsageError

WORDNET = ("data.noun", "data.verb", "data.adj", "data.adv")
WORDS = (4, 16)
_EXAMPLE = re.compile(r'"([^"]+)"')
_NOT_SPOKEN = re.compile(r"[^a-z' ]+")
_PUNCTUATION = re.compile(r"[^\w\s']+|_")


def read(path: Path) -> list[str]:
    """Different sentences of a text file with one a line, or of a folder with WordNet's files, ordered by content.

    Sentences are in lower case without punctuation; those with digits or other signs, and those that are too short or
    too long to be spoken at a stretch, are left out.

    Raises:
        UsageError: there is no such file or folder, or no sentence in it.
    """
    found = of_a_length(_texts(path))
    if not found:
        raise UsageError(f"{shown(path)} has no sentence of {WORDS[0]} to {WORDS[1]} words in English letters.")
    return found


def of_a_length(texts: Iterable[str]) -> list[str]:
    """Those of some transcripts that are sentences as `read` gives them, in its order."""
    return _ordered(filter(None, map(_plain, texts)))


def files_of(path: Path) -> list[Path]:
    """The files that sentences are read from."""
    return [path / name for name in WORDNET if (path / name).is_file()] if path.is_dir() else [path]


def _ordered(some: Iterable[str]) -> list[str]:
    return sorted(set(some), key=lambda one: sha256(one.encode()).digest())


def _texts(path: Path) -> Iterable[str]:
    if path.is_dir():
        files = files_of(path)
        if not files:
            raise UsageError(f"{shown(path)} holds none of WordNet's files {', '.join(WORDNET)}.")
        return (example for file in files for example in _examples(file))
    if why := why_unreadable(path):
        raise UsageError(f"--sentences {shown(path)} {why}.")
    return text_lines(path)


def _examples(file: Path) -> Iterator[str]:
    """What stands in quotes in the glosses, which follow a bar."""
    for line in file.read_text(encoding="latin-1").splitlines():
        yield from _EXAMPLE.findall(line.partition(" | ")[2])


def _plain(text: str) -> str | None:
    """The sentence as it is transcribed; None where it is not one that can be said as it stands."""
    words = _PUNCTUATION.sub(" ", text.lower()).split()
    sentence = " ".join(words)
    low, high = WORDS
    if _NOT_SPOKEN.search(sentence) or not low <= len(words) <= high:
        return None
    return None if any(word != word.strip("'") for word in words) else sentence
