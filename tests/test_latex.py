"""Results as a table for a paper."""

import math
import re

from results import bleu, figure, results, system, task

from wavllm_cli.scoring.published import Published
from wavllm_cli.scoring.report.latex import latex


def latex_rows(text):
    """The rows of a table as lists of cells."""
    body = text[text.index(r"\toprule") : text.index(r"\bottomrule")]
    lines = (line for line in body.splitlines() if line.endswith(r"\\"))
    return [[cell.strip() for cell in re.split(r"(?<!\\)&", line.removesuffix(r"\\"))] for line in lines]


def columns(cell):
    span = re.match(r"\\multicolumn\{(\d+)\}", cell)
    return int(span[1]) if span else 1


def other(**more):
    fields = {"system": "other", "task": "asr", "corpus": "toy", "metric": "wer", "value": 0.01, "unit": "fraction"}
    return Published(**fields | {"source": "paper", "cited": "x"} | more)


def test_rows_are_systems_and_columns_metrics_with_what_is_significant_bold():
    a = system("a", asr=task(figure(value=0.019)), st=task(bleu(20)))
    b = system("b", asr=task(figure()))
    published = {"asr": [other()], "st": [other(task="st", metric="bleu", value=30.2, unit="points")]}
    text = latex(results(a, b, best=[("asr", "wer", "a")], published=published))
    rows = latex_rows(text)
    assert rows[1][1:] == [
        r"\multicolumn{2}{c}{word error rate $\downarrow$, \%}",
        r"\multicolumn{2}{c}{BLEU $\uparrow$}",
    ]
    assert rows[2] == ["a", r"\textbf{1.90}", r"{\scriptsize [0.90, 2.90]}", "20.00", r"{\scriptsize [18.50, 21.50]}"]
    assert rows[3] == ["b", "5.00", r"{\scriptsize [4.00, 6.00]}", "--", ""]
    assert rows[4] == ["other (toy; paper, x)", "1.00", "", "30.20", ""]
    assert text.count(r"\textbf") == 1 and text.count(r"\midrule") == 2
    by_normalizer = system("a", asr=task(figure("wer/none"), figure("wer/lower")))  # others' may be any
    assert "other" not in latex(results(by_normalizer, published=published))


def test_every_row_fills_its_columns():
    scores = [
        system("a", asr=task(figure(), figure("cer")), st=task(bleu(20)), sv=task(figure("accuracy"))),
        system("b", er=task(figure("accuracy"))),
    ]
    text = latex(results(*scores, published={"asr": [other()]}))
    declared = text[text.index(r"\begin{tabular}{") :].split("\n")[0]
    assert {sum(map(columns, row)) for row in latex_rows(text)} == {1 + 2 * declared.count("r@{ }l")} == {11}


def test_what_is_special_is_escaped():
    text = latex(results(system(r"a_b & 5% #1 $x$ {y} ~ ^ \z [w] <v>", asr=task(figure()))))
    assert (
        r"a\_b \& 5\% \#1 \$x\$ \{y\} \textasciitilde{} \textasciicircum{} \textbackslash{}z {[}w{]} "
        r"\textless{}v\textgreater{} & 5.00"
    ) in text


def test_what_is_not_finite_is_not_available_and_few_rows_are_marked():
    text = latex(results(system("ours", asr=task(figure(value=math.nan, n=3), figure("cer")))))
    assert latex_rows(text)[-1] == ["ours", r"n/a$^{\ast}$", "", "5.00", r"{\scriptsize [4.00, 6.00]}"]
    assert r"$^{\ast}$: fewer than 20 rows." in text
    assert "ast" not in latex(results(system("ours", asr=task(figure()))))


def test_what_is_invisible_can_be_seen():
    text = latex(results(system("a\x1bZ\u202eb\x1fc", asr=task(figure()))))
    assert r"a\textbackslash{}x1bZ\textbackslash{}u202eb c &" in text
