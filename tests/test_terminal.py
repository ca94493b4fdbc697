"""Results on a terminal: the tables of `test_tables.py`, cut to what there is room for."""

import pytest
from results import bleu, difference, figure, results, system, task
from rich.cells import cell_len

from wavllm_cli.scoring.judge import Agreement
from wavllm_cli.scoring.report.terminal import show
from wavllm_cli.scoring.scores import Failure, Judging, Robustness
from wavllm_cli.scoring.significance import Comparison

ASR = "speech recognition (asr)"


@pytest.fixture
def shown(capsys):
    """Function: results -> what is printed, and its tables: title -> rows of cells, the heads first."""

    def call(*scores, **more):
        show(results(*scores, **more))
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
    text, tables = shown(system(asr=task(figure(), figure("cer", 0.0123), failures=[failed])))
    assert tables == {
        "Scores: ours": [
            ["task", "metric", "value", "95 % interval", "rows"],
            [ASR, "word error rate ↓", "5.00 %", "4.00 … 6.00", "40"],
            ["", "character error rate ↓", "1.23 %", "0.23 … 2.23", "40"],
        ],
        "Failures: ours": [
            ["task", "failure", "rows", "share", "for example"],
            [ASR, "wrong language", "2 of 40", "5.00 %", "x, y"],
        ],
    }
    assert text.endswith("┘\n\nwer|signed\ncer|signed\n")


def test_several_systems_share_the_names_of_task_and_metric_and_nothing_else(shown):
    _, tables = shown(*(system(name, asr=task(figure()), st=task(bleu(23.5))) for name in "ab"))
    assert tables["Scores"][1:] == [
        [ASR, "word error rate ↓", "a", "5.00 %", "4.00 … 6.00", "40"],
        ["", "", "b", "5.00 %", "4.00 … 6.00", "40"],
        ["speech translation (st)", "BLEU ↑", "a", "23.50", "22.00 … 25.00", "40"],
        ["", "", "b", "23.50", "22.00 … 25.00", "40"],
    ]


def test_of_a_comparison_the_most_important_columns_are_shown(shown):
    _, tables = shown(system("a"), system("b"), comparisons=[Comparison("a", "b", [difference()])])
    assert tables["b against a"] == [
        ["task", "metric", "difference", "95 % interval", "p", "wins / ties / losses"],
        [ASR, "word error rate ↓", "-1.00", "-2.00 … 0.00", "< 0.001", "9 / 28 / 3"],
    ]


def test_notes_stand_without_a_table_too_and_matrices_are_left_to_files(shown):
    text, tables = shown(system(er=task(not_scored=40, confusion={"sad": {"sad": 1}})))
    assert (text, tables) == ("emotion recognition (er): rows without a score: ours 40.\n\n", {})


@pytest.mark.parametrize("width", [40, 80, 120])
def test_everything_fits_a_terminal_and_no_figure_is_broken(monkeypatch, capsys, width):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", str(width))
    failed = [Failure("overrun", ["a"], 1234, "longest: 203 words for 63 (2961-960-0013)")]
    spread = Robustness("balanced_accuracy", 2000, 10, 0.7, 0.9, 0.45, 0.45, "fraction")
    judging = Judging("org/judge-70b", {}, {}, {"rules": Agreement(2000, 0.95, 0.9, [], 0)}, True, 12.5)
    figures = figure("balanced_accuracy", 1, 0), figure("ter", 100, 0, "points")
    systems = [
        system(name, [judging], cot_st=task(*figures, failures=failed, robustness=spread), asr=task(figure()))
        for name in ("WavLLM_fairseq.clean", "SALMONN_7B.clean")
    ]
    differences = [difference(task="cot/st", metric="balanced_accuracy", wins=1000, ties=1000, losses=1000)]
    show(results(*systems, comparisons=[Comparison(systems[0].system, systems[1].system, differences)]))
    lines = capsys.readouterr().out.splitlines()
    assert width == 40 or max(map(cell_len, lines)) <= width
    text = "\n".join(line[i : i + width] for line in lines for i in range(0, len(line), width))  # as terminals break it
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
