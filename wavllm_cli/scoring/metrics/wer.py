"""Word and character error rates, counted by jiwer."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from importlib.metadata import version
from typing import TYPE_CHECKING

from wavllm_cli.scoring.measure import Measure, check_pairs, known_share, share
from wavllm_cli.scoring.metrics.metric import Metric, Texts
from wavllm_cli.text.normalize import Normalizer, erases, normalizers_named

if TYPE_CHECKING:
    from jiwer import AlignmentChunk, CharacterOutput, WordOutput

Rate = Callable[[Sequence[str], Sequence[str], Normalizer], Measure]

PAIRS = 100  # aligned in one call: more alignments at once fill memory and keep Python's garbage collector busy


def word_error_rate(references: Sequence[str], hypotheses: Sequence[str], normalizer: Normalizer) -> Measure:
    """(substitutions + deletions + insertions) / reference words, after normalising both sides.

    The statistics of a row are its errors and its reference words. An empty hypothesis is all deletions, an empty
    reference insertions only. Without a single reference word the rate is 0 if nothing was said, else infinite (jiwer
    itself returns the number of insertions there). Rows whose words the normaliser erases are counted apart.

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
    pairs = [_normalized(pair, normalizer) for pair in zip(references, hypotheses, strict=True)]
    read = [pair for pair in pairs if pair]
    found: list[tuple[int, int]] = []
    for start in range(0, len(read), PAIRS):
        block = read[start : start + PAIRS]
        aligned = process([reference for reference, _ in block], [hypothesis for _, hypothesis in block])
        found += [(_errors(row), len(ref)) for row, ref in zip(aligned.alignments, aligned.references, strict=True)]
        for name in counts:
            counts[name] += getattr(aligned, name)
    statistics = np.zeros((len(pairs), 2), dtype=np.int64)
    statistics[[pair is not None for pair in pairs]] = np.array(found, dtype=np.int64).reshape(-1, 2)
    erased = len(pairs) - len(read)
    return Measure(
        metric=metric,
        statistics=statistics,
        figure=known_share if erased else share,
        signature=f"{metric}|norm:{normalizer.signature}|jiwer:{version('jiwer')}",
        lower_is_better=True,
        counts=counts | {units: int(statistics[:, 1].sum())} | ({"erased": erased} if erased else {}),
        notes=[_erasing(normalizer, erased, len(pairs))] if erased else [],
    )


def _normalized(pair: tuple[str, str], normalizer: Normalizer) -> tuple[str, str] | None:
    """Both sides; None where the normaliser erases the words of the reference, or of what is said into silence."""
    reference, hypothesis = normalizer(pair[0]), normalizer(pair[1])
    if erases(pair[0], reference) or (not reference and erases(pair[1], hypothesis)):
        return None
    return reference, hypothesis


def _erasing(normalizer: Normalizer, erased: int, of: int) -> str:
    return (
        f"The normaliser '{normalizer.name}' does not fit the script of {erased} of {of} rows: it erases letters or "
        "signs of vowels, so that these rows are in no error rate. Take another one, such as --normalizer basic."
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
    normalizers = [replace(normalizer, language=given.language) for normalizer in normalizers_named(given.normalizer)]
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
