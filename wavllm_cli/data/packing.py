"""How many utterances are heard at once, in training and in inference."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Limits:
    """A batch is full at any limit; padding counts towards the seconds and the tokens."""

    max_seconds: float
    max_utterances: int
    max_tokens: int | None = None  # None: of any length


def pack(seconds: Sequence[float], limits: Limits) -> list[list[int]]:
    """Indices of utterances, sorted by duration and cut into batches within the limits.

    An utterance longer than the limit alone makes a batch by itself.
    """
    batches: list[list[int]] = []
    for index in np.argsort(seconds, kind="stable").tolist():
        longest = seconds[index]  # sorted: the newest is the longest
        full = not batches or (
            len(batches[-1]) == limits.max_utterances or longest * (len(batches[-1]) + 1) > limits.max_seconds
        )
        if full:
            batches.append([])
        batches[-1].append(index)
    return batches


def pack_tokens(tokens: Sequence[int], seconds: Sequence[float], limits: Limits) -> list[list[int]]:
    """Indices of utterances, sorted by tokens, then by duration, and cut into batches within all three limits.

    Text is no audio: rows of 0 seconds are not padded to the longest clip. An utterance beyond a limit alone makes a
    batch by itself.
    """
    assert limits.max_tokens is not None
    batches: list[list[int]] = []
    clips, longest = 0, 0.0  # of the newest batch
    for index in np.lexsort((seconds, tokens)).tolist():
        clips, longest = clips + (seconds[index] > 0), max(longest, seconds[index])
        rows = len(batches[-1]) + 1 if batches else 0
        fits = tokens[index] * rows <= limits.max_tokens and longest * clips <= limits.max_seconds
        if not batches or rows > limits.max_utterances or not fits:
            batches.append([])
            clips, longest = int(seconds[index] > 0), seconds[index]
        batches[-1].append(index)
    return batches
