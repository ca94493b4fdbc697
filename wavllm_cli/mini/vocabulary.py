"""The words of the closed world and their German, as world.yaml lists them; which split a piece of text is in."""

import hashlib
from collections.abc import Callable, Hashable
from functools import cache
from importlib.resources import files
from random import Random
from typing import Any, TypeVar

import yaml

from wavllm_cli.errors import UsageError

TEST_PERCENT, DEV_PERCENT = 10, 5
PATIENCE = 20_000  # draws in a row that bring nothing new, after which nothing new is expected
SHORTEST, LONGEST = 3, 6  # digits of a code

Thing = TypeVar("Thing")


class Noun(str):
    """A German noun that knows its article and endings, by the names of the masculine ones.

    >>> door = Noun("Tür", {"der": "die", "den": "die", "en": "e"})
    >>> "{door.den} rot{door.en} {door}".format(door=door)
    'die rote Tür'
    """

    forms: dict[str, str]

    def __new__(cls, word: str, forms: dict[str, str]) -> "Noun":
        noun = super().__new__(cls, word)
        noun.forms = forms
        return noun

    def __getattr__(self, form: str) -> str:
        try:
            return self.forms[form]
        except KeyError:
            raise AttributeError(form) from None


@cache
def world() -> dict[str, Any]:
    """What world.yaml holds."""
    return read("world.yaml")


@cache
def tables() -> dict[str, Any]:
    """What exchanges.yaml holds."""
    return read("exchanges.yaml")


def read(name: str) -> dict[str, Any]:
    """What a YAML file of this folder holds."""
    return yaml.safe_load(files("wavllm_cli.mini").joinpath(name).read_text(encoding="utf-8"))


@cache
def kinds() -> dict[str, dict[str, str]]:
    """English words and their German by kind, such as `city`, `time`, `colour`."""
    genders = world()["genders"]

    def german(word: str | list[str]) -> str:
        return word if isinstance(word, str) else Noun(word[1], genders[word[0]])

    return {kind: {word: german(form) for word, form in words.items()} for kind, words in world()["kinds"].items()}


@cache
def words_of(kind: str) -> tuple[str, ...]:
    """The English words of a kind."""
    return tuple(kinds()[kind])


@cache
def digits() -> tuple[str, ...]:
    """The words zero to nine."""
    return tuple(world()["digits"])


def draw_digits(rng: Random) -> str:
    """A random code, `four seven two`."""
    return " ".join(rng.choices(digits(), k=rng.randint(SHORTEST, LONGEST)))


def german_digits(words: str) -> str:
    """`four seven` -> `vier sieben`.

    Raises:
        UsageError: one of the words is no digit.
    """
    known = world()["digits"]
    for word in words.split():
        if word not in known:
            raise UsageError(f"{word!r} in {words!r} is not a digit: they are {', '.join(known)}.")
    return " ".join(known[word] for word in words.split())


def capitalised(text: str) -> str:
    """With a capital first letter, the rest as it is."""
    return text[:1].upper() + text[1:]


def split_of(content: str) -> str:
    """The split that a text is in: a function of the text alone, whoever draws it."""
    percent = int.from_bytes(hashlib.sha256(content.encode()).digest()[:8], "big") % 100
    if percent < TEST_PERCENT:
        return "test"
    return "dev" if percent < TEST_PERCENT + DEV_PERCENT else "train"


def distinct(draw: Callable[[], tuple[Hashable, Callable[[], Thing]] | None], count: int, what: str) -> list[Thing]:
    """Draw until there are so many different things.

    Args:
        draw: gives what tells a thing from others, and how to make it; None where it is of another split.
        what: they are, for the message.

    Raises:
        UsageError: there are not so many.
    """
    found: dict[Hashable, Thing] = {}
    misses = 0
    while len(found) < count:
        drawn = draw()
        if drawn is None or drawn[0] in found:
            misses += 1
        else:
            found[drawn[0]], misses = drawn[1](), 0
        if misses > PATIENCE:
            raise UsageError(
                f"{count} {what} were asked for, but there are hardly more than {len(found)} different ones."
            )
    return list(found.values())
