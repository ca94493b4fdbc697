"""Families of instructions about words: what they mean, how they are spelled, what becomes of a few in a row."""

from collections.abc import Callable
from functools import cache
from random import Random
from string import Formatter

from wavllm_cli.mini.numeracy import Family, Slots
from wavllm_cli.mini.vocabulary import digits, kinds, tables, words_of


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


# --- rows of words ---


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
    "first_letter": _first_letter,
    "last_letter": _last_letter,
    "opposite": _opposite,
    "mixture": _mixture,
    "plural": _plural,
    "german_word": _german_word,
    "member": _member,
    "category": _category,
    "german_phrase": _german_phrase,
    "english_word": _english_word,
    "english_phrase": _english_phrase,
    "spell": _spell,
    "joined": _joined,
    "upper": _upper,
    "lower": _lower,
    "repeat": _of_row(" ".join),
    "reverse": _of_row(lambda row: " ".join(reversed(row))),
    "sorted": _of_row(_alphabetical, (3,)),
    "count": _of_row(lambda row: digits()[len(row)], (2, 3, 4, 5, 6)),
    "first": _of_row(lambda row: row[0]),
    "last": _of_row(lambda row: row[-1]),
    "middle": _of_row(lambda row: row[len(row) // 2], (3, 5)),
    "odd_one": _odd_one,
    "replaced": _replaced,
    "without": _without,
    "commas": _of_row(", ".join, (3, 4)),
}
