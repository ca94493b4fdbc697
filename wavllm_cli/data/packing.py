"""How many utterances are heard at once, in training and in inference."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Limits:
    """A batch is full at either limit; padding counts towards the seconds."""

    max_seconds: float
    max_utterances: int


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
