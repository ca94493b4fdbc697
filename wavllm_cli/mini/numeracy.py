"""Families of instructions about numbers, digits, days, months and letters: what comes next, how much it is."""

import string
from collections.abc import Callable
from functools import cache
from random import Random

from wavllm_cli.mini.vocabulary import digits, draw_digits, words_of

HOURS = 12
MOST = 20  # the largest number of the world
GAP = "___"
LETTERS = string.ascii_uppercase

Slots = dict[str, str]  # what the wordings of a family need, and the `answer`
Family = Callable[[Random], Slots]


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


def _sorted_row(row: Callable[[], tuple[str, ...]]) -> Family:
    """Words whose order is that of a row."""

    def draw(rng: Random) -> Slots:
        words = rng.sample(row(), 3)
        return {"a": ", ".join(words), "answer": ", ".join(sorted(words, key=row().index))}

    return draw


# --- strings of digits ---


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
    "repeat_digits": _of_digits(" ".join),
    "reverse_digits": _of_digits(lambda code: " ".join(reversed(code))),
    "first_digit": _of_digits(lambda code: code[0]),
    "last_digit": _of_digits(lambda code: code[-1]),
    "count_digits": _of_digits(lambda code: digits()[len(code)]),
    "figures": _of_digits(_figures),
    "words": _words_of_figures,
    "sorted_numbers": _sorted_row(_numbers),
    "sorted_days": _sorted_row(_days),
    "gap": _gap,
}
