"""Word and character error rates, counted by jiwer."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from importlib.metadata import version
from typing import TYPE_CHECKING

from wavllm_cli.scoring.measure import Measure, check_pairs, share
from wavllm_cli.scoring.metrics.metric import Metric, Texts
from wavllm_cli.text.normalize import Normalizer, normalizers_named

if TYPE_CHECKING:
    from jiwer import AlignmentChunk, CharacterOutput, WordOutput

Rate = Callable[[Sequence[str], Sequence[str], Normalizer], Measure]

PAIRS = 100  # aligned in one call: more alignments at once fill memory and keep Python's garbage collector busy


def word_error_rate(references: Sequence[str], hypotheses: Sequence[str], normalizer: Normalizer) -> Measure:
    """(substitutions + deletions + insertions) / reference words, after normalising both sides.

    The statistics of a row are its errors and its reference words. An empty hypothesis is all deletions, an empty
    reference insertions only. Without a single reference word the rate is 0 if nothing was said, else infinite (jiwer
    itself returns the number of insertions there).

    Raises:
        ValueError: the two sequences differ in length.
    """
    import jiwer

    return _error_rate("wer", jiwer.process_words, "reference_words", references, hypotheses, normalizer)


def character_error_rate(references: Sequence[str], hypotheses: Sequence[str], normalizer: Normalizer) -> Measure:
    """As `word_error_rate`, over characters: spaces between words count, those around a text do not."""
    import jiwer

    return _error_rate("cer", jiwer.process_characters, "reference_characters", references, hypotheses, normalizer)


def alignment(reference: str, hypothesis: str, normalizer: Normalizer) -> list[tuple[str, str, str]]:
    """The runs of words that one pair's alignment consists of, from left to right.

    Returns:
        ("equal", "substitute", "delete" or "insert", the reference's words, the hypothesis' words) of each run; the
        words of a deletion's hypothesis and of an insertion's reference are "".
    """
    import jiwer

    aligned = jiwer.process_words(normalizer(reference), normalizer(hypothesis))
    (ref,), (hyp,), (chunks,) = aligned.references, aligned.hypotheses, aligned.alignments
    return [
        (c.type, " ".join(ref[c.ref_start_idx : c.ref_end_idx]), " ".join(hyp[c.hyp_start_idx : c.hyp_end_idx]))
        for c in chunks
    ]


def _error_rate(
    metric: str,
    process: "Callable[[list[str], list[str]], WordOutput | CharacterOutput]",
    units: str,
    references: Sequence[str],
    hypotheses: Sequence[str],
    normalizer: Normalizer,
) -> Measure:
    import numpy as np

    check_pairs(references, hypotheses)
    counts = dict.fromkeys(("substitutions", "deletions", "insertions", "hits"), 0)
    rows: list[tuple[int, int]] = []
    for start in range(0, len(references), PAIRS):
        block = slice(start, start + PAIRS)
        aligned = process([normalizer(t) for t in references[block]], [normalizer(t) for t in hypotheses[block]])
        rows += [(_errors(row), len(ref)) for row, ref in zip(aligned.alignments, aligned.references, strict=True)]
        for name in counts:
            counts[name] += getattr(aligned, name)
    statistics = np.array(rows, dtype=np.int64).reshape(-1, 2)
    return Measure(
        metric=metric,
        statistics=statistics,
        figure=share,
        signature=f"{metric}|norm:{normalizer.name}|jiwer:{version('jiwer')}",
        lower_is_better=True,
        counts=counts | {units: int(statistics[:, 1].sum())},
    )


def _errors(row: "Sequence[AlignmentChunk]") -> int:
    """The length of a run is that of its longer side: the other is as long, or empty."""
    return sum(
        max(chunk.ref_end_idx - chunk.ref_start_idx, chunk.hyp_end_idx - chunk.hyp_start_idx)
        for chunk in row
        if chunk.type != "equal"
    )


def _each_normalizer(rate: Rate, given: Texts) -> Iterator[Measure]:
    """One figure, or one for each normaliser under its name: "wer/lower"."""
    normalizers = normalizers_named(given.normalizer)
    for normalizer in normalizers:
        measure = rate(given.targets, given.texts, normalizer)
        yield replace(measure, metric=f"{measure.metric}/{normalizer.name}") if len(normalizers) > 1 else measure


def _metric(code: str, name: str, rate: Rate, unit: str) -> Metric[Texts]:
    meaning = f"{unit} that are wrong, missing or too many, for all {unit} that were said"
    return Metric(code, name, Texts, partial(_each_normalizer, rate), lower_is_better=True, meaning=meaning)


METRICS = (
    _metric("wer", "word error rate", word_error_rate, "words"),
    _metric("cer", "character error rate", character_error_rate, "characters"),
)
