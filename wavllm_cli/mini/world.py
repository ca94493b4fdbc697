"""The closed world of the miniature: sentences whose German, summary and answers are known; and its instructions."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from random import Random
from typing import Any

from wavllm_cli.mini.exchanges import Exchange, exchanges
from wavllm_cli.mini.vocabulary import (
    LONGEST,
    SHORTEST,
    capitalised,
    digits,
    distinct,
    draw_digits,
    german_digits,
    kinds,
    split_of,
    words_of,
    world,
)

__all__ = ["Exchange", "Question", "Scene", "exchanges", "german_digits", "scenes"]

QUESTIONS = 5  # at most, about a scene
WRONG = 2  # choices beside the right one


@dataclass(frozen=True)
class Question:
    """A question about a scene.

    Attributes:
        wrong: two other answers of the same kind. Where the scene has another word of the kind, that is one of them:
            to have heard a word is not enough.
    """

    question: str
    answer: str
    wrong: tuple[str, ...]


@dataclass(frozen=True)
class Scene:
    """What is said in a clip, and what is known about it.

    Attributes:
        key: no two scenes share it. Its split follows from the facts alone: what is said in one split is said in no
            other, in other words neither.
        text: in lower case without punctuation.
        german: the translation, in ordinary writing.
        summary: of eight words at most, with a full stop.
    """

    key: str
    text: str
    german: str
    summary: str
    summary_german: str
    questions: tuple[Question, ...]
    domain: str


def scenes(split: str, count: int, seed: int) -> list[Scene]:
    """Different scenes of `train`, `dev` or `test`; the same arguments give the same.

    Raises:
        UsageError: there are not so many.
    """
    rng = Random(f"scenes {split} {seed}")
    domains = list(world()["domains"])
    shares = [about["share"] for about in world()["domains"].values()]

    def draw() -> tuple[str, Callable[[], Scene]] | None:
        (domain,) = rng.choices(domains, shares)
        number, story = rng.choice(_stories()[domain])
        facts = _draw_facts(story["facts"], rng)
        said = " | ".join([str(number), *facts.values()])
        sentence = rng.randrange(len(story["sentences"]))
        if split_of(said) != split:
            return None
        key = f"{said} | {sentence}"
        return key, lambda: _scene(key, story, facts, sentence)

    return distinct(draw, count, f"scenes of {split}")


# --- scenes ---


@cache
def _stories() -> dict[str, list[tuple[int, dict[str, Any]]]]:
    """The stories of each domain, with their numbers."""
    stories: dict[str, list[tuple[int, dict[str, Any]]]] = {domain: [] for domain in world()["domains"]}
    for number, story in enumerate(world()["stories"]):
        stories[story["domain"]].append((number, story))
    return stories


def _draw_facts(slots: dict[str, str], rng: Random) -> dict[str, str]:
    """A word for each slot; slots of one kind get different ones."""
    facts: dict[str, str] = {}
    for slot, kind in slots.items():
        if kind == "digits":
            facts[slot] = draw_digits(rng)
        else:
            words = words_of(kind)
            while (word := rng.choice(words)) in facts.values():
                pass
            facts[slot] = word
    return facts


def _scene(key: str, story: dict[str, Any], facts: dict[str, str], sentence: int) -> Scene:
    german = {
        slot: german_digits(facts[slot]) if kind == "digits" else kinds()[kind][facts[slot]]
        for slot, kind in story["facts"].items()
    }
    text, translation = story["sentences"][sentence]
    summary, summary_german = story["summary"]
    return Scene(
        key=key,
        text=text.format_map(facts).lower(),
        german=capitalised(translation.format_map(german)),
        summary=capitalised(summary.format_map(facts)),
        summary_german=capitalised(summary_german.format_map(german)),
        questions=tuple(_questions(story, facts, Random(key))),
        domain=story["domain"],
    )


# --- questions ---


def _questions(story: dict[str, Any], facts: dict[str, str], rng: Random) -> Iterator[Question]:
    """About each fact, about the digits, and what it is all about."""
    asked = [
        Question(capitalised(rng.choice(wordings).format_map(facts)), facts[slot], _wrong(story, facts, slot, rng))
        for slot, wordings in story["questions"].items()
    ]
    if "code" in facts:
        asked += rng.sample([*_digit_questions(facts["code"].split(), rng)], QUESTIONS - 1 - len(asked))
    yield from asked
    topics = {domain: about["about"] for domain, about in world()["domains"].items()}
    answer = topics.pop(story["domain"])
    yield Question(rng.choice(world()["about"]), answer, tuple(rng.sample([*topics.values()], WRONG)))


def _wrong(story: dict[str, Any], facts: dict[str, str], slot: str, rng: Random) -> tuple[str, ...]:
    kind = story["facts"][slot]
    heard = [facts[other] for other in story["facts"] if other != slot and story["facts"][other] == kind]
    others = [word for word in kinds()[kind] if word not in facts.values()]
    return _two(heard, others, rng)


def _digit_questions(string: list[str], rng: Random) -> Iterator[Question]:
    answers = {"first": string[0], "last": string[-1], "length": digits()[len(string)], "whole": " ".join(string)}
    for which, answer in answers.items():
        if which == "length":
            wrong = _two([], [digits()[n] for n in range(SHORTEST - 1, LONGEST + 2) if n != len(string)], rng)
        elif which == "whole":
            wrong = _misheard(string, rng)
        else:
            heard = sorted(set(string) - {answer})
            wrong = _two(heard, [digit for digit in digits() if digit not in string], rng)
        yield Question(rng.choice(world()["digit_questions"][which]), answer, wrong)


def _misheard(string: list[str], rng: Random) -> tuple[str, ...]:
    """The string with one digit taken for another, twice."""
    wrong: list[str] = []
    for place in rng.sample(range(len(string)), WRONG):
        other = rng.choice([digit for digit in digits() if digit != string[place]])
        wrong.append(" ".join([*string[:place], other, *string[place + 1 :]]))
    return tuple(wrong)


def _two(heard: list[str], others: list[str], rng: Random) -> tuple[str, ...]:
    """One that is heard, where there is one, and others, in random order."""
    first = rng.sample(heard, min(1, len(heard)))
    wrong = [*first, *rng.sample(others, WRONG - len(first))]
    rng.shuffle(wrong)
    return tuple(wrong)
