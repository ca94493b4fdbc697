"""The content of scores.json; a figure that is not finite becomes null."""

from dataclasses import asdict
from typing import Any

import wavllm_cli
from wavllm_cli.scoring.measure import RESAMPLES
from wavllm_cli.scoring.report.tables import Results
from wavllm_cli.scoring.scores import Failure, Figure, Judging, Scores, TaskScores
from wavllm_cli.strict_json import finite


def as_dict(results: Results) -> dict[str, Any]:
    """One system's scores, or those of several and their comparisons with the first; and the files that were read."""
    read = {"read": [asdict(source) for source in results.about.sources]}
    systems = [_system(scores) for scores in results.scores]
    if len(systems) == 1:
        return systems[0] | read
    comparisons = [
        {"a": c.a, "b": c.b, "differences": [asdict(difference) for difference in c.differences]}
        for c in results.comparisons
    ]
    return {"systems": systems, "comparisons": comparisons} | read


def _system(scores: Scores) -> dict[str, Any]:
    return {
        "wavllm": wavllm_cli.__version__,
        "system": scores.system,
        "normalizer": scores.normalizer,
        "bootstrap": {"resamples": RESAMPLES, "seed": scores.seed, "confidence": 0.95},
        "tasks": {name: _task(task) for name, task in scores.tasks.items()},
        **({"judges": [_judging(judging) for judging in scores.judging]} if scores.judging else {}),
    }


def _task(task: TaskScores) -> dict[str, Any]:
    result: dict[str, Any] = {
        "n": task.n,
        "metrics": {f.metric: _figure(f) for f in task.figures},
        "failures": {f.kind: _failure(f) for f in task.failures},
        "not_scored": task.not_scored,
    }
    if task.confusion:
        result["confusion"] = task.confusion
    if task.unfollowed:
        result["unfollowed"] = task.unfollowed
    if task.robustness:
        result["wordings"] = finite(asdict(task.robustness))
    return result


def _figure(figure: Figure) -> dict[str, Any]:
    silent = ("metric",) if figure.notes else ("metric", "notes")
    return {key: value for key, value in finite(asdict(figure)).items() if key not in silent}


def _failure(failure: Failure) -> dict[str, Any]:
    rate = len(failure.ids) / failure.of if failure.of else None
    detail = {"detail": failure.detail} if failure.detail else {}
    return {"n": len(failure.ids), "of": failure.of, "rate": rate, **detail, "ids": failure.ids}


def _judging(judging: Judging) -> dict[str, Any]:
    return {
        "judge": judging.judge,
        "rows": len(judging.verdicts),
        "unusable": judging.unusable,
        "agreement": {other: asdict(agreement) for other, agreement in judging.agreements.items()},
        "usd": judging.usd,
    }
