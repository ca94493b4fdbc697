import math

import pytest

from wavllm_cli.scoring.scores import Failure, Figure, Scores, TaskScores
from wavllm_cli.scoring.shown import (
    amount,
    failures,
    find,
    given_answers,
    interval,
    is_best,
    label,
    method,
    metric_columns,
    never_failed,
    percentage,
    probability,
    show_value,
    signatures,
    signed,
    task_names,
    unscored,
)


def figure(metric="wer", value=0.05, half=0.01, unit="fraction", lower_is_better=True):
    return Figure(metric, value, value - half, value + half, 40, f"{metric}|norm:basic", unit, lower_is_better)


def bleu(value):
    return figure("bleu", value, 1.5, "points", lower_is_better=False)


def system(name, found=(), not_scored=0, normalizer="basic", seed=7, **tasks):
    """A system with these figures per task; every task has the same failures and rows without a score."""
    scores = {task: TaskScores(40, figures, list(found), not_scored) for task, figures in tasks.items()}
    return Scores(name, scores, normalizer, seed)


@pytest.mark.parametrize(
    ("value", "unit", "shown"),
    [
        (0.02104, "fraction", "2.10"),
        (1.5, "fraction", "150.00"),
        (0.0, "fraction", "0.00"),
        (23.456, "points", "23.46"),
        (-0.01, "fraction", "-1.00"),
        (math.inf, "fraction", "n/a"),
        (math.nan, "points", "n/a"),
    ],
)
def test_fractions_are_shown_in_per_cent_and_points_as_they_are(value, unit, shown):
    assert show_value(value, unit) == shown


def test_a_percent_sign_stands_only_at_fractions_that_are_finite():
    assert [amount(v, "fraction") for v in (0.048, math.nan)] == ["4.80 %", "n/a"]
    assert [amount(v, "points") for v in (23.6, math.inf)] == ["23.60", "n/a"]


def test_a_share_of_nothing_is_not_available():
    assert [percentage(1, 40), percentage(0, 40), percentage(0, 0)] == ["2.50 %", "0.00 %", "n/a"]


def test_an_interval_has_both_ends_or_is_a_dash():
    assert interval(figure()) == "4.00 … 6.00"
    assert interval(bleu(23.6)) == "22.10 … 25.10"
    for low, high in ((math.nan, 0.1), (0.1, math.inf)):
        assert interval(Figure("wer", 0.1, low, high, 40, "wer", "fraction", True)) == "–"


def test_numbers_of_comparisons():
    assert [probability(p) for p in (0.5, 0.001, 0.00099, math.nan)] == ["0.500", "0.001", "< 0.001", "n/a"]
    assert [signed(v, "points") for v in (1.5, -1.5, 0.0)] == ["+1.50", "-1.50", "0.00"]


def test_arrows_point_to_where_a_metric_is_better():
    assert [label(figure()), label(bleu(20))] == ["wer ↓", "bleu ↑"]


def test_tasks_and_metrics_are_those_of_any_system():
    a = system("a", asr=[figure()], sqqa=[])
    b = system("b", st=[bleu(20)], asr=[figure("cer"), figure(value=0.07)])
    assert task_names([a, b]) == ["asr", "sqqa", "st"]
    columns = [(task, head.metric) for task, head in metric_columns([a, b])]
    assert columns == [("asr", "wer"), ("asr", "cer"), ("st", "bleu")]


def test_a_figure_is_found_by_task_and_metric():
    ours = system("ours", asr=[figure(), figure("cer", 0.02)], st=[bleu(20)])
    assert find(ours, "asr", "cer") == figure("cer", 0.02)
    assert find(ours, "st", "cer") is find(ours, "er", "accuracy") is None


def test_the_best_is_the_lowest_or_highest_of_several():
    a, b, c = (system(n, asr=[figure(value=v)], st=[bleu(100 * v)]) for n, v in (("a", 0.1), ("b", 0.2), ("c", 0.2)))

    def best(task, scores):
        return [s.system for s in scores if is_best(s.tasks[task].figures[0], scores, task)]

    assert best("asr", [a, b, c]) == ["a"]
    assert best("st", [a, b, c]) == ["b", "c"]
    assert best("asr", [a]) == best("asr", [b, c]) == []


def test_failures_of_one_kind_stand_together_and_those_never_found_apart():
    a = system("a", found=[Failure("empty", [], 40), Failure("echo", ["x"], 40)], asr=[figure()])
    b = system("b", found=[Failure("empty", [], 40), Failure("echo", list("uvwxyz"), 24, "worst: u")], asr=[figure()])
    assert [(name, f.kind) for name, f in failures([a, b], "asr")] == [("a", "echo"), ("b", "echo")]
    assert never_failed([a, b], "asr") == ["empty"]
    two = [Failure("empty", ["x"], 40), Failure("echo", ["x"], 40)]
    both = [system(name, found=two, asr=[figure()]) for name in "ab"]
    listed = [(name, f.kind) for name, f in failures(both, "asr")]
    assert listed == [("a", "empty"), ("b", "empty"), ("a", "echo"), ("b", "echo")]


def test_a_failure_that_one_system_never_shows_is_listed_for_the_other_only():
    found = [Failure("empty", ["x"], 40)], [Failure("empty", [], 40)]
    a, b = (system(name, found=f, asr=[figure()]) for name, f in zip("ab", found, strict=True))
    assert [name for name, _ in failures([a, b], "asr")] == ["a"]
    assert never_failed([a, b], "asr") == []


def test_rows_without_a_score_are_counted_for_each_system_that_has_some():
    a, b, c = (system(name, not_scored=n, asr=[figure()]) for name, n in (("a", 2), ("b", 0), ("c", 3)))
    assert unscored([a, b, c], "asr") == "Rows without a score: a 2, c 3."
    assert unscored([b], "asr") == unscored([a], "st") == ""


def test_given_answers_begin_with_the_right_ones():
    confusion = {"happy": {"unanswered": 2, "sad": 1}, "sad": {"angry": 1, "happy": 1}}
    assert given_answers(confusion) == ["happy", "sad", "unanswered", "angry"]


def test_seeds_and_normalisers_are_named_once():
    same = [system(name, asr=[figure()]) for name in "ab"]
    assert method(same) == "95 % intervals from 1000 bootstrap resamples (seed 7); normaliser: basic."
    other = system("c", normalizer="whisper", seed=8, asr=[figure()])
    assert method([*same, other]).endswith("(seed 7, 8); normaliser: basic, whisper.")


def test_every_signature_is_named_once():
    wer, cer = figure(), figure("cer")
    ours = system("ours", **{"asr": [wer, cer], "ii/asr": [cer, wer]})
    assert signatures([ours]) == ["wer|norm:basic", "cer|norm:basic"]
    assert signatures([ours, system("b", asr=[cer], st=[bleu(20)])]) == [*signatures([ours]), "bleu|norm:basic"]
