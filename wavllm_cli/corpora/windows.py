"""Stretches of a conversation that are short enough for a model, with who says what in them."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Annotated

from wavllm_cli.data.pieces import Turn
from wavllm_cli.errors import UsageError

KIND = "windows"  # of the manifests: train-windows.jsonl
SHORTEST = 5  # seconds

Windows = Annotated[
    int | None,
    "Write SPLIT-windows.jsonl, too: stretches of so many seconds at most (60 suits) with the turns of all speakers, "
    "for `gen-prompts questions`.",
]


@dataclass(frozen=True)
class Window:
    """A stretch that begins and ends with speech, and cuts nobody off.

    Args:
        start: seconds.
        end: seconds.
        turns: of the conversation, by their start; their times are those of the conversation.
    """

    start: float
    end: float
    turns: list[Turn]

    @property
    def inner_turns(self) -> list[Turn]:
        """The turns with times that count from the window's start, as a row has them."""
        return [turn.model_copy(update={"start": round(turn.start - self.start, 3)}) for turn in self.turns]


def require_length(seconds: int | None) -> None:
    """Find out before the work that windows are too short to hold anything.

    Raises:
        UsageError: says what there can be.
    """
    if seconds is not None and seconds < SHORTEST:
        raise UsageError(f"--windows {seconds} is too short: {SHORTEST} seconds are the least, 60 suit.")


def windows(turns: Iterable[Turn], longest: float) -> Iterator[Window]:
    """As few windows as hold all turns; between two of them nobody speaks.

    What is said without a pause for longer than a window is yielded as one that is longer than `longest`.
    """
    window: Window | None = None
    for stretch in _without_pause(turns):
        if window and stretch.end - window.start <= longest:
            window = Window(window.start, stretch.end, window.turns + stretch.turns)
            continue
        if window:
            yield window
        window = stretch
    if window:
        yield window


def _without_pause(turns: Iterable[Turn]) -> Iterator[Window]:
    """Turns that overlap or follow each other at once, together."""
    stretch: Window | None = None
    for turn in sorted(turns, key=lambda turn: (turn.start, turn.duration, turn.speaker)):
        end = turn.start + turn.duration
        if stretch and turn.start < stretch.end:
            stretch = Window(stretch.start, max(stretch.end, end), [*stretch.turns, turn])
            continue
        if stretch:
            yield stretch
        stretch = Window(turn.start, end, [turn])
    if stretch:
        yield stretch
