"""A metric over some rows as statistics that add up: figure, interval and tests all come from sums of them."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

RESAMPLES = 1000
SEED = 12345
FEW = 8  # rows to each distinct one, from where on weights are drawn for those
BLOCK = 2_000_000  # bootstrap weights held in memory at once (16 bytes each)

References = Sequence[str | Sequence[str]]  # the right answer of each row, or several of them


@dataclass(frozen=True, eq=False)
class Measure:
    """One metric over N rows.

    Attributes:
        metric: its name, "wer".
        statistics: (N, K) numbers of each row that add up over rows, such as errors and reference words.
        figure: (R, K) sums of statistics -> (R,) figures; not finite where there is nothing to divide by.
        signature: what makes the figure reproducible.
        lower_is_better: of the figure.
        unit: "fraction" (0.05 is 5 %), or "points" out of a hundred, as sacrebleu counts.
        counts: what else is known about all rows together.
        notes: sentences without which the figure misleads.
    """

    metric: str
    statistics: "np.ndarray"
    figure: Callable[["np.ndarray"], "np.ndarray"]
    signature: str
    lower_is_better: bool = False
    unit: str = "fraction"
    counts: Mapping[str, int] = field(default_factory=dict)
    notes: Sequence[str] = ()

    @cached_property
    def value(self) -> float:
        """The figure of all rows together."""
        return float(self.figure(self.statistics.sum(axis=0, keepdims=True))[0])

    @cached_property
    def rows(self) -> "np.ndarray":
        """(N,) the figure of each row alone."""
        return self.figure(self.statistics)

    def interval(self, seed: int = SEED, resamples: int = RESAMPLES) -> tuple[float, float]:
        """The 95 % percentile interval of the figure, rows being drawn with replacement (Bisani and Ney, ICASSP 2004).

        Returns:
            low, high; NaN where no resample had anything to divide by.
        """
        if len(self.statistics) == 0:
            return math.nan, math.nan
        return percentile_interval(self.figure(resampled_sums(self.statistics, seed, resamples)))


def percentile_interval(figures: "np.ndarray") -> tuple[float, float]:
    """The ends of the percentile_interval 95 % of the finite figures, (R,); NaN where there are none."""
    import numpy as np

    figures = figures[np.isfinite(figures)]
    if len(figures) == 0:
        return math.nan, math.nan
    low, high = np.percentile(figures, [2.5, 97.5])
    return float(low), float(high)


def listed(references: References) -> list[list[str]]:
    """The right answers of each row as a list."""
    return [[texts] if isinstance(texts, str) else list(texts) for texts in references]


def check_pairs(references: Sequence[Any], hypotheses: Sequence[str]) -> None:
    """Every metric compares row by row.

    Raises:
        ValueError: the two differ in length.
    """
    if len(references) != len(hypotheses):
        raise ValueError(f"{len(references)} references but {len(hypotheses)} hypotheses")


def several(references: Sequence[Sequence[str]]) -> str:
    """What a signature says of rows with more than one reference: `|refs:4`, or `|refs:var` where they differ."""
    numbers = {len(texts) for texts in references}
    return "" if numbers <= {1} else f"|refs:{numbers.pop() if len(numbers) == 1 else 'var'}"


def resampled_sums(statistics: "np.ndarray", seed: int, resamples: int) -> "np.ndarray":
    """Sums of statistics over rows drawn with replacement.

    Rows with equal statistics are interchangeable, so that where there are few different ones, multinomial weights are
    drawn for these: 100,000 utterances of WER come down to a few hundred.

    Args:
        statistics: (N, K).

    Returns:
        (resamples, K).
    """
    import numpy as np

    n, rng = len(statistics), np.random.default_rng(seed)
    distinct, counts = np.unique(np.asarray(statistics, dtype=np.float64), axis=0, return_counts=True)
    few = len(distinct) <= n // FEW
    step = max(1, BLOCK // (len(distinct) if few else n))
    sizes = [min(step, resamples - start) for start in range(0, resamples, step)]
    if not few:
        return np.stack([drawn @ statistics for size in sizes for drawn in _times_drawn(rng, n, size)])
    share = counts / counts.sum()
    return np.concatenate([rng.multinomial(n, share, size=size).astype(np.float64) @ distinct for size in sizes])


def _times_drawn(rng: "np.random.Generator", n: int, resamples: int) -> "np.ndarray":
    """(resamples, n) how often each of n rows is drawn when as many are drawn with replacement."""
    import numpy as np

    drawn = rng.integers(n, size=(resamples, n))
    drawn += n * np.arange(resamples)[:, None]
    return np.bincount(drawn.ravel(), minlength=resamples * n).reshape(resamples, n)


def share(sums: "np.ndarray") -> "np.ndarray":
    """The figure of metrics that are a ratio of two sums: (R, 2) -> (R,); 0/0 is 0, x/0 infinite."""
    import numpy as np

    numerators, denominators = np.asarray(sums, dtype=np.float64).T
    empty = np.where(numerators > 0, math.inf, 0.0)
    return np.divide(numerators, denominators, out=empty, where=denominators != 0)


def known_share(sums: "np.ndarray") -> "np.ndarray":
    """As `share`, but NaN where nothing is counted: rows may be in no figure."""
    import numpy as np

    return np.where(np.asarray(sums)[:, 1] > 0, share(sums), np.where(np.asarray(sums)[:, 0] > 0, math.inf, math.nan))
