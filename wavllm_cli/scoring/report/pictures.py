"""The pictures of the page: marks and bars, placed in per cent of a picture's width."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from wavllm_cli.scoring.report.table import amount, interval
from wavllm_cli.scoring.report.tables import Results

BINS = 20  # of a histogram, from nothing to 100 %


@dataclass(frozen=True)
class Axis:
    """A scale whose ends are round numbers."""

    ticks: Sequence[float]

    @classmethod
    def around(cls, values: Iterable[float]) -> "Axis":
        """The smallest scale of three to six ticks that holds all finite values; from 0 to 1 if there are none."""
        finite = [value for value in values if math.isfinite(value)] or [0.0, 1.0]
        low, high = min(finite), max(finite)
        width = (high - low) or abs(high) or 1.0
        magnitude = 10.0 ** math.floor(math.log10(width))
        for step in (magnitude * factor for factor in (0.2, 0.25, 0.5, 1, 2, 2.5, 5)):
            first, last = math.floor(low / step), math.ceil(high / step)
            if last - first <= 5:
                break
        # A single value on a tick would have a scale of no width.
        last = max(last, first + 2)
        return cls([round(i * step, 12) for i in range(first, last + 1)])

    def at(self, value: float) -> float:
        """Where a value lies, in per cent of the width."""
        return round(100 * (value - self.ticks[0]) / (self.ticks[-1] - self.ticks[0]), 2)


@dataclass(frozen=True)
class Mark:
    """One line of an interval plot; positions in per cent of the width, None where there is nothing to mark."""

    system: str
    value: str
    interval: str
    best: bool
    x: float | None
    whisker: tuple[float, float] | None
    origin: str  # of a published figure; "" for ours

    @property
    def title(self) -> str:
        return f"{self.system}: {self.value}" + (f" ({self.interval or self.origin})" if self.x is not None else "")


@dataclass(frozen=True)
class Plot:
    """Marks on a common scale: `ticks` are positions and labels."""

    marks: Sequence[Mark]
    ticks: Sequence[tuple[float, str]]


def interval_plot(results: Results, task: str, metric: str) -> Plot:
    """The figures of all systems in one metric of one task with their intervals, and those of others below."""
    ours = results.figures(task)[metric]
    others = results.published_of(task, metric)
    axis = Axis.around([end for _, f in ours for end in (f.value, f.low, f.high)] + [p.value for p in others])
    marks = []
    for system, f in ours:
        whisker = (axis.at(f.low), axis.at(f.high)) if math.isfinite(f.low) and math.isfinite(f.high) else None
        x = axis.at(f.value) if math.isfinite(f.value) else None
        best = (task, metric, system) in results.best
        marks.append(Mark(system, amount(f.value, f.unit), interval(f.low, f.high, f.unit), best, x, whisker, ""))
    for p in others:
        marks.append(Mark(p.system, amount(p.value, p.unit), "", False, axis.at(p.value), None, p.origin))
    factor, sign = (100, " %") if ours[0][1].unit == "fraction" else (1, "")
    labels = [f"{factor * tick:g}" for tick in axis.ticks]
    labels[-1] += sign
    return Plot(marks, [(axis.at(tick), text) for tick, text in zip(axis.ticks, labels, strict=True)])


@dataclass(frozen=True)
class Bar:
    """One bar of a histogram; `x`, `width` and `height` in per cent of the plot."""

    x: float
    width: float
    height: float
    title: str


def histogram(values: Sequence[float], unit: str) -> list[Bar]:
    """How the figures of single rows are distributed: `BINS` bars up to 100 %, and one for what is above if any is.

    Args:
        values: one per row; NaN is left out.
        unit: as in `Measure`.
    """
    scale = 1.0 if unit == "fraction" else 100.0
    # A tiny bit is added so that 0.15 counts as 15 %, whatever 0.15 * 20 is in binary.
    counts = [0] * (BINS + 1)
    for value in (v / scale for v in values if not math.isnan(v)):
        counts[BINS if value > 1 else min(BINS - 1, max(0, int(value * BINS + 1e-9)))] += 1
    if not counts[BINS]:
        counts.pop()
    sign = " %" if unit == "fraction" else ""
    edges = [f"{100 * i // BINS} to {100 * (i + 1) // BINS}{sign}" for i in range(BINS)] + [f"over 100{sign}"]
    return bars(counts, edges)


def bars(counts: Sequence[int], names: Sequence[str]) -> list[Bar]:
    """A bar for each count of rows, side by side, the tallest as high as the plot; titles name and count."""
    tallest, width = max(1, *counts), 100 / len(counts)
    return [
        Bar(round(i * width, 2), round(width, 2), round(100 * count / tallest, 2), f"{name}: {count} rows")
        for i, (count, name) in enumerate(zip(counts, names, strict=False))
    ]


@dataclass(frozen=True)
class LineChart:
    """Lines on common scales.

    Attributes:
        lines: names, and points as an SVG polyline takes them, in per cent of the plot from its upper left corner.
        across, up: positions on the two scales, from the left and from above, and labels.
    """

    lines: Sequence[tuple[str, str]]
    across: Sequence[tuple[float, str]]
    up: Sequence[tuple[float, str]]


def line_chart(lines: Mapping[str, Sequence[tuple[float, float]]]) -> LineChart:
    """Several series of (x, y) by their names; y that is not finite is left out."""
    drawn = {name: [(x, y) for x, y in points if math.isfinite(y)] for name, points in lines.items()}
    everything = [point for points in drawn.values() for point in points]
    across, up = Axis.around(x for x, _ in everything), Axis.around(y for _, y in everything)
    return LineChart(
        [(name, " ".join(f"{across.at(x)},{_from_above(up, y)}" for x, y in points)) for name, points in drawn.items()],
        [(across.at(tick), f"{tick:g}") for tick in across.ticks],
        [(_from_above(up, tick), f"{tick:g}") for tick in up.ticks],
    )


def _from_above(axis: Axis, value: float) -> float:
    return round(100 - axis.at(value), 2)
