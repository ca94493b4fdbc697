import math
from itertools import pairwise

import numpy as np
import pytest

from wavllm_cli.audit.spread import Spread


def spread(figures, whole=False) -> Spread:
    found = Spread("x", whole=whole)
    for figure in figures:
        found.add(figure)
    return found


@pytest.mark.parametrize(
    "figures",
    [[0.0], [3.0] * 9, [-2.5, 0, 4], np.random.default_rng(0).lognormal(1, 1, 999), [*range(100), 1e6], [1e-7, 2e-7]],
)
@pytest.mark.parametrize("whole", [False, True])
def test_every_row_is_in_one_bar(figures, whole):
    histogram = spread(figures, whole).histogram
    assert sum(rows for _, _, rows in histogram) == len(figures)
    assert all(high == low for (_, high, _), (low, _, _) in pairwise(histogram))
    for low, high, rows in histogram:
        assert rows == sum(low <= np.float32(figure) < high for figure in figures)


def test_bars_have_round_edges_and_one_long_clip_does_not_flatten_them():
    found = spread([*np.linspace(0.5, 14.9, 999), 1195.0])
    low, high, rows = found.histogram[-1]
    assert (high, rows, found.histogram[1][:2]) == (math.inf, 1, (1, 2)) and low == 15
    assert [*found.names()][-1] == "15 and more" and found.ends() == ("0", "over 15")
    assert len(found.line()) == len(found.histogram) and found.line()[0] == "▄" and found.line()[-1] == "▁"


def test_numbers_of_things_have_no_half_bars():
    assert [bar[:2] for bar in spread([1, 2, 2, 3], whole=True).histogram] == [(0, 1), (1, 2), (2, 3), (3, 4)]


def test_quantiles_are_figures_that_are_there():
    found = spread([4, 1, 3, 2])
    assert [found.quantile(percent) for percent in (0, 25, 50, 75, 100)] == [1, 1, 2, 3, 4]
    assert found.mean == 2.5 and found.data()["p50"] == 2 and found.data()["histogram"][-1]["to"] is not None
