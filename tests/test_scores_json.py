"""The content of scores.json."""

import json
import math
from dataclasses import replace

import numpy as np
from results import results

import wavllm_cli
from wavllm_cli.scoring.judge import Agreement
from wavllm_cli.scoring.measure import Measure, share
from wavllm_cli.scoring.report.scores_json import as_dict
from wavllm_cli.scoring.scores import Failure, Figure, Item, Judging, Robustness, Scores, TaskScores
from wavllm_cli.strict_json import finite

WER = Figure("wer", 0.25, 0.1, 0.4, 8, "wer|norm:basic", "fraction", True, {"hits": 3})
TASK = TaskScores(
    n=10,
    figures=[WER],
    failures=[Failure("empty", ["a", "b"], 8), Failure("hallucination", ["c"], 0, "3.0 words per minute of silence")],
    not_scored=2,
    worst=[Item("a", "asr", "", "a", "", 1.0)],
    each={"wer": [0.0, math.inf]},
)
SCORES = Scores("tiny", {"asr": TASK}, "basic", 7)


def content(scores):
    """What scores.json would hold, after a round trip."""
    return json.loads(json.dumps(as_dict(results(scores)), allow_nan=False))


def test_scores_json_names_the_files_that_were_read_by_their_content():
    read = [{"file": "a.jsonl", "sha256": "5c1e"}]
    assert content(SCORES)["read"] == read
    several = as_dict(results(SCORES, SCORES))
    assert list(several) == ["systems", "comparisons", "read"] and several["read"] == read


def test_scores_json_says_how_it_was_made():
    found = content(SCORES)
    assert {key: found[key] for key in ("wavllm", "system", "normalizer")} == {
        "wavllm": wavllm_cli.__version__,
        "system": "tiny",
        "normalizer": "basic",
    }
    assert found["bootstrap"] == {"resamples": 1000, "seed": 7, "confidence": 0.95}
    assert "judges" not in found


def test_scores_json_holds_each_figure_under_its_task_and_metric():
    task = content(SCORES)["tasks"]["asr"]
    assert task["metrics"] == {
        "wer": {
            "value": 0.25,
            "low": 0.1,
            "high": 0.4,
            "n": 8,
            "signature": "wer|norm:basic",
            "unit": "fraction",
            "lower_is_better": True,
            "counts": {"hits": 3},
        }
    }
    assert (task["n"], task["not_scored"]) == (10, 2)
    assert "confusion" not in task and "wordings" not in task


def test_scores_json_holds_failures_with_their_rates_and_ids():
    assert content(SCORES)["tasks"]["asr"]["failures"] == {
        "empty": {"n": 2, "of": 8, "rate": 0.25, "ids": ["a", "b"]},
        "hallucination": {
            "n": 1,
            "of": 0,
            "rate": None,
            "detail": "3.0 words per minute of silence",
            "ids": ["c"],
        },
    }


def test_scores_json_holds_confusion_and_wordings_where_there_are_some():
    matrix = {"yes": {"yes": 3, "no": 1}}
    wordings = Robustness("accuracy", 5, 2, mean=0.5, best=math.inf, worst=0.25, spread=math.nan, unit="fraction")
    task = content(replace(SCORES, tasks={"sv": replace(TASK, confusion=matrix, robustness=wordings)}))["tasks"]["sv"]
    assert task["confusion"] == matrix
    same = {"metric": "accuracy", "items": 5, "wordings": 2, "mean": 0.5, "worst": 0.25, "unit": "fraction"}
    assert task["wordings"] == same | {"best": None, "spread": None}


def test_scores_json_holds_what_each_judge_is_worth():
    rules = Agreement(instructions=4, equal=0.75, kappa=None, differing=["b"], unusable=1)
    judging = Judging("tiny-judge", {"a": [True], "b": [False]}, {"c": "no verdict"}, {"rules": rules}, True, None)
    (judge,) = content(replace(SCORES, judging=[judging]))["judges"]
    assert judge == {
        "judge": "tiny-judge",
        "rows": 2,
        "unusable": {"c": "no verdict"},
        "agreement": {"rules": {"instructions": 4, "equal": 0.75, "kappa": None, "differing": ["b"], "unusable": 1}},
        "usd": None,
    }


def test_figures_that_are_not_finite_are_null():
    silent = replace(WER, value=math.inf, low=math.nan, high=-math.inf)
    figure = content(replace(SCORES, tasks={"asr": replace(TASK, figures=[silent])}))["tasks"]["asr"]["metrics"]["wer"]
    assert (figure["value"], figure["low"], figure["high"], figure["n"]) == (None, None, None, 8)


def test_finite_looks_into_lists_and_mappings_and_leaves_all_else_alone():
    value = {"a": math.nan, "b": [{"c": math.inf, "d": 0.0}, -math.inf, "inf"], "e": None, "f": True, "g": 10**400}
    assert finite(value) == {"a": None, "b": [{"c": None, "d": 0.0}, None, "inf"], "e": None, "f": True, "g": 10**400}
    assert math.isnan(value["a"])  # the value itself is as it was


def test_a_figure_is_that_of_its_measure_with_an_interval():
    measure = Measure(
        "wer", np.array([[1, 4], [0, 4], [3, 4]]), share, "wer|norm:none", lower_is_better=True, counts={"hits": 8}
    )
    figure = Figure.of(measure, seed=3)
    assert figure == Figure("wer", 4 / 12, *measure.interval(3), 3, "wer|norm:none", "fraction", True, {"hits": 8})
    assert all(type(value) is float for value in (figure.value, figure.low, figure.high))
