"""Sorting finds what comparing every row with every other one finds."""

import numpy as np
import pytest

from wavllm_cli.audit.twins import Column, Shared, Sides, crossings, repeats, standing


@pytest.fixture(params=range(5))
def numbers(request):
    rng = np.random.default_rng(request.param)
    return rng.integers(0, 6, 40), rng.integers(0, 3, 40)


@pytest.mark.parametrize(
    ("split", "height"),
    [("train", 0), ("train-clean-100", 0), ("Training", 0), ("dev", 1), ("dev-other", 1), ("validation", 1),
     ("test", 2), ("tst-COMMON", 2), ("Session5", 2), ("trained", 2), ("", 2)],
)  # fmt: skip
def test_what_is_evaluated_on_stands_higher(split, height):
    assert standing(split) == height


def test_all_of_training_is_one_split():
    sides = Sides()
    assert [sides.number(name) for name in ("train-a", "test-a", "train-b", "test-b", "test-a")] == [0, 1, 0, 2, 1]
    assert sides.standings == [0, 2, 2]


def test_repeats(numbers):
    values, sides = numbers
    first = {}
    expected = []
    for row, key in enumerate(zip(values.tolist(), sides.tolist(), strict=True)):
        if key[0] and first.setdefault(key, row) != row:
            expected.append((row, first[key]))
    assert [*repeats(values, sides)] == expected
    assert [*repeats(np.array([], np.int64))] == []


def test_crossings(numbers):
    values, sides = numbers
    standings = [0, 2, 1]
    expected = []
    for row, value in enumerate(values):
        if not value:
            continue
        kept = max(np.flatnonzero(values == value), key=lambda other: (standings[sides[other]], -other))
        if sides[kept] != sides[row]:
            expected.append((row, int(kept)))
    assert [*crossings(values, sides, standings)] == expected


def test_nothing_is_equal_to_nothing():
    column = Column()
    for thing in (None, "a", 0, None, "a"):
        column.add(thing)
    assert [*repeats(column.values)] == [(4, 1)] and column.values[2] != 0


def test_what_several_splits_share_is_kept_by_the_highest():
    shared = Shared()
    for row, (name, side) in enumerate([("ann", 0), ("bob", 0), ("ann", 1), ("ann", 0), ("ann", 2)]):
        shared.add([(None, name)], side, row)
    assert [*shared.found([0, 2, 2])] == [((None, "ann"), 1, {0: (2, 0), 1: (1, 2), 2: (1, 4)})]
