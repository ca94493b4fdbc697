"""Two systems on the same rows: how far apart their figures are, whether chance explains it, and which rows decide."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from wavllm_cli.scoring.measure import RESAMPLES, SEED, Measure, percentile_interval, resampled_sums
from wavllm_cli.scoring.metrics import bleu
from wavllm_cli.scoring.tasks import Group

if TYPE_CHECKING:
    import numpy as np

TRIALS = 10_000  # of approximate randomisation
ALPHA = 0.05  # the p-value from which on a difference counts as chance
COINS = 500_000  # tossed at once, 8 bytes each: few enough for a processor's cache
ROUNDING = 1e-12  # two differences that are equal but for this are equal
MAX_CHANGES = 10
SACREBLEU_ROWS = 20_000  # its tests take 100 kB of memory a row; beyond, ours stand in, which differ by chance alone


@dataclass(frozen=True)
class Change:
    """A row on which two systems differ, with the figures and answers of both."""

    id: str
    prompt: str
    reference: str
    a: float
    b: float
    text_a: str
    text_b: str


@dataclass(frozen=True)
class Difference:
    """One metric of one task, b minus a, with its 95 % paired bootstrap interval.

    Attributes:
        p: of approximate randomisation, two-sided.
        p_bootstrap: of the paired bootstrap; of BLEU, chrF and TER it is sacrebleu's, which counts one tail only and is
            about half of what `paired_interval` gives.
        wins, ties, losses: rows on which b is better, equal, worse than a.
        changed: the rows that changed most.
    """

    task: str
    metric: str
    a: float
    b: float
    value: float
    low: float
    high: float
    p: float
    p_bootstrap: float
    wins: int
    ties: int
    losses: int
    unit: str
    lower_is_better: bool
    signature: str
    changed: list[Change]


@dataclass(frozen=True)
class Comparison:
    """System b against system a, the baseline."""

    a: str
    b: str
    differences: list[Difference]


def compare(a: Sequence[Group], b: Sequence[Group], names: tuple[str, str], seed: int = SEED) -> Comparison:
    """Compare two systems in every metric of every task.

    Args:
        a: the baseline's groups.
        b: the other's, of the same rows in the same order.
        names: of the two systems.
        seed: of resamples and trials.
    """
    differences = [
        _difference(group_a, group_b, measure_a, measure_b, seed)
        for group_a, group_b in zip(a, b, strict=True)
        for measure_a, measure_b in zip(group_a.measures, group_b.measures, strict=True)
    ]
    return Comparison(*names, differences)


def paired_interval(a: Measure, b: Measure, seed: int = SEED) -> tuple[float, float, float]:
    """The difference b minus a when the same rows are drawn with replacement for both.

    Returns:
        low and high of its 95 % interval, and the two-sided p-value: how often a resampled difference strays from the
        observed one at least as far as that lies from 0 (Koehn, EMNLP 2004, tests one side). NaN where there is no
        finite difference.
    """
    import numpy as np

    observed, width = b.value - a.value, a.statistics.shape[1]
    if not math.isfinite(observed) or len(a.statistics) == 0:
        return math.nan, math.nan, math.nan
    sums = resampled_sums(np.concatenate([a.statistics, b.statistics], axis=1), seed, RESAMPLES)
    with np.errstate(invalid="ignore"):  # infinite figures of resamples are left out
        differences = b.figure(sums[:, width:]) - a.figure(sums[:, :width])
    differences = differences[np.isfinite(differences)]
    if len(differences) == 0:
        return math.nan, math.nan, math.nan
    strayed = np.abs(differences - observed) >= abs(observed) - ROUNDING
    return *percentile_interval(differences), (int(strayed.sum()) + 1) / (len(differences) + 1)


def randomisation_test(a: Measure, b: Measure, seed: int = SEED, trials: int = TRIALS) -> float:
    """The two-sided p-value of approximate randomisation (Noreen 1989): how often systems that swap their answers row
    by row, as a coin decides, are at least as far apart.

    Returns:
        The p-value, from 1 / (trials + 1) on; NaN where the systems' own difference is not finite.
    """
    import numpy as np

    observed = abs(b.value - a.value)
    if not math.isfinite(observed):
        return math.nan
    gains = (b.statistics - a.statistics).astype(np.float64)  # what a wins, and b loses, when they swap a row
    gains = gains[gains.any(axis=1)]
    if len(gains) == 0:
        return 1.0
    sums_a, sums_b = a.statistics.sum(axis=0), b.statistics.sum(axis=0)
    rng = np.random.default_rng(seed)
    step = max(1, COINS // len(gains))
    at_least = 0
    for start in range(0, trials, step):
        tossed = rng.integers(256, size=(min(step, trials - start), -(-len(gains) // 8)), dtype=np.uint8)
        swapped = np.unpackbits(tossed, axis=1, count=len(gains)).astype(np.float64) @ gains
        apart = np.abs(b.figure(sums_b - swapped) - a.figure(sums_a + swapped))
        at_least += int((apart >= observed - ROUNDING).sum())
    return (at_least + 1) / (trials + 1)


def significantly_best(
    systems: Mapping[str, Sequence[Group]], comparisons: Sequence[Comparison], seed: int = SEED
) -> frozenset[tuple[str, str, str]]:
    """(task, metric, system) of each figure that beats those of all other systems, none of them by chance.

    Args:
        systems: their groups, the baseline's first.
        comparisons: of the others with the baseline.
        seed: of the trials with two others.
    """
    names = list(systems)
    known = {(c.b, d.task, d.metric): d.p for c in comparisons for d in c.differences}
    found = set()
    for groups in zip(*systems.values(), strict=True):
        for measures in zip(*(group.measures for group in groups), strict=True):
            task, metric = groups[0].name, measures[0].metric
            values = [-m.value if m.lower_is_better else m.value for m in measures]
            best = values.index(max(values))
            ps = []
            for other in (i for i in range(len(names)) if i != best):
                if 0 in (best, other):
                    ps.append(known[names[best or other], task, metric])
                else:
                    ps.append(_tests(measures[best], measures[other], seed)[0])
            if ps and all(p < ALPHA for p in ps):
                found.add((task, metric, names[best]))
    return frozenset(found)


def _tests(a: Measure, b: Measure, seed: int) -> tuple[float, float | None]:
    """p of approximate randomisation and, where sacrebleu itself does the testing, of its paired bootstrap."""
    few = len(a.statistics) <= SACREBLEU_ROWS
    if few and isinstance(a, bleu.TranslationMeasure) and isinstance(b, bleu.TranslationMeasure):
        return bleu.paired_test(a, b, seed)
    return randomisation_test(a, b, seed), None


def _difference(group_a: Group, group_b: Group, a: Measure, b: Measure, seed: int) -> Difference:
    import numpy as np

    low, high, p_ours = paired_interval(a, b, seed)
    p, p_sacrebleu = _tests(a, b, seed)
    with np.errstate(invalid="ignore"):
        gains = np.nan_to_num((a.rows - b.rows) if a.lower_is_better else (b.rows - a.rows))
    return Difference(
        task=group_a.name,
        metric=a.metric,
        a=a.value,
        b=b.value,
        value=b.value - a.value,
        low=low,
        high=high,
        p=p,
        p_bootstrap=p_ours if p_sacrebleu is None else p_sacrebleu,
        wins=int((gains > 0).sum()),
        ties=int((gains == 0).sum()),
        losses=int((gains < 0).sum()),
        unit=a.unit,
        lower_is_better=a.lower_is_better,
        signature=a.signature,
        changed=_changes(group_a, group_b, a, b, np.abs(gains)),
    )


def _changes(group_a: Group, group_b: Group, a: Measure, b: Measure, sizes: "np.ndarray") -> list[Change]:
    most = [int(i) for i in (-sizes).argsort(kind="stable")[:MAX_CHANGES] if sizes[i]]
    return [
        Change(
            id=group_a.scored[i].id,
            prompt=group_a.scored[i].prompt,
            reference=group_a.scored[i].target or "",
            a=float(a.rows[i]),
            b=float(b.rows[i]),
            text_a=group_a.scored[i].text,
            text_b=group_b.scored[i].text,
        )
        for i in most
    ]
