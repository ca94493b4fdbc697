import math

import pytest
from rich.cells import cell_len

from wavllm_cli.scoring.judge import Agreement
from wavllm_cli.scoring.scores import Failure, Figure, Judging, Robustness, Scores, TaskScores
from wavllm_cli.scoring.significance import Comparison, Difference
from wavllm_cli.scoring.terminal import show


def figure(metric="wer", value=0.05, low=0.04, high=0.06, unit="fraction", lower_is_better=True, signature=None):
    return Figure(metric, value, low, high, 40, signature or f"{metric}|signed", unit, lower_is_better)


def task(*figures, failures=(), not_scored=0, robustness=None):
    return TaskScores(40, list(figures), list(failures), not_scored, robustness=robustness)


def system(name="ours", judging=(), **tasks):
    return Scores(name, {key.replace("_", "/"): value for key, value in tasks.items()}, "basic", 7, list(judging))


def difference(**changes):
    fields = {"task": "asr", "metric": "wer", "a": 0.06, "b": 0.05, "value": -0.01, "low": -0.02, "high": 0.0}
    fields |= {"p": 0.0004, "p_bootstrap": 0.03, "wins": 9, "ties": 28, "losses": 3, "unit": "fraction"}
    return Difference(**fields | {"lower_is_better": True, "signature": "ar", "changed": []} | changes)


@pytest.fixture
def shown(capsys):
    """Function: what `show` takes -> what it prints, and its tables: title -> rows of cells, the heads first."""

    def call(scores, comparisons=(), published=False):
        show(scores, comparisons, published)
        text = capsys.readouterr().out
        tables, rows = {}, []
        for before, line in zip(["", *text.splitlines()], text.splitlines(), strict=False):
            if line.startswith("┏"):
                tables[before] = rows = []
            elif line.startswith(("│", "┃")):
                rows.append([cell.strip() for cell in line.replace("┃", "│").split("│")[1:-1]])
        return text, tables

    return call


def test_a_single_system_stands_in_the_titles(shown):
    failed = Failure("wrong_language", ["x", "y"], 40)
    text, tables = shown([system(asr=task(figure(), figure("cer", 0.0123), failures=[failed]))])
    assert tables == {
        "Scores: ours": [
            ["task", "metric", "value", "95 % interval", "rows"],
            ["asr", "wer ↓", "5.00 %", "4.00 … 6.00", "40"],
            ["", "cer ↓", "1.23 %", "4.00 … 6.00", "40"],
        ],
        "Failures: ours": [
            ["task", "failure", "rows", "share", "for example"],
            ["asr", "wrong language", "2 of 40", "5.00 %", "x, y"],
        ],
    }
    assert text.endswith("┘\n\nwer|signed\ncer|signed\n")


def test_several_systems_share_the_names_of_task_and_metric_and_nothing_else(shown):
    systems = [
        system(name, asr=task(figure()), st=task(figure("bleu", 23.6, 23, 24, "points", False))) for name in "ab"
    ]
    _, tables = shown(systems)
    assert tables["Scores"][1:] == [
        ["asr", "wer ↓", "a", "5.00 %", "4.00 … 6.00", "40"],
        ["", "", "b", "5.00 %", "4.00 … 6.00", "40"],
        ["st", "bleu ↑", "a", "23.60", "23.00 … 24.00", "40"],
        ["", "", "b", "23.60", "23.00 … 24.00", "40"],
    ]


def test_the_same_metric_of_another_task_is_named_again(shown):
    _, tables = shown([system(sv=task(figure("accuracy")), er=task(figure("accuracy")))])
    assert [row[:2] for row in tables["Scores: ours"][1:]] == [["sv", "accuracy ↓"], ["er", "accuracy ↓"]]


def test_a_system_without_a_task_has_no_row_of_it(shown):
    _, tables = shown([system("a", asr=task(figure())), system("b", sv=task(figure("accuracy")))])
    assert [row[:3] for row in tables["Scores"][1:]] == [["asr", "wer ↓", "a"], ["sv", "accuracy ↓", "b"]]


def test_what_is_not_finite_is_not_available(shown):
    _, tables = shown([system(asr=task(figure(value=math.inf, low=math.nan, high=math.nan)))])
    assert tables["Scores: ours"][1] == ["asr", "wer ↓", "n/a", "–", "40"]


def test_rows_without_a_score_are_counted_even_where_there_is_no_figure(shown):
    text, tables = shown([system(asr=task(not_scored=40))])
    assert (text, tables) == ("asr: Rows without a score: ours 40.\n", {})


def test_of_a_failure_the_worst_is_shown_or_the_first_rows(shown):
    failed = [
        Failure("empty", list("abcdef"), 40),
        Failure("overrun", ["a"], 40, "longest: 9 words for 2 (a)"),
        Failure("echo", [], 40),
    ]
    _, tables = shown([system(asr=task(figure(), failures=failed))])
    assert [row[1:] for row in tables["Failures: ours"][1:]] == [
        ["empty", "6 of 40", "15.00 %", "a, b, c"],
        ["overrun", "1 of 40", "2.50 %", "longest: 9 words for 2 (a)"],
    ]


def test_wordings(shown):
    spread = Robustness("accuracy", 20, 4, 0.7, 0.9, 0.45, 0.45, "fraction")
    _, tables = shown([system(er=task(figure("accuracy"), robustness=spread))])
    row = ["er", "accuracy", "20", "4", "70.00 %", "90.00 %", "45.00 %", "45.00 %"]
    assert tables["The same items under several wordings: ours"][1:] == [row]


def test_judges(shown):
    known, unknown = Agreement(9, 7 / 9, 0.4, ["a"], 1), Agreement(0, None, None, [], 40)
    judgings = [
        Judging("first", {}, {"x": "refused"}, {"rules": known}, True, 0.25),
        Judging("second", {}, {}, {"rules": known, "first": unknown}, True, None),
    ]
    _, tables = shown([system(ii=task(figure("ifr")), judging=judgings)])
    assert tables["Judges of instruction following: ours"] == [
        ["judge", "compared with", "instructions", "equal", "kappa", "without verdict", "cost"],
        ["first", "rules", "9", "77.78 %", "0.40", "1", "$0.2500"],
        ["second", "rules", "9", "77.78 %", "0.40", "0", "?"],
        ["", "first", "0", "–", "–", "0", "?"],
    ]


def test_a_comparison(shown):
    differences = [
        difference(),
        difference(metric="cer", value=0.02, low=0.01, high=0.03, p=0.25),
        difference(task="st", metric="bleu", unit="points", value=1.5, low=math.nan, high=math.nan, p=math.nan),
    ]
    _, tables = shown([system("a"), system("b")], [Comparison("a", "b", differences)])
    assert tables == {
        "b against a": [
            ["task", "metric", "difference", "95 % interval", "p", "wins / ties / losses"],
            ["asr", "wer ↓", "-1.00", "-2.00 … 0.00", "< 0.001", "9 / 28 / 3"],
            ["", "cer ↓", "+2.00", "1.00 … 3.00", "0.250", "9 / 28 / 3"],
            ["st", "bleu ↓", "+1.50", "–", "n/a", "9 / 28 / 3"],
        ]
    }


def test_published_figures_stand_below_their_corpus_with_their_source(shown):
    _, tables = shown([system(asr=task(figure("wer/none"), figure("wer/lower")), sft=task(figure("exact")))], (), True)
    assert list(tables) == ["Scores: ours", "Published: asr, wer ↓"]  # once for all normalisers
    rows = tables["Published: asr, wer ↓"]
    corpora = [row[0] for row in rows[1:] if not row[1]]
    assert corpora == ["LibriSpeech test-clean", "LibriSpeech test-other"]
    clean = rows[2 : rows.index(["LibriSpeech test-other", "", ""])]
    assert ["WavLLM", "2.00 %", "paper; arXiv 2404.00656"] in clean
    assert ["SALMONN-7B", "10.27 %", "independent; AudioBench logs"] in clean


def test_a_signature_of_several_figures_is_printed_once(shown):
    text, _ = shown([system(sv=task(figure("accuracy")), er=task(figure("accuracy")))])
    assert text.count("accuracy|signed") == 1


@pytest.mark.parametrize("width", [80, 120])
def test_everything_fits_a_terminal_and_no_figure_is_broken(monkeypatch, capsys, width):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", str(width))
    failed = [Failure("overrun", ["a"], 1234, "longest: 203 words for 63 (2961-960-0013)")]
    spread = Robustness("balanced_accuracy", 2000, 10, 0.7, 0.9, 0.45, 0.45, "fraction")
    judging = Judging("org/judge-70b", {}, {}, {"rules": Agreement(2000, 0.95, 0.9, [], 0)}, True, 12.5)
    figures = figure("balanced_accuracy", 1, 1, 1), figure("ter", 100, 100, 100, "points")
    systems = [
        system(name, [judging], cot_st=task(*figures, failures=failed, robustness=spread), asr=task(figure()))
        for name in ("WavLLM_fairseq.clean", "SALMONN_7B.clean")
    ]
    differences = [difference(task="cot/st", metric="balanced_accuracy", wins=1000, ties=1000, losses=1000)]
    show(systems, [Comparison(systems[0].system, systems[1].system, differences)], published=True)
    text = capsys.readouterr().out
    assert max(map(cell_len, text.splitlines())) <= width
    for whole in (
        "100.00 … 100.00",
        "1 of 1234",
        "95.00 %",
        "1000 / 1000 / 1000",
        "< 0.001",
        "-2.00 … 0.00",
        "$12.5000",
    ):
        assert whole in text
