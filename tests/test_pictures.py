"""Where marks and bars of the page's pictures stand."""

import math
import random

import pytest
from results import figure, results, system, task

from wavllm_cli.scoring.published import Published
from wavllm_cli.scoring.report.pictures import Axis, histogram, interval_plot


@pytest.mark.parametrize(
    ("values", "ticks"),
    [
        ([0.0, 1.0], [0, 0.2, 0.4, 0.6, 0.8, 1.0]),
        ([23.0, 31.0], [22, 24, 26, 28, 30, 32]),
        ([0.021, 0.1027], [0.02, 0.04, 0.06, 0.08, 0.1, 0.12]),
        ([-1.0, 3.0], [-1, 0, 1, 2, 3]),
        ([math.nan, math.inf], [0, 0.2, 0.4, 0.6, 0.8, 1.0]),
    ],
)
def test_scales_have_round_ends(values, ticks):
    assert list(Axis.around(values).ticks) == pytest.approx(ticks)


def test_scales_hold_all_values():
    draw = random.Random(0)
    for _ in range(500):
        values = [draw.gauss(0, 10.0 ** draw.randint(-4, 4)) + draw.choice([0, 50]) for _ in range(draw.randint(1, 5))]
        axis = Axis.around(values)
        assert 3 <= len(axis.ticks) <= 6
        assert all(-1e-6 <= axis.at(value) <= 100 + 1e-6 for value in values)
    assert Axis.around([0.0]).at(0.0) == 0 and Axis.around([5.0, 5.0]).at(5.0) < 100


def test_marks_stand_where_their_figures_are():
    ours = system(asr=task(figure(value=0.5, half=0.5)))
    plot = interval_plot(results(ours), "asr", "wer")
    assert plot.ticks == [(0, "0"), (20, "20"), (40, "40"), (60, "60"), (80, "80"), (100, "100 %")]
    assert (plot.marks[0].x, plot.marks[0].whisker) == (50, (0, 100))
    other = Published(
        system="other", task="asr", corpus="toy", metric="wer", value=0.2, unit="fraction", source="paper"
    )
    both = interval_plot(results(ours, published={"asr": [other]}), "asr", "wer")
    assert [mark.x for mark in both.marks] == [50, 20]
    assert both.marks[1].origin == "toy; paper" and both.marks[1].whisker is None


def test_a_figure_that_is_not_finite_has_no_mark():
    (mark,) = interval_plot(results(system(asr=task(figure(value=math.inf, half=math.nan)))), "asr", "wer").marks
    assert (mark.x, mark.whisker, mark.value) == (None, None, "n/a")


def test_histograms_count_every_row_once():
    bars = histogram([0.0, 0.0, 0.049, 0.15, 1.0, 1.5, math.inf, math.nan], "fraction")
    counts = {bar.title.split(":")[0]: int(bar.title.split()[-2]) for bar in bars}
    assert {edges: n for edges, n in counts.items() if n} == {
        "0 to 5 %": 3,
        "15 to 20 %": 1,
        "95 to 100 %": 1,
        "over 100 %": 2,
    }
    assert [max(b.height for b in bars), bars[-1].height] == [100, pytest.approx(66.67)]
    assert bars[-1].x + bars[-1].width == pytest.approx(100, abs=0.1)


def test_histograms_of_points_go_to_a_hundred():
    bars = histogram([-2.0, 3.0, 55.0, 100.0], "points")
    assert len(bars) == 20
    assert [i for i, bar in enumerate(bars) if bar.height] == [0, 11, 19]
