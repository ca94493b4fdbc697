"""How figures of many rows are spread: where most of them lie, and a histogram with round edges."""

import math
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np

BARS = 24  # of a histogram, about; one more for what is far above the rest
FAR = 99  # per cent of the rows are on the scale of a histogram, so that one long clip does not flatten it
STEPS = (1, 2, 5, 10)  # round widths of bars, times powers of ten
BLOCKS = " ▁▂▃▄▅▆▇█"


@dataclass
class Spread:
    """A figure of each row: 4 bytes.

    Attributes:
        name: what is counted, as headings have it.
        unit: of the figure; "" for numbers of things.
        whole: whether figures are whole numbers.
    """

    name: str
    unit: str = ""
    whole: bool = False

    def __post_init__(self) -> None:
        self._figures = array("f")

    def add(self, figure: float) -> None:
        self._figures.append(figure)

    @property
    def count(self) -> int:
        return len(self._figures)

    @cached_property
    def figures(self) -> np.ndarray:
        """(rows,), sorted, once all of them are there."""
        return np.sort(np.frombuffer(self._figures, np.float32))

    @property
    def mean(self) -> float:
        return float(self.figures.mean(dtype=np.float64))

    def quantile(self, percent: float) -> float:
        """The least figure that so many per cent of the rows do not exceed."""
        place = math.ceil(percent / 100 * self.count) - 1
        return float(self.figures[max(0, place)])

    @cached_property
    def histogram(self) -> list[tuple[float, float, int]]:
        """(from, to, rows) of each bar, from 0 on or below; the last one has what is far above, up to the greatest."""
        low, high = min(0.0, self.quantile(0)), self.quantile(FAR)
        step = max(_round_step((high - low) / BARS), 1.0 if self.whole else 0.0)
        edges = [step * i for i in range(math.floor(low / step), math.floor(high / step) + 2)]
        ends = [*(round(edge, 9) for edge in edges), math.inf]
        places = np.searchsorted(self.figures, ends, side="left").tolist()
        bars = [(a, b, j - i) for (a, b), (i, j) in zip(pairwise(ends), pairwise(places), strict=True)]
        return bars if bars[-1][2] else bars[:-1]

    def line(self) -> str:
        """The histogram in one line of text."""
        counts = [rows for _, _, rows in self.histogram]
        most = max(counts)
        return "".join(BLOCKS[math.ceil(rows / most * (len(BLOCKS) - 1))] for rows in counts)

    def data(self) -> dict[str, Any]:
        """For programs."""
        quantiles = {f"p{percent}": self.quantile(percent) for percent in (5, 25, 50, 75, 95)}
        bars = [
            {"from": low, "to": high if math.isfinite(high) else None, "rows": n} for low, high, n in self.histogram
        ]
        ends = {"least": self.quantile(0), "mean": self.mean, "most": self.quantile(100)}
        return {"unit": self.unit, "rows": self.count, **ends, **quantiles, "histogram": bars}

    def names(self) -> Iterator[str]:
        """What each bar of the histogram counts."""
        for low, high, _ in self.histogram:
            ends = f"{low:g} to {high:g}" if math.isfinite(high) else f"{low:g} and more"
            yield f"{ends} {self.unit}".strip()

    def ends(self) -> tuple[str, str]:
        """What stands below the first and the last bar."""
        low, high, _ = self.histogram[-1]
        last = f"{high:g}" if math.isfinite(high) else f"over {low:g}"
        return f"{self.histogram[0][0]:g}", f"{last} {self.unit}".strip()


def _round_step(width: float) -> float:
    """The least round number that is as wide."""
    if width <= 0:
        return 1.0
    magnitude = 10.0 ** math.floor(math.log10(width))
    return next(magnitude * step for step in STEPS if magnitude * step >= width * (1 - 1e-9))
