import math
import re

import pytest

from wavllm_cli.scoring.latex_table import latex
from wavllm_cli.scoring.scores import Figure, Scores, TaskScores


def figure(metric="wer", value=0.05, half=0.01, unit="fraction", lower_is_better=True):
    return Figure(metric, value, value - half, value + half, 40, f"{metric}|norm:basic", unit, lower_is_better)


def bleu(value):
    return figure("bleu", value, 1.5, "points", lower_is_better=False)


def system(name, **tasks):
    """A system with these figures per task."""
    return Scores(name, {task: TaskScores(40, figures, [], 0) for task, figures in tasks.items()}, "basic", 7)


def latex_rows(text):
    """The rows of a table as lists of cells."""
    body = text[text.index(r"\toprule") : text.index(r"\bottomrule")]
    lines = (line for line in body.splitlines() if line.endswith(r"\\"))
    return [[cell.strip() for cell in re.split(r"(?<!\\)&", line.removesuffix(r"\\"))] for line in lines]


def columns(cell):
    span = re.match(r"\\multicolumn\{(\d+)\}", cell)
    return int(span[1]) if span else 1


def test_rows_are_systems_and_columns_metrics_with_the_best_of_ours_bold():
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


def test_every_row_fills_its_columns():
    scores = [
        system("a", asr=[figure(), figure("cer")], st=[bleu(20)], sv=[figure("accuracy")]),
        system("b", er=[figure("accuracy")]),
    ]
    text = latex(scores, published=True)
    declared = text[text.index(r"\begin{tabular}{") :].split("\n")[0]
    assert {sum(map(columns, row)) for row in latex_rows(text)} == {1 + 2 * declared.count("r@{ }l")} == {11}


def test_what_is_special_is_escaped():
    text = latex([system(r"a_b & 5% #1 $x$ {y} ~ ^ \z [w] <v>", asr=[figure()])], published=False)
    assert (
        r"a\_b \& 5\% \#1 \$x\$ \{y\} \textasciitilde{} \textasciicircum{} \textbackslash{}z {[}w{]} "
        r"\textless{}v\textgreater{} & 5.00"
    ) in text
    assert r"wer $\downarrow$, \%" in text


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_what_is_not_finite_is_not_available(value):
    none = system("ours", asr=[Figure("wer", value, math.nan, math.nan, 0, "wer", "fraction", True)])
    assert latex_rows(latex([none], published=False))[-1] == ["ours", "n/a", ""]


def test_without_published_figures_there_are_no_daggers():
    text = latex([system("ours", asr=[figure()])], published=False)
    assert "dagger" not in text and text.count(r"\midrule") == 1


def test_what_is_invisible_can_be_seen():
    text = latex([system("a\x1bZ\u202eb\x1fc", asr=[figure()])], published=False)
    assert r"a\textbackslash{}x1bZ\textbackslash{}u202eb c &" in text
