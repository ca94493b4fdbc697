"""Questions about recordings, one after the other: asked, and their answers shown as they come."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from functools import cache
from itertools import groupby
from typing import Any, Literal

import numpy as np

from wavllm_cli import console
from wavllm_cli.errors import WavLLMError
from wavllm_cli.inference.sources import Recording
from wavllm_cli.systems import asking
from wavllm_cli.systems.base import Answer, Failure, Item, System

Shown = Literal["streamed", "whole", "never"]


@dataclass(frozen=True)
class Question:
    """One instruction about one recording.

    Attributes:
        id: unique among the questions of a command.
        instruction: empty where it is spoken in the recording.
        heading: what stands above its answer; empty where it is the only one.
        channel: of the recording, from 0; None for the mean of all.
    """

    id: str
    recording: Recording
    instruction: str
    heading: str = ""
    channel: int | None = None

    @property
    def task(self) -> str:
        """A question of any kind about a clip; one that is asked in the clip itself where there are no words."""
        return "sqa" if self.instruction else "sqqa"

    def about(self, samples: np.ndarray) -> Item:
        return Item(self.id, self.instruction, samples, task=self.task)


@dataclass(frozen=True)
class Reply:
    """What became of a question: its answer, or a sentence that says why there is none."""

    question: Question
    outcome: Answer | Failure
    model: str | None = None

    def data(self) -> dict[str, Any]:
        given = asdict(self.outcome) if isinstance(self.outcome, Answer) else {"error": self.outcome.sentence}
        asked = {"audio": self.question.recording.name, "channel": self.question.channel}
        about = {**asked, "prompt": self.question.instruction, "model": self.model}
        return {key: value for key, value in {**given, **about}.items() if value is not None}


@dataclass
class Replies:
    """What became of all questions of a command, in their order."""

    replies: list[Reply] = field(default_factory=list)
    output: str | None = None

    @property
    def skipped(self) -> list[Reply]:
        return [reply for reply in self.replies if isinstance(reply.outcome, Failure)]

    def show(self) -> None:
        """The answers have been shown when they came."""
        if self.output:
            console.info(f"→ {self.output}")
        if self.skipped:
            console.error(f"{len(self.skipped)} of {len(self.replies)} questions could not be answered.")

    def data(self) -> Any:
        """An object, or a list of them where there was more than one question."""
        where = {"output": self.output} if self.output else {}
        replies = [reply.data() | where for reply in self.replies]
        return replies if len(replies) > 1 else replies[0]


def answer_questions(opened: Callable[[], System], questions: Sequence[Question], shown: Shown) -> Replies:
    """Ask about recordings one by one, each read once and no two held at the same time.

    Args:
        opened: called when the first recording has been read; its weights are loaded when it cannot but answer.
        questions: those about the same recording stand together.
        shown: whether answers go to stdout, and if they do, as they are being made or whole.

    Raises:
        UsageError: the system cannot be opened or loaded; or there is only one question, and nothing to ask about.
        SystemFailed: it has broken down.
        WavLLMError: there is only one question, and no answer to it.
    """
    system = cache(opened)
    replies = Replies()
    for recording, asked in groupby(questions, lambda question: question.recording):
        about = list(asked)
        try:
            samples = recording.read(about[0].channel)
        except WavLLMError as error:
            if len(questions) == 1:
                raise
            console.error(str(error))
            replies.replies += [Reply(question, Failure(str(error))) for question in about]
            continue
        for question in about:
            outcome = _answered(system(), question, samples, shown)
            if isinstance(outcome, Failure):
                _complain(question, outcome, alone=len(questions) == 1)
            replies.replies.append(Reply(question, outcome, system().name))
    return replies


def _answered(system: System, question: Question, samples: np.ndarray, shown: Shown) -> Answer | Failure:
    outcome = answered(system, question.about(samples), question.recording.name, shown, question.heading)
    if isinstance(outcome, Answer) and shown != "never" and question.heading:
        console.say("")
    return outcome


def answered(system: System, item: Item, name: str, shown: Shown, heading: str = "") -> Answer | Failure:
    """The answer to an item, shown as it is to be, and what to know about it said; weights are loaded if need be.

    Args:
        name: what messages call the recording.
        heading: stands above the answer.

    Raises:
        UsageError: the system cannot be loaded.
        SystemFailed: it has broken down.
    """
    if failure := asking.refusal(system, item):
        return failure
    system.load()
    if shown != "never" and heading:
        console.say(heading)
    outcome = _streamed(system, item) if shown == "streamed" else asking.ask(system, [item])[0]
    if isinstance(outcome, Answer):
        if shown == "whole":
            console.say(outcome.text)
        for warning in outcome.warnings or ():
            console.warn(f"{name}: {warning}.")
    return outcome


def _streamed(system: System, item: Item) -> Answer | Failure:
    """The answer, shown piece by piece."""
    pieces = asking.stream(system, item)
    while True:
        try:
            console.say_piece(next(pieces))
        except StopIteration as end:
            console.say("")
            return end.value


def _complain(question: Question, failure: Failure, alone: bool) -> None:
    """
    Raises:
        WavLLMError: it was the only question.
    """
    sentence = f"{question.recording.name}: {failure.sentence}"
    if alone:
        raise WavLLMError(sentence)
    console.error(sentence)
