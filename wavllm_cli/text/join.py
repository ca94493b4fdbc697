"""Transcripts of consecutive segments, put together so that no word is lost and none stands twice.

They are compared unit by unit: words, and in scripts that put no spaces between words characters.
"""

import re
from collections.abc import Sequence
from difflib import SequenceMatcher

from wavllm_cli.text.normalize import UNSPACED, basic

WORDS_A_SECOND = 5  # of fast speech; what two segments share holds no more
CHARACTERS_A_SECOND = 15  # likewise, where they are the units: Chinese has up to 8, Thai up to 15
_CHARACTER = UNSPACED.pattern.removesuffix("+")
_UNIT = re.compile(rf"\s*(?:{_CHARACTER}|[^\s{_CHARACTER[1:-1]}]+)")


def joined(texts: Sequence[str], shared: Sequence[float]) -> str:
    """One text of many.

    Args:
        texts: of the segments, in order.
        shared: seconds that a segment shares with the one before; 0 where it was cut in a pause.
    """
    whole: list[str] = []
    for text, seconds in zip(texts, shared, strict=True):
        following = units(text)
        left, right = overlap(whole, following, most_units(following, seconds)) if seconds else (0, 0)
        whole, following = whole[: len(whole) - left], following[right:]
        if whole and following:
            follows = following[0].strip()
            has_space = not (UNSPACED.match(follows) or UNSPACED.match(whole[-1][-1]))
            following[0] = f" {follows}" if has_space else follows
        whole += following
    return "".join(whole).strip()


def units(text: str) -> list[str]:
    """Words and, of some scripts, characters; each with the blank before it: together they are the text."""
    return [f" {unit.lstrip()}" if unit[0].isspace() else unit for unit in _UNIT.findall(text.strip())]


def most_units(some: Sequence[str], seconds: float) -> int:
    """How many units there are in so many seconds at most, where they are like some."""
    by_character = any(UNSPACED.match(unit.lstrip()) for unit in some)
    return round(seconds * (CHARACTERS_A_SECOND if by_character else WORDS_A_SECOND))


def overlap(before: Sequence[str], after: Sequence[str], most: int) -> tuple[int, int]:
    """How many units to leave out at the end of one text and at the start of the next, where both heard the same.

    The longest run that both have, among the last and first `most`, is kept once. A word that was cut in two
    at the end of one text or at the start of the other lies outside it, and goes. A run that is shorter than what
    would go is chance: then all stay.
    """
    end, start = [basic(word) for word in before[-most:]], [basic(word) for word in after[:most]]
    run = SequenceMatcher(None, end, start, autojunk=False).find_longest_match()
    cut = len(end) - run.a - run.size
    return (cut, run.b + run.size) if run.size >= cut + run.b else (0, 0)
