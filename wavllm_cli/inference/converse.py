"""What `wavllm chat` does: a conversation about a recording, or about none, a line a question."""

import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from wavllm_cli import console
from wavllm_cli.data.text_file import STANDARD_INPUT
from wavllm_cli.errors import UsageError, WavLLMError, shortened
from wavllm_cli.inference.inquiry import Shown, answered
from wavllm_cli.inference.sources import Recording, recordings_of
from wavllm_cli.systems import asking
from wavllm_cli.systems.base import Answer, Item, System, SystemFailed

HELP = """\
/file PATH   talk about another recording, from the beginning
/new         forget what was said, keep the recording
/help        this list
/exit        leave, as Ctrl-D does
Anything else is a question; Ctrl-C stops an answer."""


@dataclass
class Conversation:
    """Questions and answers so far, and what they are about.

    Attributes:
        shown: how answers go to stdout.
        samples: (samples,) float32 at 16 kHz of the recording; None without one.
        name: what messages call it.
        said: question and answer of each turn that is remembered.
        failures: lines that came to nothing.
    """

    system: System
    shown: Shown
    channel: int | None = None
    samples: np.ndarray | None = None
    name: str = "the question"
    said: list[tuple[str, str]] = field(default_factory=list)
    failures: int = 0

    def hear(self, source: str) -> None:
        """Take another recording and begin anew; one that cannot be used changes nothing.

        Raises:
            UsageError: there is no such recording, or there are several.
            AudioError: it cannot be used.
        """
        recording = _recording(source)
        self.samples, self.name = recording.read(self.channel), recording.name
        self.said.clear()

    def ask(self, question: str) -> None:
        """Answer a question, and remember both.

        Raises:
            SystemFailed: the system has broken down.
            WavLLMError: there is no answer.
        """
        task = "sft" if self.samples is None else "sqa"
        item = self._with_room(Item(f"turn {len(self.said) + 1}", question, self.samples, task=task))
        outcome = answered(self.system, item, self.name, self.shown)
        if not isinstance(outcome, Answer):
            raise WavLLMError(f"{self.name}: {outcome.sentence}")
        self.said.append((question, outcome.text))

    def _with_room(self, item: Item) -> Item:
        """A question with what was said before it, as far back as the system has room for."""
        if not self.system.converses or asking.refusal(self.system, item):
            return item
        known = len(self.said)
        while self.said and asking.refusal(self.system, replace(item, history=tuple(self.said))):
            del self.said[0]
        if forgotten := known - len(self.said):
            console.warn(f"The conversation has become too long: its first {forgotten} of {known} turns are forgotten.")
        return replace(item, history=tuple(self.said))

    def command(self, line: str) -> None:
        """Do what a line that begins with a slash says.

        Raises:
            UsageError: there is no such command, or no such recording.
            AudioError: the recording cannot be used.
        """
        name, _, rest = line.partition(" ")
        if name == "/file" and rest.strip():
            self.hear(str(Path(rest.strip().strip("\"'")).expanduser()))
            console.info(f"about {self.name}")
        elif name == "/new" and not rest.strip():
            self.said.clear()
        elif name == "/help":
            for line_of_help in HELP.splitlines():
                console.info(line_of_help)
        else:
            raise UsageError(f"There is no command {shortened(line)}: see /help.")


def converse(opened: Callable[[], System], source: str | None, channel: int | None, live: bool) -> Conversation:
    """Answer lines of standard input until it ends, or `/exit`.

    Args:
        opened: opens the system, when the recording has been read.
        source: the recording; None for a conversation about none.
        live: whether somebody types the questions and watches the answers.

    Raises:
        UsageError: there is no such recording, or the system cannot be opened or loaded.
        WavLLMError: the recording cannot be used, or the system has broken down.
    """
    recording = None if source is None else _recording(source)
    samples = None if recording is None else recording.read(channel)
    system = opened()
    system.load()
    conversation = Conversation(system, "streamed" if live else "whole", channel)
    if recording is not None:
        conversation.samples, conversation.name = samples, recording.name
    if not system.converses:
        console.info("Each question is answered by itself: this system is told nothing of what was said before.")
    for line in _typed() if live else _piped():
        if line == "/exit":
            break
        try:
            conversation.command(line) if line.startswith("/") else conversation.ask(line)
        except SystemFailed:
            raise
        except WavLLMError as error:
            conversation.failures += 1
            console.error(str(error))
        except KeyboardInterrupt:
            if not live:
                raise
            console.say("")
    return conversation


def _recording(source: str) -> Recording:
    """
    Raises:
        UsageError: there is no such recording, or there are several.
    """
    if source == STANDARD_INPUT:
        raise UsageError("Standard input is for the questions here: save the recording to a file first.")
    recording, *others = recordings_of([source])
    if others:
        raise UsageError(f"{shortened(source)} holds {len(others) + 1} recordings: a conversation is about one.")
    return recording


# --- lines ---


def _typed() -> Iterator[str]:
    """What somebody types, who can go back to earlier lines; Ctrl-D and Ctrl-C end it."""
    with suppress(ImportError):
        import readline  # noqa: F401  (`input` uses it)
    while True:
        try:
            line = input("> ").strip()
        except (EOFError, KeyboardInterrupt):
            console.say("")
            return
        if line:
            yield line


def _piped() -> Iterator[str]:
    """
    Raises:
        UsageError: a line is not UTF-8.
    """
    for number, content in enumerate(sys.stdin.buffer if sys.stdin else (), 1):
        try:
            line = content.decode().strip()
        except UnicodeDecodeError as error:
            raise UsageError(f"Standard input, line {number}: the text is not UTF-8.") from error
        if line:
            yield line
