"""Instructions of the closed world that need no clip, and questions that are asked aloud, with exact answers."""

import re
import string
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from random import Random
from string import Formatter
from typing import Any

import yaml

from wavllm_cli.mini.vocabulary import (
    capitalised,
    digits,
    distinct,
    draw_digits,
    kinds,
    split_of,
    words_of,
)

HOURS = 12
MOST = 20  # the largest number of the world
GAP = "___"
LETTERS = string.ascii_uppercase

Slots = dict[str, str]  # what the wordings of a family need, and the `answer`
Family = Callable[[Random], Slots]


@dataclass(frozen=True)
class Exchange:
    """An instruction that needs no clip, or a question that is asked aloud, and the answer."""

    prompt: str
    answer: str


def exchanges(split: str, count: int, seed: int, spoken: bool) -> list[Exchange]:
    """Different instructions of a split, all with exact answers; the same arguments give the same.

    The split follows from the words of the prompt: what is asked aloud in one split is written in no other.

    Args:
        spoken: only questions that can be asked aloud, in lower case without punctuation.

    Raises:
        UsageError: there are not so many.
    """
    rng = Random(f"exchanges {split} {seed} {spoken}")
    wordings = tables()["aloud"] if spoken else {**tables()["aloud"], **tables()["written"]}
    names = list(wordings)

    def draw() -> tuple[str, Callable[[], Exchange]] | None:
        name = rng.choice(names)
        slots = FAMILIES[name](rng)
        prompt = capitalised(rng.choice(wordings[name]).format_map(slots))
        words = as_said(prompt)
        if split_of(words) != split:
            return None
        return words, lambda: Exchange(words if spoken else prompt, slots["answer"])

    return distinct(draw, count, f"{'spoken questions' if spoken else 'instructions'} of {split}")


def as_said(prompt: str) -> str:
    """`Is it Monday?` -> `is it monday`."""
    return " ".join(re.findall(r"\w+", prompt.lower()))


@cache
def tables() -> dict[str, Any]:
    """What exchanges.yaml holds."""
    return yaml.safe_load(files("wavllm_cli.mini").joinpath("exchanges.yaml").read_text(encoding="utf-8"))


# --- numbers ---


@cache
def _numbers() -> tuple[str, ...]:
    """The words zero to twenty."""
    return ("zero", "one", *words_of("number"))


def _in_words(**numbers: int) -> Slots:
    return {slot: _numbers()[number] for slot, number in numbers.items()}


def _sum(rng: Random) -> Slots:
    total = rng.randint(1, MOST)
    a = rng.randint(0, total)
    return _in_words(a=a, b=total - a, answer=total)


def _sum_of_three(rng: Random) -> Slots:
    total = rng.randint(3, MOST)
    a, b = sorted(rng.sample(range(1, total), 2))
    return _in_words(a=a, b=b - a, c=total - b, answer=total)


def _difference(rng: Random) -> Slots:
    a = rng.randint(1, MOST)
    b = rng.randint(0, a)
    return _in_words(a=a, b=b, answer=a - b)


def _product(rng: Random) -> Slots:
    a = rng.randint(2, MOST // 2)
    b = rng.randint(2, MOST // a)
    return _in_words(a=a, b=b, answer=a * b)


def _double(rng: Random) -> Slots:
    a = rng.randint(0, MOST // 2)
    return _in_words(a=a, answer=2 * a)


def _half(rng: Random) -> Slots:
    a = rng.randint(0, MOST // 2)
    return _in_words(a=2 * a, answer=a)


def _larger(rng: Random) -> Slots:
    a, b = rng.sample(range(MOST + 1), 2)
    return _in_words(a=a, b=b, answer=max(a, b))


def _smaller(rng: Random) -> Slots:
    a, b = rng.sample(range(MOST + 1), 2)
    return _in_words(a=a, b=b, answer=min(a, b))


def _is_larger(rng: Random) -> Slots:
    a, b = rng.sample(range(MOST + 1), 2)
    return {**_in_words(a=a, b=b), "answer": "Yes" if a > b else "No"}


def _parity(rng: Random) -> Slots:
    a = rng.randint(0, MOST)
    return {**_in_words(a=a), "answer": "odd" if a % 2 else "even"}


def _next_number(rng: Random) -> Slots:
    a = rng.randrange(MOST)
    return _in_words(a=a, answer=a + 1)


def _previous_number(rng: Random) -> Slots:
    a = rng.randrange(MOST)
    return _in_words(a=a + 1, answer=a)


def _counting(rng: Random) -> Slots:
    step = rng.choice((1, 2, 3, -1, -2))
    a = rng.choice([a for a in range(MOST + 1) if 0 <= a + 3 * step <= MOST])
    return _in_words(a=a, b=a + step, c=a + 2 * step, answer=a + 3 * step)


def _hours_later(rng: Random) -> Slots:
    a = rng.randint(1, HOURS)
    b = rng.randint(2, HOURS // 2)
    return _in_words(a=a, b=b, answer=(a + b - 1) % HOURS + 1)


def _gained(rng: Random) -> Slots:
    """Somebody's apples, of which there are always several."""
    total = rng.randint(4, MOST)
    a = rng.randint(2, total - 2)
    return {**_in_words(a=a, b=total - a, answer=total), **_goods(rng)}


def _lost(rng: Random) -> Slots:
    a = rng.randint(3, MOST)
    b = rng.randint(2, a - 1)
    return {**_in_words(a=a, b=b, answer=a - b), **_goods(rng)}


def _goods(rng: Random) -> Slots:
    return {"who": rng.choice(words_of("person")), "item": rng.choice(words_of("item"))}


# --- what comes after what ---


def _neighbour(row: Callable[[], tuple[str, ...]], step: int) -> Family:
    """A word, and the one that stands so many places after it; rows go round."""

    def draw(rng: Random) -> Slots:
        at = rng.randrange(len(row()))
        return {"a": row()[at], "answer": row()[(at + step) % len(row())]}

    return draw


def _days() -> tuple[str, ...]:
    return words_of("weekday")


def _months() -> tuple[str, ...]:
    return words_of("month")


def _letter_after(rng: Random) -> Slots:
    at = rng.randrange(1, len(LETTERS) - 1)  # a voice would say the article "a"
    return {"a": LETTERS[at], "answer": LETTERS[at + 1]}


def _letter_before(rng: Random) -> Slots:
    at = rng.randrange(1, len(LETTERS))
    return {"a": LETTERS[at], "answer": LETTERS[at - 1]}


def _gap(rng: Random) -> Slots:
    row = rng.choice((_days(), _months(), _numbers()))
    size = rng.randint(3, 5)
    start = rng.randrange(len(row) - size + 1)
    words = list(row[start : start + size])
    at = rng.randrange(1, size)
    answer, words[at] = words[at], GAP
    return {"a": ", ".join(words), "answer": answer}


# --- words ---


@cache
def _words() -> tuple[str, ...]:
    """All the single words of the world that stand for things."""
    return tuple(word for kind in (*tables()["translated"], "person") for word in words_of(kind))


def _first_letter(rng: Random) -> Slots:
    word = rng.choice(_words())
    return {"a": word, "answer": word[0].upper()}


def _last_letter(rng: Random) -> Slots:
    word = rng.choice(_words())
    return {"a": word, "answer": word[-1].upper()}


def _opposite(rng: Random) -> Slots:
    pair = rng.choice([*tables()["opposites"].items()])
    a, answer = rng.sample(pair, 2)
    return {"a": a, "answer": answer}


def _mixture(rng: Random) -> Slots:
    answer, pair = rng.choice([*tables()["mixtures"].items()])
    a, b = rng.sample(pair, 2)
    return {"a": a, "b": b, "answer": answer}


def _plural(rng: Random) -> Slots:
    a, answer = rng.choice([*tables()["plurals"].items()])
    return {"a": a, "answer": answer}


def _member(rng: Random) -> Slots:
    """Three words, one of them of a kind."""
    kind, *others = rng.sample([*tables()["categories"]], 3)
    answer = rng.choice(words_of(kind))
    a, b, c = _shuffled([answer, *(rng.choice(words_of(other)) for other in others)], rng)
    return {"a": a, "b": b, "c": c, "kind": tables()["categories"][kind], "answer": answer}


def _category(rng: Random) -> Slots:
    right, wrong = rng.sample([*tables()["categories"]], 2)
    kind, other = (tables()["categories"][name] for name in _shuffled([right, wrong], rng))
    return {"a": rng.choice(words_of(right)), "kind": kind, "other": other, "answer": tables()["categories"][right]}


def _odd_one(rng: Random) -> Slots:
    """Three words of a kind and one of another."""
    kind, other = rng.sample([*tables()["categories"]], 2)
    answer = rng.choice(words_of(other))
    return {"a": ", ".join(_shuffled([*rng.sample(words_of(kind), 3), answer], rng)), "answer": answer}


def _spell(rng: Random) -> Slots:
    word = rng.choice(_words())
    return {"a": word, "answer": " ".join(word)}


def _joined(rng: Random) -> Slots:
    word = rng.choice(_words())
    return {"a": " ".join(word), "answer": word}


# --- German ---


def _german_word(rng: Random) -> Slots:
    kind = rng.choice(tables()["translated"])
    word = rng.choice(words_of(kind))
    return {"a": word, "answer": str(kinds()[kind][word])}


def _english_word(rng: Random) -> Slots:
    slots = _german_word(rng)
    return {"a": slots["answer"], "answer": slots["a"]}


def _phrase(rng: Random) -> tuple[str, str]:
    """A phrase and its German."""
    english, german = rng.choice(tables()["phrases"])
    slots = {slot for _, slot, _, _ in Formatter().parse(english) if slot}
    words = {slot: rng.choice(words_of(slot)) for slot in sorted(slots)}
    return english.format_map(words), german.format_map({slot: kinds()[slot][word] for slot, word in words.items()})


def _german_phrase(rng: Random) -> Slots:
    english, german = _phrase(rng)
    return {"a": english, "answer": german}


def _english_phrase(rng: Random) -> Slots:
    english, german = _phrase(rng)
    return {"a": german, "answer": english}


# --- strings of digits and rows of words ---


def _of_digits(answer: Callable[[list[str]], str]) -> Family:
    def draw(rng: Random) -> Slots:
        code = draw_digits(rng)
        return {"a": code, "answer": answer(code.split())}

    return draw


def _figures(code: list[str]) -> str:
    return "".join(str(digits().index(digit)) for digit in code)


def _words_of_figures(rng: Random) -> Slots:
    code = draw_digits(rng)
    return {"a": _figures(code.split()), "answer": code}


def _of_row(answer: Callable[[list[str]], str], sizes: tuple[int, ...] = (2, 3, 4, 5)) -> Family:
    """What becomes of a few words in a row."""

    def draw(rng: Random) -> Slots:
        row = rng.sample(_words(), rng.choice(sizes))
        return {"a": " ".join(row), "answer": answer(row)}

    return draw


def _upper(rng: Random) -> Slots:
    english, _ = _phrase(rng)
    return {"a": english, "answer": english.upper()}


def _lower(rng: Random) -> Slots:
    english, _ = _phrase(rng)
    return {"a": english.upper(), "answer": english.lower()}


def _sorted_row(row: Callable[[], tuple[str, ...]]) -> Family:
    """Words whose order is that of a row."""

    def draw(rng: Random) -> Slots:
        words = rng.sample(row(), 3)
        return {"a": ", ".join(words), "answer": ", ".join(sorted(words, key=row().index))}

    return draw


def _alphabetical(row: list[str]) -> str:
    return " ".join(sorted(row, key=str.lower))


def _replaced(rng: Random) -> Slots:
    row = rng.sample(_words(), rng.randint(3, 4))
    at = rng.randrange(len(row) - 1)
    *row, new = row
    return {"a": " ".join(row), "b": new, "c": row[at], "answer": " ".join([*row[:at], new, *row[at + 1 :]])}


def _without(rng: Random) -> Slots:
    row = rng.sample(_words(), rng.randint(3, 5))
    at = rng.randrange(len(row))
    return {"a": " ".join(row), "b": row[at], "answer": " ".join([*row[:at], *row[at + 1 :]])}


def _shuffled(words: list[str], rng: Random) -> list[str]:
    return rng.sample(words, len(words))


FAMILIES: dict[str, Family] = {
    "sum": _sum,
    "sum_of_three": _sum_of_three,
    "difference": _difference,
    "product": _product,
    "double": _double,
    "half": _half,
    "larger": _larger,
    "smaller": _smaller,
    "is_larger": _is_larger,
    "parity": _parity,
    "next_number": _next_number,
    "previous_number": _previous_number,
    "counting": _counting,
    "gained": _gained,
    "lost": _lost,
    "hours_later": _hours_later,
    "day_after": _neighbour(_days, 1),
    "day_before": _neighbour(_days, -1),
    "two_days_after": _neighbour(_days, 2),
    "month_after": _neighbour(_months, 1),
    "month_before": _neighbour(_months, -1),
    "letter_after": _letter_after,
    "letter_before": _letter_before,
    "first_letter": _first_letter,
    "last_letter": _last_letter,
    "opposite": _opposite,
    "mixture": _mixture,
    "plural": _plural,
    "german_word": _german_word,
    "member": _member,
    "category": _category,
    "repeat_digits": _of_digits(" ".join),
    "reverse_digits": _of_digits(lambda code: " ".join(reversed(code))),
    "first_digit": _of_digits(lambda code: code[0]),
    "last_digit": _of_digits(lambda code: code[-1]),
    "count_digits": _of_digits(lambda code: digits()[len(code)]),
    "german_phrase": _german_phrase,
    "english_word": _english_word,
    "english_phrase": _english_phrase,
    "figures": _of_digits(_figures),
    "words": _words_of_figures,
    "spell": _spell,
    "joined": _joined,
    "upper": _upper,
    "lower": _lower,
    "repeat": _of_row(" ".join),
    "reverse": _of_row(lambda row: " ".join(reversed(row))),
    "sorted": _of_row(_alphabetical, (3,)),
    "sorted_numbers": _sorted_row(_numbers),
    "sorted_days": _sorted_row(_days),
    "count": _of_row(lambda row: digits()[len(row)], (2, 3, 4, 5, 6)),
    "first": _of_row(lambda row: row[0]),
    "last": _of_row(lambda row: row[-1]),
    "middle": _of_row(lambda row: row[len(row) // 2], (3, 5)),
    "odd_one": _odd_one,
    "gap": _gap,
    "replaced": _replaced,
    "without": _without,
    "commas": _of_row(", ".join, (3, 4)),
}
