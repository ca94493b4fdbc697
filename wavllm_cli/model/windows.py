"""A long clip cut into overlapping windows, so that an encoder with attention over all of it stays bounded.

Frames are counted from 0. Each window is computed with the audio on both sides of what is kept of it, so that a frame
sees at least `context` frames in either direction, as far as the clip goes.
"""

from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class Window:
    """Frames `start` to `end` are computed, of which `first` to `last` are kept (ends not included)."""

    start: int
    end: int
    first: int
    last: int


def windows(frames: int, most: int, context: int) -> Iterator[Window]:
    """Cut `frames` into windows of `most` frames, the last one moved back to end with the clip.

    Args:
        frames: of the clip, more than `most`.
        most: frames of a window, more than twice `context`.
        context: frames that are computed on either side of what is kept.
    """
    starts = [*range(0, frames - most, most - 2 * context), frames - most]
    cuts = [0, *(start + context for start in starts[1:]), frames]
    for start, first, last in zip(starts, cuts, cuts[1:], strict=False):
        yield Window(start, start + most, first, last)
