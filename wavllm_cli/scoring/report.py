"""Hypotheses in, scores out: per task its metrics with intervals, what failed, and what nothing here can score yet."""

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import wavllm_cli
from wavllm_cli.data.files import write_text
from wavllm_cli.data.manifest import Hypothesis
from wavllm_cli.errors import UsageError
from wavllm_cli.scoring import choice
from wavllm_cli.scoring.normalize import basic, get_normalizer
from wavllm_cli.scoring.wer import RESAMPLES, SEED, bootstrap_interval, ratio, word_error_rate


@dataclass(frozen=True)
class Score:
    """One figure: a fraction (0.05 is 5 %) with its 95 % bootstrap interval, over n rows (parts_in_order: n parts)."""

    metric: str
    value: float
    low: float
    high: float
    n: int
    signature: str
    counts: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class TaskScores:
    """Everything known about one task.

    `failures`: rows whose answer is empty, without a choice (unanswered), or with two (ambiguous), and rows without
    a reference.
    `not_scored`: rows that no metric covers; they are in no figure.
    """

    n: int
    metrics: list[Score]
    failures: dict[str, int]
    not_scored: int


@dataclass(frozen=True)
class Scores:
    """What `score` returns: writes itself as scores.json and as rows for a table."""

    tasks: dict[str, TaskScores]
    systems: list[str]
    normalizer: str
    seed: int

    def as_dict(self) -> dict[str, object]:
        """The content of scores.json; a figure that is not finite becomes null."""
        tasks = {
            task: {
                "n": result.n,
                "metrics": {
                    s.metric: {k: v for k, v in _finite(asdict(s)).items() if k != "metric"} for s in result.metrics
                },
                "failures": result.failures,
                "not_scored": result.not_scored,
            }
            for task, result in self.tasks.items()
        }
        return {
            "wavllm": wavllm_cli.__version__,
            "systems": self.systems,
            "normalizer": self.normalizer,
            "bootstrap": {"resamples": RESAMPLES, "seed": self.seed, "confidence": 0.95},
            "tasks": tasks,
        }

    def write(self, path: str | Path) -> None:
        """Write scores.json atomically: a reader sees the old file or the new one.

        Raises:
            WavLLMError: nothing can be written there.
        """
        write_text(Path(path), json.dumps(self.as_dict(), indent=2, ensure_ascii=False) + "\n")

    def table(self) -> tuple[list[str], list[list[str]]]:
        """Column names and rows, ready for `console.table`; values in per cent."""
        rows = []
        for task, result in self.tasks.items():
            failures = ", ".join(f"{n} {kind.replace('_', ' ')}" for kind, n in result.failures.items() if n) or "none"
            for s in result.metrics:
                interval = f"{_percent(s.low)} – {_percent(s.high)}"
                rows.append([task, s.metric, _percent(s.value), interval, str(s.n), failures])
            if result.not_scored:
                rows.append([task, "not scored", "–", "–", str(result.not_scored), failures])
        return ["task", "metric", "%", "95 % interval", "n", "failures"], rows

    def signatures(self) -> list[str]:
        """What makes each figure reproducible, one entry per distinct signature (too wide for a column)."""
        return list(dict.fromkeys(s.signature for result in self.tasks.values() for s in result.metrics))


Scorer = Callable[[list[Hypothesis], list, str, int], list[Score]]


def score(hypotheses: Sequence[Hypothesis], normalizer: str = "basic", seed: int = SEED) -> Scores:
    """Score every task that has a metric; an empty answer counts as fully wrong.

    Args:
        hypotheses: rows of a hypotheses.jsonl.
        normalizer: for WER; see `normalize.NORMALIZERS`.
        seed: of the bootstrap.

    Raises:
        UsageError: there are no rows, or the normaliser is unknown.
    """
    get_normalizer(normalizer)
    if not hypotheses:
        raise UsageError("There are no hypotheses to score: the file has no rows.")
    by_task: dict[str, list[Hypothesis]] = {}
    for row in hypotheses:
        by_task.setdefault(row.task, []).append(row)
    order = [*(t for t in SCORERS if t in by_task), *sorted(by_task.keys() - SCORERS.keys())]
    return Scores(
        tasks={task: _score_task(task, by_task[task], normalizer, seed) for task in order},
        systems=sorted({row.system for row in hypotheses if row.system}),
        normalizer=normalizer,
        seed=seed,
    )


def parts_in_order(row: Hypothesis) -> int:
    """How many of a row's parts have their target in the answer, word for word, each after the one before.

    A first measure that needs no judge: a one-letter target is also found in a stray word of one letter.
    """
    words, found, start = f" {basic(row.text)} ", 0, 0
    for part in row.parts or ():
        target = f" {basic(part.target or '')} "
        place = words.find(target, start)
        if place >= 0:
            found += 1
            start = place + len(target) - 1
    return found


def _score_task(task: str, rows: list[Hypothesis], normalizer: str, seed: int) -> TaskScores:
    failures = {
        "empty": sum(not row.text.strip() for row in rows),
        "missing_reference": sum(row.target is None and not row.parts for row in rows),
    }
    if task not in SCORERS:
        return TaskScores(len(rows), [], failures, not_scored=len(rows))
    reference, scorer = SCORERS[task]
    pairs = [(row, key) for row in rows if (key := reference(row)) is not None]
    metrics = scorer([row for row, _ in pairs], [key for _, key in pairs], normalizer, seed) if pairs else []
    if any("unanswered" in s.counts for s in metrics):
        empty = sum(not row.text.strip() for row, _ in pairs)
        failures["unanswered"] = metrics[0].counts["unanswered"] - empty
        failures["ambiguous"] = metrics[0].counts["ambiguous"]
    return TaskScores(len(rows), metrics, failures, not_scored=len(rows) - len(pairs))


def _wer(rows: list[Hypothesis], references: list[str], normalizer: str, seed: int) -> list[Score]:
    r = word_error_rate(references, [row.text for row in rows], normalizer, seed)
    names = ("substitutions", "deletions", "insertions", "hits", "reference_words")
    return [Score("wer", r.value, r.low, r.high, r.n, r.signature, {name: getattr(r, name) for name in names})]


def _accuracy(read: Callable[[Hypothesis], str], kind: str) -> Scorer:
    def scorer(rows: list[Hypothesis], keys: list[str], normalizer: str, seed: int) -> list[Score]:
        r = choice.accuracy([read(row) for row in rows], keys, kind, seed)
        counts = {"correct": r.correct, "unanswered": r.unanswered, "ambiguous": r.ambiguous}
        return [Score("accuracy", r.value, r.low, r.high, r.n, r.signature, counts)]

    return scorer


def _exact(rows: list[Hypothesis], references: list[str], normalizer: str, seed: int) -> list[Score]:
    right = [int(basic(row.text) == basic(ref) != "") for row, ref in zip(rows, references, strict=True)]
    return [_share("exact", right, [1] * len(rows), seed)]


def _multi(rows: list[Hypothesis], parts: list[int], normalizer: str, seed: int) -> list[Score]:
    found = [parts_in_order(row) for row in rows]
    whole = [int(f == n) for f, n in zip(found, parts, strict=True)]
    return [_share("exact", whole, [1] * len(rows), seed), _share("parts_in_order", found, parts, seed)]


def _share(metric: str, found: list[int], of: list[int], seed: int) -> Score:
    import numpy as np

    low, high = bootstrap_interval(np.array(found), np.array(of), seed)
    signature = f"{metric}|norm:basic|wavllm:{wavllm_cli.__version__}"
    return Score(metric, ratio(sum(found), sum(of)), low, high, sum(of), signature)


def _labels(row: Hypothesis) -> list[str]:
    """The words that name an emotion in this corpus: the choices offered, and a reference of one word."""
    target = (row.target or "").split()
    return [*(row.choices or ()), *(target if len(target) == 1 else ())]


def _choices(row: Hypothesis) -> list[str]:
    return row.choices or choice.parse_choices(row.prompt)


def _key(answer: str) -> str | None:
    return None if answer in (choice.NO_MENTION, choice.SEVERAL) else answer


def _part_count(row: Hypothesis) -> int | None:
    parts = row.parts or []
    return len(parts) if parts and all(basic(part.target or "") for part in parts) else None


def _percent(value: float) -> str:
    return f"{100 * value:.2f}" if math.isfinite(value) else "n/a"


def _finite(values: dict[str, object]) -> dict[str, object]:
    return {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in values.items()}


# task -> (a row's reference, or None where no metric here can use it; the metrics of all rows that have one)
SCORERS: dict[str, tuple[Callable[[Hypothesis], object], Scorer]] = {
    "asr": (lambda row: row.target, _wer),
    "sv": (
        lambda row: _key(choice.read_yes_no(row.target or "", row.prompt)),
        _accuracy(lambda row: choice.read_yes_no(row.text, row.prompt), "yes-no"),
    ),
    "er": (
        lambda row: _key(choice.read_emotion(row.target or "", _labels(row))),
        _accuracy(lambda row: choice.read_emotion(row.text, _labels(row)), "emotion"),
    ),
    "sqa": (
        lambda row: _key(choice.read_letter(row.target or "", _choices(row))),
        _accuracy(lambda row: choice.read_letter(row.text, _choices(row)), "letter"),
    ),
    "sft": (lambda row: row.target or None, _exact),
    "ii": (_part_count, _multi),
    "cot": (_part_count, _multi),
}
