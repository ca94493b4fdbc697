"""Numbers as all reports write them, and tables that lose a column."""

import math

import pytest

from wavllm_cli.scoring.report.table import (
    Column,
    Ids,
    Table,
    Value,
    amount,
    bare,
    interval,
    probability,
    share,
    signed,
)


@pytest.mark.parametrize(
    ("value", "unit", "shown"),
    [
        (0.02104, "fraction", "2.10 %"),
        (1.5, "fraction", "150.00 %"),
        (0.0, "fraction", "0.00 %"),
        (23.456, "points", "23.46"),
        (-0.01, "fraction", "-1.00 %"),
        (math.inf, "fraction", "n/a"),
        (math.nan, "points", "n/a"),
    ],
)
def test_fractions_are_shown_in_per_cent_and_points_as_they_are(value, unit, shown):
    assert (amount(value, unit), bare(value, unit)) == (shown, shown.removesuffix(" %"))
    assert str(Value(value, unit)) == shown


def test_a_share_of_nothing_is_not_available():
    assert [share(1, 40), share(0, 40), share(0, 0)] == ["2.50 %", "0.00 %", "n/a"]


def test_an_interval_has_both_ends_or_is_a_dash():
    assert interval(0.04, 0.06, "fraction") == "4.00 … 6.00"
    assert interval(22.1, 25.1, "points") == "22.10 … 25.10"
    assert interval(math.nan, 0.1, "fraction") == interval(0.1, math.inf, "points") == "–"


def test_numbers_of_comparisons():
    assert [probability(p) for p in (0.5, 0.001, 0.00099, math.nan)] == ["0.500", "0.001", "< 0.001", "n/a"]
    assert [signed(v, "points") for v in (1.5, -1.5, 0.0)] == ["+1.50", "-1.50", "0.00"]
    assert signed(0.01, "fraction") == "+1.00"


def test_of_many_rows_the_worst_is_shown_or_the_first():
    assert str(Ids(list("abcdef"))) == "a, b, c and 3 more"
    assert str(Ids(["a"], "longest: 9 words for 2 (a)")) == "longest: 9 words for 2 (a)"


def test_the_name_of_the_only_system_stands_in_the_title():
    columns = [Column("task"), Column("system"), Column("value", True)]
    one = Table("Scores", columns, [["asr", "a", 1], ["st", "a", 2]]).compact()
    assert (one.title, [c.name for c in one.columns], one.rows) == (
        "Scores: a",
        ["task", "value"],
        [["asr", 1], ["st", 2]],
    )
    two = Table("Scores", columns, [["asr", "a", 1], ["asr", "b", 2]])
    assert two.compact() is two
