import math
import re

import pytest

from wavllm_cli.scoring.markdown_report import markdown
from wavllm_cli.scoring.scores import Failure, Figure, Robustness, Scores, TaskScores
from wavllm_cli.scoring.significance import Comparison, Difference


def figure(metric="wer", value=0.05, half=0.01, unit="fraction", lower_is_better=True):
    return Figure(metric, value, value - half, value + half, 40, f"{metric}|norm:basic", unit, lower_is_better)


def bleu(value):
    return figure("bleu", value, 1.5, "points", lower_is_better=False)


def system(name, found=(), not_scored=0, confusion=None, robustness=None, **tasks):
    """A system with these figures per task; all else is of its first task."""
    scores = {task: TaskScores(40, list(figures), [], 0) for task, figures in tasks.items()}
    first, figures = next(iter(tasks.items()))
    scores[first] = TaskScores(40, list(figures), list(found), not_scored, [], confusion, robustness)
    return Scores(name, scores, "basic", 7)


def difference(**changes):
    fields = {"task": "asr", "metric": "wer", "a": 0.06, "b": 0.05, "value": -0.01, "low": -0.02, "high": 0.0}
    fields |= {"p": 0.0004, "p_bootstrap": 0.03, "wins": 9, "ties": 28, "losses": 3, "unit": "fraction"}
    return Difference(**fields | {"lower_is_better": True, "signature": "ar", "changed": []} | changes)


def cells(text, beginning):
    """The cells of the only Markdown line that begins so."""
    (line,) = [line for line in text.splitlines() if line.startswith(beginning)]
    return [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]


def test_fractions_are_per_cent_and_points_stay_points():
    text = markdown([system("ours", asr=[figure()], st=[bleu(23.6)])], [], published=False)
    assert cells(text, "| wer") == ["wer ↓", "ours", "5.00 %", "4.00 … 6.00", "40"]
    assert cells(text, "| bleu") == ["bleu ↑", "ours", "23.60", "22.10 … 25.10", "40"]
    assert "- `wer|norm:basic`\n- `bleu|norm:basic`" in text


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_what_is_not_finite_is_not_available(value):
    none = system("ours", asr=[Figure("wer", value, math.nan, math.nan, 0, "wer", "fraction", True)])
    assert cells(markdown([none], [], published=False), "| wer")[2:4] == ["n/a", "–"]


def test_a_task_without_figures_has_no_table():
    text = markdown([system("ours", not_scored=40, sqqa=[])], [], published=True)
    assert "## sqqa\n\nRows without a score: ours 40." in text
    assert "|" not in text and "Signatures" not in text


def test_published_figures_stand_beside_ours_with_their_source():
    ours = system("ours", st=[bleu(23.6)])
    text = markdown([ours], [], published=True)
    assert cells(text, "| bleu ↑ | ours")[-1] == "ours"
    assert cells(text, "| bleu | SALMONN") == ["bleu", "SALMONN", "18.60", "", "", "CoVoST2 En→De; secondary"]
    assert "*secondary* – " in text
    assert "SALMONN" not in markdown([ours], [], published=False)


def test_nothing_in_a_name_is_markup_and_every_row_has_all_cells():
    hostile = "a|b\n# `c` <script>_d_*"
    text = markdown(
        [
            system(hostile, found=[Failure("empty", [hostile], 40, hostile)], asr=[figure()]),
            system("b", asr=[figure()]),
        ],
        [Comparison(hostile, "b", [difference()])],
        published=False,
    )
    tables = [block for block in text.split("\n\n") if block.startswith("|")]
    assert len(tables) == 3
    for table in tables:
        assert len({len(re.findall(r"(?<!\\)\|", line)) for line in table.splitlines()}) == 1
    assert r"a\|b \# \`c\` \<script\>\_d\_\*" in text
    assert not re.search(r"(?<!\\)<script", text)


def test_failures_are_counted_and_those_never_found_are_named():
    a = system("a", found=[Failure("empty", [], 40), Failure("echo", ["x"], 40)], asr=[figure()])
    b = system("b", found=[Failure("empty", [], 40), Failure("echo", list("uvwxyz"), 24, "worst: u")], asr=[figure()])
    text = markdown([a, b], [], published=False)
    assert cells(text, "| echo | a") == ["echo", "a", "1 of 40", "2.50 %", "", "x"]
    assert cells(text, "| echo | b") == ["echo", "b", "6 of 24", "25.00 %", "worst: u", "u, v, w, x, y and 1 more"]
    assert "found in no row: empty." in text


def test_confusions_have_every_answer_that_was_given():
    confusion = {"happy": {"happy": 3, "unanswered": 2}, "sad": {"happy": 1}}
    text = markdown([system("ours", confusion=confusion, er=[figure("accuracy")])], [], published=False)
    assert cells(text, "|  |") == ["", "happy", "sad", "unanswered"]
    assert cells(text, "| happy |") == ["happy", "3", "0", "2"]
    assert cells(text, "| sad |") == ["sad", "1", "0", "0"]


def test_wordings_and_rows_without_a_score_are_told():
    robustness = Robustness("wer", 10, 4, 0.05, 0.04, 0.09, 0.05, "fraction")
    text = markdown([system("ours", not_scored=2, robustness=robustness, asr=[figure()])], [], published=False)
    assert cells(text, "| wer | ours") == ["wer", "ours", "10", "4", "5.00 %", "4.00 %", "9.00 %", "5.00 %"]
    assert "Rows without a score: ours 2." in text


def test_comparisons_show_difference_p_values_and_rows():
    a, b = system("a", asr=[figure(value=0.06)]), system("b", asr=[figure()])
    text = markdown([a, b], [Comparison("a", "b", [difference()])], published=False)
    assert "## b against a" in text
    expected = ["asr", "wer ↓", "6.00 %", "5.00 %", "-1.00", "-2.00 … 0.00", r"\< 0.001", "0.030", "9 / 28 / 3"]
    assert cells(text, "| asr") == expected


def test_what_is_invisible_can_be_seen():
    text = markdown([system("a\x1b[2J\x00\u202eb\x1fc", asr=[figure()])], [], published=False)
    assert r"a\\x1b\[2J\\x00\\u202eb c" in text
