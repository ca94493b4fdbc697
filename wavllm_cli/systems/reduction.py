"""One answer out of the answers about parts of a recording: the second half of a map-reduce.

The same system is asked, by text alone, what the parts' answers are together. Where they have no room in one question,
groups of neighbours become one each, in as many rounds as it takes. A system that cannot do it leaves them as they are.

A part that has no answer costs the others nothing: the answer is without it, and a warning names its time.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from wavllm_cli.errors import listed
from wavllm_cli.systems import asking
from wavllm_cli.systems.base import Answer, Failure, Item, System

PARTS = "That was asked about each part of a long recording. The answers, in order:"
WHOLE = "Make them one answer about the whole recording."
NAMED = 3  # parts in a warning


@dataclass(frozen=True)
class Part:
    """What became of the question about the seconds from `start` to `end`."""

    start: float
    end: float
    outcome: Answer | Failure

    @property
    def time(self) -> str:
        return time_span(self.start, self.end)


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


def put_together(parts: Sequence[Part], name: str, answer: Callable[[Sequence[Note]], Answer]) -> Answer | Failure:
    """What became of a whole recording of whose parts each was asked about.

    Args:
        name: what a part is, as the steps of the answer call it: "window".
        answer: makes one of all that was answered.
    """
    answers = [(p, p.outcome) for p in parts if isinstance(p.outcome, Answer)]
    if not answers:
        (first, failure), *_ = _failures(parts)
        of_all = f"none of its {len(parts)} {name}s has an answer"
        return Failure(f"{of_all}; the first, {first.time}: {failure.sentence}")
    notes = [Note(heard.text, part.start, part.end) for part, heard in answers]
    whole = answer(notes)
    steps = [note.step(name) | _tokens(heard) for note, (_, heard) in zip(notes, answers, strict=True)]
    return replace(
        whole, steps=steps + (whole.steps or []), warnings=[*(whole.warnings or ()), *_warnings(parts)] or None
    )


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


def _failures(parts: Sequence[Part]) -> list[tuple[Part, Failure]]:
    return [(part, part.outcome) for part in parts if isinstance(part.outcome, Failure)]


def _tokens(answer: Answer) -> dict[str, Any]:
    tokens = {"token_ids": answer.token_ids, "logprobs": answer.logprobs}
    return {name: value for name, value in tokens.items() if value is not None}


def _warnings(parts: Sequence[Part]) -> list[str]:
    """What to know about parts, each thing once with the times of those that it is about."""
    times: dict[str, list[str]] = {}
    for part in parts:
        for warning in (part.outcome.warnings if isinstance(part.outcome, Answer) else None) or ():
            times.setdefault(f"{warning} in", []).append(part.time)
    for part, failure in _failures(parts):
        times.setdefault(f"{failure.sentence.rstrip('.')}: nothing about", []).append(part.time)
    return [f"{what} {listed(spans, NAMED)}" for what, spans in times.items()]


def _clock(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
