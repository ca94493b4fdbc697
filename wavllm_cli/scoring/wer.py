"""Word error rate by jiwer, and the bootstrap interval shared by every metric that is a ratio of sums."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import TYPE_CHECKING

from wavllm_cli.scoring.normalize import get_normalizer

if TYPE_CHECKING:
    import numpy as np

RESAMPLES = 1000
SEED = 12345
BLOCK = 2_000_000  # bootstrap weights held in memory at once (16 bytes each)


@dataclass(frozen=True)
class WordErrorRate:
    """A corpus-level word error rate (a fraction, can exceed 1), its 95 % interval and what it is made of."""

    value: float
    low: float
    high: float
    n: int
    substitutions: int
    deletions: int
    insertions: int
    hits: int
    reference_words: int
    signature: str


def word_counts(references: Sequence[str], hypotheses: Sequence[str]) -> "np.ndarray":
    """Align each pair of already normalised texts.

    Returns:
        (N, 4) integers: hits, substitutions, deletions, insertions. Hits, substitutions and deletions add up to the
        reference's words: an empty reference gives insertions only, an empty hypothesis deletions only.
    """
    import jiwer
    import numpy as np

    columns = {"equal": 0, "substitute": 1, "delete": 2, "insert": 3}
    counts = [[0, 0, 0, 0] for _ in references]
    # Without references nothing is aligned: jiwer takes an empty list for one empty sentence.
    alignments = jiwer.process_words(list(references), list(hypotheses)).alignments if references else []
    for row, alignment in zip(counts, alignments, strict=True):
        for chunk in alignment:
            length = max(chunk.ref_end_idx - chunk.ref_start_idx, chunk.hyp_end_idx - chunk.hyp_start_idx)
            row[columns[chunk.type]] += length
    return np.array(counts, dtype=np.int64).reshape(-1, 4)


def word_error_rate(
    references: Sequence[str], hypotheses: Sequence[str], normalizer: str = "basic", seed: int = SEED
) -> WordErrorRate:
    """Score hypotheses against references, both normalised by the same named normaliser.

    The rate is (substitutions + deletions + insertions) / reference words, over the corpus. Without a single reference
    word it is 0 if nothing was said, else infinite (jiwer itself returns the number of insertions there).

    Raises:
        ValueError: the two sequences differ in length.
        UsageError: unknown normaliser.
    """
    if len(references) != len(hypotheses):
        raise ValueError(f"{len(references)} references but {len(hypotheses)} hypotheses")
    normalize = get_normalizer(normalizer)
    counts = word_counts([normalize(t) for t in references], [normalize(t) for t in hypotheses])
    hits, substitutions, deletions, insertions = (int(total) for total in counts.sum(axis=0))
    words = hits + substitutions + deletions
    low, high = bootstrap_interval(counts[:, 1:].sum(axis=1), counts[:, :3].sum(axis=1), seed)
    return WordErrorRate(
        value=ratio(substitutions + deletions + insertions, words),
        low=low,
        high=high,
        n=len(references),
        substitutions=substitutions,
        deletions=deletions,
        insertions=insertions,
        hits=hits,
        reference_words=words,
        signature=f"wer|norm:{normalizer}|jiwer:{version('jiwer')}",
    )


def ratio(numerator: float, denominator: float) -> float:
    """A fraction that is 0 for 0/0 and infinite for x/0."""
    if denominator:
        return numerator / denominator
    return math.inf if numerator else 0.0


def bootstrap_interval(
    numerators: "np.ndarray", denominators: "np.ndarray", seed: int = SEED, resamples: int = RESAMPLES
) -> tuple[float, float]:
    """The 95 % percentile interval of sum(numerators) / sum(denominators) when utterances are drawn with replacement.

    Utterances with equal counts are interchangeable, so the multinomial weights are drawn for distinct pairs: 100,000
    utterances of WER come down to a few hundred. (Bisani and Ney, ICASSP 2004.)

    Args:
        numerators: (N,) e.g. errors per utterance.
        denominators: (N,) e.g. reference words per utterance.

    Returns:
        low, high; NaN where no resample had anything to divide by.
    """
    import numpy as np

    if len(numerators) == 0:
        return math.nan, math.nan
    pairs, counts = np.unique(np.stack([numerators, denominators], axis=1), axis=0, return_counts=True)
    share = counts / counts.sum()
    rng = np.random.default_rng(seed)
    step = max(1, BLOCK // len(pairs))
    sizes = [min(step, resamples - start) for start in range(0, resamples, step)]
    sums = np.concatenate([rng.multinomial(len(numerators), share, size=size) @ pairs for size in sizes])
    sums = sums[sums[:, 1] > 0]
    if len(sums) == 0:
        return math.nan, math.nan
    low, high = np.percentile(sums[:, 0] / sums[:, 1], [2.5, 97.5])
    return float(low), float(high)
