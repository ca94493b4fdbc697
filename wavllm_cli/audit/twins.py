"""Rows that have something in common with others: found by sorting one 64-bit number a row, not by keeping rows.

Among a million rows the chance that two different things have the same number is 3 in 100 million.
"""

import re
from array import array
from collections import defaultdict
from collections.abc import Hashable, Iterable, Iterator, Sequence

import numpy as np

# How splits are called of which others may not hold anything; all of training is one, whatever its parts.
TRAINING = {"train", "training", "trn", "tr"}
VALIDATION = {"dev", "valid", "validation", "val", "development", "cv"}


def standing(split: str) -> int:
    """0 for training, 1 for validation, 2 for test and the rest: where two share something, the lower gives way."""
    words = set(re.split(r"[^a-z]+", split.lower()))
    return 0 if words & TRAINING else 1 if words & VALIDATION else 2


Name = tuple[str | None, str]  # the corpus, and what it calls a speaker or a group


class Sides:
    """Splits by numbers; those of training have one number."""

    def __init__(self) -> None:
        self.standings: list[int] = []
        self._numbers: dict[str, int] = {}

    def number(self, split: str) -> int:
        known = self._numbers.get(split)
        if known is None:
            name = "" if standing(split) == 0 else split
            known = self._numbers.setdefault(name, len(self.standings))
            if known == len(self.standings):
                self.standings.append(standing(split))
            self._numbers[split] = known
        return known


class Column:
    """A number for each row; equal things have equal numbers, 0 is nothing."""

    def __init__(self) -> None:
        self._numbers = array("q")

    def add(self, thing: Hashable) -> None:
        """Take in what the next row has; None is nothing."""
        self._numbers.append(0 if thing is None else hash(thing) or 1)

    @property
    def last(self) -> int:
        return self._numbers[-1]

    @property
    def values(self) -> np.ndarray:
        return np.frombuffer(self._numbers, np.int64)


def repeats(*columns: np.ndarray) -> Iterator[tuple[int, int]]:
    """Yield (row, the first row with the same numbers) for all rows but those first ones; 0 in the first is nothing."""
    order = np.lexsort(columns)
    begins = _runs([column[order] for column in columns])
    again = (begins != np.arange(len(order))) & (columns[0][order] != 0)
    yield from sorted(zip(order[again].tolist(), order[begins[again]].tolist(), strict=True))


def crossings(column: np.ndarray, sides: np.ndarray, standings: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Yield (row, a row of another split with the same number that stands higher, or comes first); 0 is nothing."""
    heights = np.array([*standings, 0], np.int64)[sides]
    order = np.lexsort((-heights, column))
    begins = _runs([column[order]])
    crosses = (sides[order] != sides[order[begins]]) & (column[order] != 0)
    yield from sorted(zip(order[crosses].tolist(), order[begins[crosses]].tolist(), strict=True))


def _runs(columns: Sequence[np.ndarray]) -> np.ndarray:
    """Where the run of equal numbers begins that each place of sorted columns is in."""
    places = np.arange(len(columns[0]))
    new = np.ones(len(places), bool)
    if len(places):
        new[1:] = np.logical_or.reduce([column[1:] != column[:-1] for column in columns])
    return np.maximum.accumulate(np.where(new, places, 0))


class Shared:
    """Speakers, or groups: in which splits each of them is, in how many rows, the first of them."""

    def __init__(self) -> None:
        self._where: dict[Name, dict[int, list[int]]] = defaultdict(dict)

    def add(self, names: Iterable[Name], side: int, row: int) -> None:
        for name in names:
            self._where[name].setdefault(side, [0, row])[0] += 1

    def found(self, standings: Sequence[int]) -> Iterator[tuple[Name, int, dict[int, tuple[int, int]]]]:
        """Yield (name, the split that keeps it, (rows, first row) by split) of those that are in several."""
        for name, where in self._where.items():
            if len(where) > 1:
                keeper = max(where, key=lambda side: (standings[side], -where[side][1]))
                yield name, keeper, {side: (rows, first) for side, (rows, first) in where.items()}
