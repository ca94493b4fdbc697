"""One answer out of the answers about parts of a recording: the second half of a map-reduce.

The same system is asked, by text alone, what the parts' answers are together. Where they have no room in one question,
groups of neighbours become one each, in as many rounds as it takes. A system that cannot do it leaves them as they are.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from wavllm_cli.systems import asking
from wavllm_cli.systems.base import Answer, Failure, Item, System

PARTS = "That was asked about each part of a long recording. The answers, in order:"
WHOLE = "Make them one answer about the whole recording."


@dataclass(frozen=True)
class Note:
    """What was answered about the seconds from `start` to `end`."""

    text: str
    start: float
    end: float

    def step(self, name: str) -> dict[str, Any]:
        return {"name": name, "text": self.text, "start": round(self.start, 3), "end": round(self.end, 3)}

    def __str__(self) -> str:
        return f"{time_span(self.start, self.end)}: {' '.join(self.text.split())}"


def reduced(system: System, item: Item, notes: Sequence[Note]) -> Answer:
    """The answer to an item of which the answers about its parts are known; its steps are the rounds between."""
    left = [*notes]
    steps: list[dict[str, Any]] = []
    while len(groups := _groups(system, item, left)) < len(left):
        made = [_one(system, item, group) for group in groups]
        if failure := next((one for one in made if isinstance(one, Failure)), None):
            return _listed(left, steps, failure)
        answers = [one for one in made if isinstance(one, Answer)]
        if len(answers) == 1:
            return replace(answers[0], steps=steps)
        left = [Note(a.text, group[0].start, group[-1].end) for a, group in zip(answers, groups, strict=True)]
        steps += [note.step("part") for note, group in zip(left, groups, strict=True) if len(group) > 1]
    if len(left) == 1:
        return Answer(left[0].text, steps=steps)
    return _listed(left, steps, asking.refusal(system, question(item, left[:2])))


def question(item: Item, notes: Sequence[Note]) -> Item:
    """What is asked about some of the parts, without any sound."""
    answers = "\n".join(f"{number}. {note}" for number, note in enumerate(notes, 1))
    name = f"{item.id} {time_span(notes[0].start, notes[-1].end)}"
    return replace(item, id=name, prompt=f"{item.prompt}\n\n{PARTS}\n{answers}\n\n{WHOLE}", samples=None)


def time_span(start: float, end: float) -> str:
    """30, 3661 -> "0:30-1:01:01"."""
    return f"{_clock(start)}-{_clock(end)}"


def _groups(system: System, item: Item, notes: list[Note]) -> list[list[Note]]:
    """Neighbours that have room in one question, halved until they do."""
    if len(notes) == 1 or asking.refusal(system, question(item, notes)) is None:
        return [notes]
    half = len(notes) // 2
    return _groups(system, item, notes[:half]) + _groups(system, item, notes[half:])


def _one(system: System, item: Item, notes: list[Note]) -> Answer | Failure:
    if len(notes) == 1:
        return Answer(notes[0].text)
    return asking.ask(system, [question(item, notes)])[0]


def _listed(notes: Sequence[Note], steps: list[dict[str, Any]], failure: Failure | None) -> Answer:
    because = f": {failure.sentence.rstrip('.')}" if failure else ""
    text = "\n".join(map(str, notes))
    return Answer(text, steps=steps, warnings=[f"the answers about its parts, which could not be made one{because}"])


def _clock(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
