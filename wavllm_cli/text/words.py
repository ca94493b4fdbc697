"""The words of a text in any script; those of scripts that put no spaces between words are their characters."""

import re
from collections.abc import Sequence
from functools import cache, lru_cache

from wavllm_cli.text.lexicon import phrases
from wavllm_cli.text.normalize import UNSPACED, basic

_WORD = re.compile(r"\w(?:[^\s—–]*\w)?")


@lru_cache(maxsize=4096)
def words(text: str) -> tuple[str, ...]:
    """ "Don't stop! 你好" -> ("don't", "stop", "你", "好")."""
    return tuple(UNSPACED.sub(lambda run: f" {' '.join(run[0])} ", basic(text)).split())


def count_words(text: str) -> int:
    """Words as a reader counts them, "mother-in-law" for one; in scripts without spaces, two characters are one."""
    if text.isascii():
        return len(_WORD.findall(text))
    unspaced = sum(map(len, UNSPACED.findall(text)))
    return len(_WORD.findall(UNSPACED.sub(" ", text))) + (unspaced + 1) // 2


def is_unspaced(text: str) -> bool:
    """Whether most letters of a text are of scripts that put no spaces between words."""
    unspaced = sum(map(len, UNSPACED.findall(text)))
    return 2 * unspaced > sum(map(str.isalnum, text)) if unspaced else False


@lru_cache(maxsize=4096)
def stems(text: str) -> frozenset[str]:
    """What texts on the same matter share: how words begin, and pairs of characters in scripts without spaces."""
    text = basic(text)
    pairs = {run[i : i + 2] for run in UNSPACED.findall(text) for i in range(len(run) - 1)}
    return frozenset(pairs | {word[:5] for word in UNSPACED.sub(" ", text).split()})


def with_digits(text: str) -> str:
    """Numbers below a hundred as digits: "Twenty-two degrees" -> "22 degrees"; normalised as by `basic`."""
    text = _TENS_AND_ONES.sub(lambda match: str(NUMBERS[match[1]] + NUMBERS[match[2]]), basic(text))
    return " ".join(str(NUMBERS.get(word, word)) for word in text.split())


ONES = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
TEENS = ("ten", "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen")
TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
NUMBERS = {"zero": 0} | {word: n for n, word in enumerate(ONES + TEENS, 1)}
NUMBERS |= {word: 10 * n for n, word in enumerate(TENS, 2)}
_TENS_AND_ONES = re.compile(rf"\b({'|'.join(TENS)}) ({'|'.join(ONES)})\b")


@cache
def _fillers() -> frozenset[str]:
    return stems(" ".join(phrases("fillers", "fillers")))


def content(text: str) -> frozenset[str]:
    """The stems of a text that carry its matter: all but fillers."""
    return stems(text) - _fillers()


def common(a: Sequence[str], b: Sequence[str]) -> int:
    """Words of the longest common subsequence."""
    from rapidfuzz.distance import LCSseq

    return LCSseq.similarity(a, b)


def share_in(said: Sequence[str], source: Sequence[str]) -> float:
    """The share of words that stand in the source in the same order."""
    return common(said, source) / len(said) if said else 0.0
