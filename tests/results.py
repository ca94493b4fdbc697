"""Results of scoring as reports take them, made by hand."""

from wavllm_cli.scoring.about import About, Source
from wavllm_cli.scoring.report.tables import Results
from wavllm_cli.scoring.scores import Figure, Scores, TaskScores
from wavllm_cli.scoring.significance import Difference

ABOUT = About(
    "toy test", 40, 20, 3600.0, 0, ["tiny"], "2026-02-03", "wavllm score a.jsonl", [Source("a.jsonl", "5c1e")]
)


def figure(metric="wer", value=0.05, half=0.01, unit="fraction", lower_is_better=True, n=40):
    return Figure(metric, value, value - half, value + half, n, f"{metric}|signed", unit, lower_is_better)


def bleu(value):
    return figure("bleu", value, 1.5, "points", lower_is_better=False)


def task(*figures, failures=(), not_scored=0, **more):
    return TaskScores(40, list(figures), list(failures), not_scored, **more)


def system(name="ours", judging=(), normalizer="basic", seed=7, **tasks):
    """A system with these tasks; `ii_asr` stands for "ii/asr"."""
    scores = {key.replace("_", "/"): value for key, value in tasks.items()}
    return Scores(name, scores, normalizer, seed, list(judging))


def results(*scores, comparisons=(), best=(), published=None, about=ABOUT):
    return Results(about, scores, comparisons, frozenset(best), published)


def difference(**changes):
    fields = {"task": "asr", "metric": "wer", "a": 0.06, "b": 0.05, "value": -0.01, "low": -0.02, "high": 0.0}
    fields |= {"p": 0.0004, "p_bootstrap": 0.03, "wins": 9, "ties": 28, "losses": 3, "unit": "fraction"}
    return Difference(**fields | {"lower_is_better": True, "signature": "ar", "changed": []} | changes)
