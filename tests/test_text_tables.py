import math
import re

import pytest

from wavllm_cli.scoring.report import Failure, Figure, Robustness, Scores, TaskScores
from wavllm_cli.scoring.significance import Comparison, Difference
from wavllm_cli.scoring.text_tables import failures, is_best, latex, markdown, never_failed, probability, signed


def figure(metric="wer", value=0.05, half=0.01, unit="fraction", lower_is_better=True, n=40):
    return Figure(metric, value, value - half, value + half, n, f"{metric}|norm:basic", unit, lower_is_better)


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


def latex_rows(text):
    """The rows of a table as lists of cells."""
    body = text[text.index(r"\toprule") : text.index(r"\bottomrule")]
    lines = (line for line in body.splitlines() if line.endswith(r"\\"))
    return [[cell.strip() for cell in re.split(r"(?<!\\)&", line.removesuffix(r"\\"))] for line in lines]


def columns(cell):
    span = re.match(r"\\multicolumn\{(\d+)\}", cell)
    return int(span[1]) if span else 1


def test_fractions_are_per_cent_and_points_stay_points():
    text = markdown([system("ours", asr=[figure()], st=[bleu(23.6)])], [], published=False)
    assert cells(text, "| wer") == ["wer ↓", "ours", "5.00 %", "4.00 … 6.00", "40"]
    assert cells(text, "| bleu") == ["bleu ↑", "ours", "23.60", "22.10 … 25.10", "40"]
    assert "- `wer|norm:basic`\n- `bleu|norm:basic`" in text


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_what_is_not_finite_is_not_available(value):
    none = system("ours", asr=[Figure("wer", value, math.nan, math.nan, 0, "wer", "fraction", True)])
    assert cells(markdown([none], [], published=False), "| wer")[2:4] == ["n/a", "–"]
    assert latex_rows(latex([none], published=False))[-1] == ["ours", "n/a", ""]


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
    assert [(name, f.kind) for name, f in failures([a, b], "asr")] == [("a", "echo"), ("b", "echo")]
    assert never_failed([a, b], "asr") == ["empty"]


def test_a_failure_that_one_system_never_shows_is_listed_for_the_other_only():
    found = [Failure("empty", ["x"], 40)], [Failure("empty", [], 40)]
    a, b = (system(name, found=f, asr=[figure()]) for name, f in zip("ab", found, strict=True))
    assert [name for name, _ in failures([a, b], "asr")] == ["a"]
    assert never_failed([a, b], "asr") == []


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


def test_numbers_of_comparisons():
    assert [probability(p) for p in (0.5, 0.001, 0.00099, math.nan)] == ["0.500", "0.001", "< 0.001", "n/a"]
    assert [signed(v, "points") for v in (1.5, -1.5, 0.0)] == ["+1.50", "-1.50", "0.00"]


def test_the_best_is_the_lowest_or_highest_of_several():
    a, b, c = (system(n, asr=[figure(value=v)], st=[bleu(100 * v)]) for n, v in (("a", 0.1), ("b", 0.2), ("c", 0.2)))

    def best(task, scores):
        return [s.system for s in scores if is_best(s.tasks[task].figures[0], scores, task)]

    assert best("asr", [a, b, c]) == ["a"]
    assert best("st", [a, b, c]) == ["b", "c"]
    assert best("asr", [a]) == best("asr", [b, c]) == []


def test_latex_has_systems_by_metrics_with_the_best_of_ours_bold():
    a = system("a", asr=[figure(value=0.019)], st=[bleu(20)])
    b = system("b", asr=[figure(value=0.05)])
    text = latex([a, b], published=True)
    rows = latex_rows(text)
    assert rows[2] == ["a", r"\textbf{1.90}", r"{\scriptsize [0.90, 2.90]}", "20.00", r"{\scriptsize [18.50, 21.50]}"]
    assert rows[3] == ["b", "5.00", r"{\scriptsize [4.00, 6.00]}", "--", ""]
    assert text.count(r"\textbf") == 1  # a published 1.79 % is no rival
    assert [r"Qwen2.5-Omni, CoVoST2 En$\rightarrow$De$^{\S}$", "", "", "30.20", ""] in rows
    assert ["WavLLM, LibriSpeech test-clean$^{\\dagger}$", "2.00", "", "", ""] in rows
    for sign in (r"\dagger", r"\ddagger", r"\S"):
        assert sign in text[text.index(r"\caption") : text.index(r"\begin{tabular}")]


def test_every_row_of_latex_fills_its_columns():
    scores = [
        system("a", asr=[figure(), figure("cer")], st=[bleu(20)], sv=[figure("accuracy")]),
        system("b", er=[figure("accuracy")]),
    ]
    text = latex(scores, published=True)
    declared = text[text.index(r"\begin{tabular}{") :].split("\n")[0]
    assert {sum(map(columns, row)) for row in latex_rows(text)} == {1 + 2 * declared.count("r@{ }l")} == {11}


def test_latex_escapes_what_is_special():
    text = latex([system(r"a_b & 5% #1 $x$ {y} ~ ^ \z [w] <v>", asr=[figure()])], published=False)
    assert (
        r"a\_b \& 5\% \#1 \$x\$ \{y\} \textasciitilde{} \textasciicircum{} \textbackslash{}z {[}w{]} "
        r"\textless{}v\textgreater{} & 5.00"
    ) in text
    assert r"wer $\downarrow$, \%" in text


def test_latex_without_published_figures_has_no_daggers():
    text = latex([system("ours", asr=[figure()])], published=False)
    assert "dagger" not in text and text.count(r"\midrule") == 1
