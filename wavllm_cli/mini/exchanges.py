"""Instructions of the closed world that need no clip, and questions that are asked aloud, with exact answers."""

import re
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from itertools import count as count_from
from random import Random

from wavllm_cli.mini import numeracy, wordplay
from wavllm_cli.mini.vocabulary import capitalised, distinct, split_of, tables

FAMILIES = numeracy.FAMILIES | wordplay.FAMILIES


@dataclass(frozen=True)
class Exchange:
    """An instruction that needs no clip, or a question that is asked aloud, and the answer."""

    prompt: str
    answer: str


def exchanges(split: str, count: int, seed: int, spoken: bool) -> list[Exchange]:
    """Instructions of a split, all with exact answers; the same arguments give the same.

    The split follows from the words of the prompt: what is asked aloud in one split is written in no other. In dev and
    test all are different. In train every family is as frequent as any other: those that have few instructions, such as
    the day after another, repeat them, or hardly one row in a thousand would teach them.

    Args:
        spoken: only questions that can be asked aloud, in lower case without punctuation.

    Raises:
        UsageError: there are not so many.
    """
    rng = Random(f"exchanges {split} {seed} {spoken}")
    wordings = tables()["aloud"] if spoken else {**tables()["aloud"], **tables()["written"]}
    names, numbers = list(wordings), count_from(0)

    def draw() -> tuple[Hashable, Callable[[], Exchange]] | None:
        name = rng.choice(names)
        slots = FAMILIES[name](rng)
        prompt = capitalised(rng.choice(wordings[name]).format_map(slots))
        words = as_said(prompt)
        if split_of(words) != split:
            return None
        told_apart = next(numbers) if split == "train" else words
        return told_apart, lambda: Exchange(words if spoken else prompt, slots["answer"])

    return distinct(draw, count, f"{'spoken questions' if spoken else 'instructions'} of {split}")


def as_said(prompt: str) -> str:
    """`Is it Monday?` -> `is it monday`."""
    return " ".join(re.findall(r"\w+", prompt.lower()))
