"""Transcripts of consecutive segments, put together so that no word is lost and none stands twice."""

from collections.abc import Sequence
from difflib import SequenceMatcher

from wavllm_cli.text.normalize import basic

WORDS_A_SECOND = 5  # of fast speech; what two segments share holds no more


def joined(texts: Sequence[str], shared: Sequence[float]) -> str:
    """One text of many.

    Args:
        texts: of the segments, in order.
        shared: seconds that a segment shares with the one before; 0 where it was cut in a pause.
    """
    words: list[str] = []
    for text, seconds in zip(texts, shared, strict=True):
        following = text.split()
        left, right = overlap(words, following, round(seconds * WORDS_A_SECOND)) if seconds else (0, 0)
        words = words[: len(words) - left] + following[right:]
    return " ".join(words)


def overlap(before: Sequence[str], after: Sequence[str], most: int) -> tuple[int, int]:
    """How many words to leave out at the end of one text and at the start of the next, where both heard the same.

    The longest run of words that both have, among the last and first `most`, is kept once. A word that was cut in two
    at the end of one text or at the start of the other lies outside it, and goes. A run that is shorter than what
    would go is chance: then all words stay.
    """
    end, start = [basic(word) for word in before[-most:]], [basic(word) for word in after[:most]]
    run = SequenceMatcher(None, end, start, autojunk=False).find_longest_match()
    cut = len(end) - run.a - run.size
    return (cut, run.b + run.size) if run.size >= cut + run.b else (0, 0)
