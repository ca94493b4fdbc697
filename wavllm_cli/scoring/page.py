"""Scores as one HTML page that needs nothing else: plots are inline SVG, placed here in per cent of their width."""

import math
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

import wavllm_cli
from wavllm_cli.console import visible
from wavllm_cli.scoring import shown
from wavllm_cli.scoring.metrics.wer import alignment
from wavllm_cli.scoring.published import SOURCES, published_for
from wavllm_cli.scoring.scores import Scores
from wavllm_cli.scoring.significance import Comparison
from wavllm_cli.text.normalize import get_normalizer

if TYPE_CHECKING:
    import jinja2

TEMPLATE = Path(__file__).with_name("page.html.jinja")
BINS = 20  # of a histogram, from nothing to 100 %
SHOWN_IDS = 200  # of the rows that failed in one way; scores.json has them all


def page(
    scores: Sequence[Scores],
    comparisons: Sequence[Comparison],
    published: bool,
    folder: Path,
    judge_prompt: str | None = None,
) -> str:
    """The page that shows everything scoring found.

    Args:
        scores: of one or more systems, the baseline first.
        comparisons: of the others with it.
        published: whether figures that others published stand beside ours, as hollow marks.
        folder: where the page will lie; recordings are linked from there.
        judge_prompt: what a model was told that judged answers, if one did.
    """
    return _template().render(
        scores=scores,
        comparisons=comparisons,
        judge_prompt=judge_prompt,
        sources=SOURCES if published else {},
        version=wavllm_cli.__version__,
        shown_ids=SHOWN_IDS,
        shown=shown,
        plot=lambda task, metric: interval_plot(scores, task, metric, published),
        histogram=histogram,
        is_plain=is_plain,
        words=lambda reference, text: alignment(reference, text, get_normalizer(scores[0].normalizer)),
        sort_key=sort_key,
        link=lambda audio: link(audio, folder),
    )


@cache
def _template() -> "jinja2.Template":
    import jinja2

    environment = jinja2.Environment(
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=lambda value: visible(value) if type(value) is str else value,  # markup has been through it
    )
    return environment.from_string(TEMPLATE.read_text(encoding="utf-8"))


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


def interval_plot(scores: Sequence[Scores], task: str, metric: str, published: bool) -> Plot:
    """The figures of all systems in one metric of one task with their intervals, and those of others below."""
    ours = [(s.system, f) for s in scores if (f := shown.find(s, task, metric))]
    others = published_for(task, metric) if published else []
    ends = [end for _, f in ours for end in (f.value, f.low, f.high)]
    axis = Axis.around(ends + [p.value for p in others])

    def place(value: float) -> float | None:
        return axis.at(value) if math.isfinite(value) else None

    def whisker(low: float, high: float) -> tuple[float, float] | None:
        return (axis.at(low), axis.at(high)) if math.isfinite(low) and math.isfinite(high) else None

    marks = [
        Mark(
            system,
            shown.amount(f.value, f.unit),
            shown.interval(f),
            shown.is_best(f, scores, task),
            place(f.value),
            whisker(f.low, f.high),
            "",
        )
        for system, f in ours
    ]
    marks += [Mark(p.system, shown.amount(p.value, p.unit), "", False, place(p.value), None, p.origin) for p in others]
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
    tallest, width = max(1, *counts), 100 / len(counts)
    sign = " %" if unit == "fraction" else ""
    edges = [f"{100 * i // BINS} to {100 * (i + 1) // BINS}{sign}" for i in range(BINS)] + [f"over 100{sign}"]
    return [
        Bar(round(i * width, 2), round(width, 2), round(100 * count / tallest, 2), f"{edges[i]}: {count} rows")
        for i, count in enumerate(counts)
    ]


def is_plain(values: Sequence[float]) -> bool:
    """Whether rows are only right or wrong, so that a histogram says no more than their mean."""
    return len({value for value in values if not math.isnan(value)}) <= 2


def sort_key(value: float) -> str:
    """A number as JavaScript reads it; NaN stands below all others."""
    return str(value) if math.isfinite(value) else "Infinity" if value > 0 else "-Infinity"


def link(audio: str, folder: Path) -> str:
    """The address of a recording, relative to the page's folder."""
    return quote(os.fsencode(Path(os.path.relpath(Path(audio).absolute(), folder.absolute())).as_posix()))
