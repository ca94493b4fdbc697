"""Metrics of answers that are one of a few: accuracy, macro-F1, balanced accuracy, and the confusion matrix.

An answer that could not be read is wrong: it is nobody's class, counts as such, and has a column of its own.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import wavllm_cli
from wavllm_cli.scoring.measure import Measure, References, check_pairs, listed, several, share
from wavllm_cli.scoring.metrics.metric import Labels, Metric, Texts
from wavllm_cli.tasks.answers.commitment import NO_MENTION, SEVERAL
from wavllm_cli.text.normalize import basic

if TYPE_CHECKING:
    import numpy as np


def accuracy(answers: Sequence[str], keys: Sequence[str], kind: str) -> Measure:
    """The share of right answers.

    Args:
        answers: results of `read_letter`, `read_yes_no` or `read_emotion`.
        keys: the right answers, same length.
        kind: what the answers are, for the signature.

    Raises:
        ValueError: the two sequences differ in length.
    """
    import numpy as np

    check_pairs(keys, answers)
    right = np.array([answer == key for answer, key in zip(answers, keys, strict=True)], dtype=np.float64)
    counts = {
        "correct": int(right.sum()),
        NO_MENTION: sum(answer == NO_MENTION for answer in answers),
        SEVERAL: sum(answer == SEVERAL for answer in answers),
    }
    return Measure(
        "accuracy", np.stack([right, np.ones_like(right)], axis=1), share, _signature("accuracy", kind), counts=counts
    )


def macro_f1(answers: Sequence[str], keys: Sequence[str], kind: str) -> Measure:
    """The mean F1 of the classes that occur among the keys; NaN without any row. Arguments as for `accuracy`."""
    return _by_class("macro_f1", answers, keys, kind, lambda right, given, true: 2 * right / (given + true))


def balanced_accuracy(answers: Sequence[str], keys: Sequence[str], kind: str) -> Measure:
    """The mean recall of the classes that occur among the keys: guessing the commonest one gains nothing.

    NaN without any row. Arguments as for `accuracy`.
    """
    return _by_class("balanced_accuracy", answers, keys, kind, lambda right, given, true: right / true)


def exact(references: References, texts: Sequence[str]) -> Measure:
    """The share of texts that say just what a reference does, after `normalize.basic`; nothing is never right.

    Args:
        references: one or more a row.
        texts: same length.
    """
    import numpy as np

    references = listed(references)
    pairs = zip(references, texts, strict=True)
    equal = [bool(said := basic(text)) and said in map(basic, right) for right, text in pairs]
    statistics = np.array([(same, 1) for same in equal], dtype=np.float64).reshape(-1, 2)
    signature = f"exact|norm:basic{several(references)}|wavllm:{wavllm_cli.__version__}"
    return Measure("exact", statistics, share, signature)


def confusion(answers: Sequence[str], keys: Sequence[str]) -> dict[str, dict[str, int]]:
    """Right answer -> given answer -> rows; classes in alphabetical order, what could not be read last."""
    classes = sorted({*answers, *keys} - {NO_MENTION, SEVERAL})
    given = [*classes, *(unread for unread in (NO_MENTION, SEVERAL) if unread in answers)]
    matrix = {key: dict.fromkeys(given, 0) for key in sorted(set(keys))}
    for answer, key in zip(answers, keys, strict=True):
        matrix[key][answer] += 1
    return matrix


def _by_class(
    metric: str,
    answers: Sequence[str],
    keys: Sequence[str],
    kind: str,
    score: Callable[["np.ndarray", "np.ndarray", "np.ndarray"], "np.ndarray"],
) -> Measure:
    """A metric that is the mean of a score over classes; the score is of rows that are rightly and that are ever given
    the class, and of rows that truly have it."""
    import numpy as np

    check_pairs(keys, answers)
    classes = np.array(sorted(set(keys)))
    given = np.array(answers)[:, None] == classes
    true = np.array(keys)[:, None] == classes
    statistics = np.concatenate([given & true, given, true], axis=1).astype(np.float64)

    def figure(sums: "np.ndarray") -> "np.ndarray":
        right, guessed, there = np.split(sums, 3, axis=1)
        with np.errstate(invalid="ignore"):  # 0/0 of a class that a resample lacks, which is left out
            return np.nansum(score(right, guessed, there), axis=1) / (there > 0).sum(axis=1)

    return Measure(metric, statistics, figure, _signature(metric, kind))


def _signature(metric: str, kind: str) -> str:
    return f"{metric}|answer:{kind}|wavllm:{wavllm_cli.__version__}"


def _metric(
    code: str, name: str, meaning: str, of: Callable[[Sequence[str], Sequence[str], str], Measure]
) -> Metric[Labels]:
    return Metric(code, name, Labels, lambda given: [of(given.answers, given.keys, given.kind)], meaning=meaning)


METRICS = (
    Metric(
        "exact",
        "exact match",
        Texts,
        lambda given: [exact(given.references, given.texts)],
        meaning="answers that say just what a reference does",
    ),
    _metric("accuracy", "accuracy", "answers that commit to what is right", accuracy),
    _metric("balanced_accuracy", "balanced accuracy", "right answers, each class counting alike", balanced_accuracy),
    _metric("macro_f1", "macro-averaged F1", "F1 of precision and recall, each class counting alike", macro_f1),
)
