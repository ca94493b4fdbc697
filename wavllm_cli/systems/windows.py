"""Long recordings: a system is asked about windows of what is longer than it takes, cut at pauses.

Transcripts and translations go window by window. Any other instruction is followed in each window, and once more
for what came of them, see `reduction.py`. A clip that the system takes is handed on untouched.
"""

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NoReturn
from weakref import WeakKeyDictionary

import numpy as np

from wavllm_cli import console
from wavllm_cli.data.audio import SAMPLE_RATE, is_silent
from wavllm_cli.data.packing import Limits, pack
from wavllm_cli.data.pauses import OVERLAP, segments
from wavllm_cli.data.voice import find_detector
from wavllm_cli.prompts.plain_requests import plain_task
from wavllm_cli.systems import asking
from wavllm_cli.systems.base import Answer, Failure, Item, Options, System
from wavllm_cli.systems.fingerprint import Fingerprint
from wavllm_cli.systems.reduction import Note, Part, put_together, reduced
from wavllm_cli.tasks.registry import IN_ORDER
from wavllm_cli.text.join import joined, most_units, units

SHORTEST = 2 * OVERLAP  # seconds; a window must be longer
UTTERANCES = 16  # windows at once, where nobody has said how many

Outcomes = Mapping[str, Answer | Failure]


@dataclass(frozen=True)
class Window:
    """A part of an item's clip, as an item of its own.

    Attributes:
        start, end: seconds from the start of the clip.
        shared: seconds of it that the window before holds too.
    """

    item: Item
    start: float
    end: float
    shared: float


@dataclass
class Prepared:
    """Items that are asked about as they are, and the windows of the others by the item's id."""

    whole: asking.Prepared
    cut: dict[str, list[Window]]


class Windows(System):
    """Another system, with clips of any length."""

    def __init__(self, system: System):
        self.system, self.name, self.device = system, system.name, system.device
        self.converses = system.converses
        self._limits: Limits | None = None
        self._cut: WeakKeyDictionary[Item, float | None] = WeakKeyDictionary()  # by `window_seconds`, of items in use

    @classmethod
    def open(cls, options: Options) -> NoReturn:
        raise TypeError("Windows are put around a system that is open.")

    def load(self) -> None:
        self.system.load()

    def fingerprint(self) -> Fingerprint:
        return self.system.fingerprint()

    def settings_about(self, seconds: float) -> dict[str, Any]:
        inner = self.system.settings_about(seconds)
        if seconds <= self.system.longest_clip:
            return inner
        cut_by = "loudness" if find_detector() is None else "voice"
        return inner | {"windows": f"of {self._longest_window:g} s, cut by {cut_by}"}

    # --- what is cut ---

    def window_seconds(self, item: Item) -> float | None:
        """How long the windows of an item are at most; None where it is asked about as it is.

        That is also so where not even short windows would have room, and where the question is in the clip itself.

        Raises:
            Exception: whatever the system raises of an instruction that it cannot read.
        """
        if item not in self._cut:
            self._cut[item] = self._fitting(item)
        return self._cut[item]

    def _fitting(self, item: Item) -> float | None:
        seconds = item.length / SAMPLE_RATE
        if not item.prompt or (seconds <= self.system.longest_clip and self.system.problem(item) is None):
            return None
        most = self._longest_window
        while most > SHORTEST:
            if most < seconds and self.system.problem(_beginning(item, most)) is None:
                return most
            most /= 2
        return None

    @property
    def _longest_window(self) -> float:
        return min(self.system.window, self.system.longest_clip)

    def problem(self, item: Item) -> str | None:
        return self.system.problem(item) if self.window_seconds(item) is None else None

    def memory_problem(self, item: Item) -> str | None:
        most = self.window_seconds(item)
        return self.system.memory_problem(item if most is None else _beginning(item, most))

    def batch_limits(self, utterances: int) -> Limits:
        """As many windows go together as a user allows clips."""
        self._limits = self.system.batch_limits(utterances)
        return self._limits

    # --- what goes wrong ---

    def is_out_of_memory(self, error: Exception) -> bool:
        return self.system.is_out_of_memory(error)

    def release(self) -> None:
        self.system.release()

    # --- answers ---

    def prepare(self, items: Sequence[Item]) -> Prepared:
        seconds = {item.id: self.window_seconds(item) for item in items}
        whole = [item for item in items if seconds[item.id] is None]
        cut = {item.id: _windows(item, most) for item in items if (most := seconds[item.id]) is not None}
        return Prepared(asking.prepare(self.system, whole), cut)

    def answer(self, items: Sequence[Item], inputs: Prepared) -> list[Answer | Failure]:
        outcomes = asking.answer(self.system, inputs.whole)
        heard = self._heard([window for windows in inputs.cut.values() for window in windows])
        for item in items:
            if windows := inputs.cut.get(item.id):
                outcomes[item.id] = self._put_together(item, windows, heard)
        return [outcomes[item.id] for item in items]

    def stream(self, item: Item) -> Generator[str, None, Answer | Failure]:
        most = self.window_seconds(item)
        if most is None:
            return (yield from self.system.stream(item))
        windows = _windows(item, most)
        if _is_in_order(item):
            return (yield from self._stream_in_order(item, windows))
        outcome = self._put_together(item, windows, self._heard(windows))
        if isinstance(outcome, Answer):
            yield outcome.text
        return outcome

    def _stream_in_order(self, item: Item, windows: Sequence[Window]) -> Generator[str, None, Answer | Failure]:
        """Each window's words when it has been heard, but for those that the next one hears again."""
        heard: dict[str, Answer | Failure] = {}
        told = ""
        for number, window in enumerate(windows, 1):
            heard |= self._ask([window])
            words = units(_in_order(windows[:number], heard))
            heard_again = most_units(words, windows[number].shared) if number < len(windows) else 0
            sure = "".join(words[: max(0, len(words) - heard_again)])
            if len(sure) > len(told):
                yield sure[len(told) :]
                told = sure
        return self._put_together(item, windows, heard)

    def _heard(self, windows: Sequence[Window]) -> dict[str, Answer | Failure]:
        """What is answered about windows of one or many items, by the windows' ids; what fits goes together."""
        outcomes: dict[str, Answer | Failure] = {}
        if not windows:
            return outcomes
        limits = self._limits or self.batch_limits(UTTERANCES)
        batches = pack([window.end - window.start for window in windows], limits)
        with console.progress_bar() as bar:
            task = bar.add_task("windows", total=len(windows), note="", visible=len(batches) > 1)
            for batch in batches:
                outcomes |= self._ask([windows[i] for i in batch])
                bar.advance(task, len(batch))
        return outcomes

    def _ask(self, windows: Sequence[Window]) -> dict[str, Answer | Failure]:
        """In silence nothing is said, and a network that is asked what would make something up."""
        silent = [w.item for w in windows if _is_in_order(w.item) and is_silent(_samples(w.item))]
        asked = [w.item for w in windows if w.item not in silent]
        answers = zip(asked, asking.ask(self.system, asked), strict=True)
        return {item.id: Answer("") for item in silent} | {item.id: outcome for item, outcome in answers}

    def _put_together(self, item: Item, windows: Sequence[Window], heard: Outcomes) -> Answer | Failure:
        """The answer about all windows."""

        def whole(notes: Sequence[Note]) -> Answer:
            return Answer(_in_order(windows, heard)) if _is_in_order(item) else reduced(self.system, item, notes)

        return put_together([Part(w.start, w.end, heard[w.item.id]) for w in windows], "window", whole)


def _is_in_order(item: Item) -> bool:
    return plain_task(item.task, item.prompt) in IN_ORDER


def _samples(item: Item) -> np.ndarray:
    assert item.samples is not None
    return item.samples


def _beginning(item: Item, seconds: float) -> Item:
    return replace(item, samples=_samples(item)[: round(seconds * SAMPLE_RATE)])


def _windows(item: Item, most: float) -> list[Window]:
    samples = _samples(item)
    return [
        Window(
            replace(item, id=f"{number} {item.id}", samples=samples[segment.start : segment.end]),
            segment.start / SAMPLE_RATE,
            segment.end / SAMPLE_RATE,
            segment.shared / SAMPLE_RATE,
        )
        for number, segment in enumerate(segments(samples, most))
    ]


def _in_order(windows: Sequence[Window], heard: Outcomes) -> str:
    """The words of all windows; nothing stands in for one that has no answer."""
    texts, shared = [], []
    follows = False  # the window before, so that words may have been heard twice
    for window in windows:
        outcome = heard[window.item.id]
        texts.append(outcome.text if isinstance(outcome, Answer) else "")
        shared.append(window.shared if follows else 0.0)
        follows = isinstance(outcome, Answer)
    return joined(texts, shared)
