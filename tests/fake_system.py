"""A system of a few lines: what asking and commands need of one, and faults where a test wants them."""

from collections.abc import Callable, Generator, Sequence
from typing import Any

from wavllm_cli.systems.base import Answer, Failure, Item, Options, System
from wavllm_cli.systems.fingerprint import Fingerprint


class FakeSystem(System):
    """Answers each item with its id and its number of samples.

    Attributes:
        asked: the ids of every batch that it was asked about.
        fault: called with the ids of each batch, to raise what goes wrong with it.
        content: stands for the content of its model.
    """

    name, device = "fake", "nowhere"

    def __init__(self) -> None:
        self.asked: list[list[str]] = []
        self.fault: Callable[[list[str]], None] = lambda ids: None
        self.content, self.settings = "a model", {"max_new_tokens": 6}
        self.released = 0

    @classmethod
    def open(cls, options: Options) -> "FakeSystem":
        return cls()

    def fingerprint(self) -> Fingerprint:
        return Fingerprint(self.content, dict(self.settings))

    def prepare(self, items: Sequence[Item]) -> list[int]:
        return [item.length for item in items]

    def answer(self, items: Sequence[Item], inputs: Any) -> list[Answer | Failure]:
        ids = [item.id for item in items]
        self.asked.append(ids)
        self.fault(ids)
        assert inputs == [item.length for item in items]
        return [Answer(f"{item.id} in {self.settings['max_new_tokens']}: {item.length}") for item in items]

    def release(self) -> None:
        self.released += 1


def drained(pieces: Generator[str, None, Any]) -> tuple[list[str], Any]:
    """All that a stream yields, and what it returns."""
    texts = []
    while True:
        try:
            texts.append(next(pieces))
        except StopIteration as end:
            return texts, end.value
