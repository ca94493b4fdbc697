"""Scores as text for papers and repositories: Markdown and LaTeX."""

import math
import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby

from wavllm_cli.scoring.measure import RESAMPLES
from wavllm_cli.scoring.published import SOURCES, Published, published_for
from wavllm_cli.scoring.report import Confusion, Failure, Figure, Scores, show_value
from wavllm_cli.scoring.significance import Comparison, Difference

SHOWN_IDS = 5  # of the rows that failed in one way
DAGGERS = {"paper": r"\dagger", "secondary": r"\S", "independent": r"\ddagger"}
LATEX = {c: rf"\{c}" for c in "&%$#_{}"} | {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "[": "{[}",  # else an option of the row's end before it
    "]": "{]}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "↓": r"$\downarrow$",
    "↑": r"$\uparrow$",
    "→": r"$\rightarrow$",
}

Row = Sequence[str]


def markdown(scores: Sequence[Scores], comparisons: Sequence[Comparison], published: bool) -> str:
    """All figures, failures and comparisons as GitHub-flavoured Markdown.

    Args:
        scores: of one or more systems, the baseline first.
        comparisons: of the others with it.
        published: whether figures that others published stand beside ours.
    """
    parts = ["# Scores", method(scores)]
    for task in task_names(scores):
        parts += [f"## {_markdown(task)}", _figures(scores, task, published), _markdown(unscored(scores, task))]
        parts += [*_failures(scores, task), *_confusions(scores, task), _robustness(scores, task)]
    parts += [text for comparison in comparisons for text in _comparison(comparison)]
    if published:
        parts.append("Published figures: " + "; ".join(f"*{key}* – {text}" for key, text in SOURCES.items()) + ".")
    if made := signatures(scores):
        parts += ["## Signatures", "\n".join(f"- `{signature}`" for signature in made)]
    return "\n\n".join(filter(None, parts)) + "\n"


def latex(scores: Sequence[Scores], published: bool) -> str:
    """A booktabs table, systems by metrics, with the interval of each figure; the best of ours in bold.

    Args:
        scores: of one or more systems.
        published: whether figures that others published follow, each marked with its source.
    """
    columns = metric_columns(scores)
    names = [_latex(label(figure) + ("" if figure.unit == "points" else ", %")) for _, figure in columns]
    others = [p for task, figure in columns for p in published_for(task, figure.metric)] if published else []
    return "\n".join(
        [
            r"% needs \usepackage{booktabs}",
            r"\begin{table}",
            r"\centering",
            rf"\caption{{{_latex_caption(scores, others)}}}",
            rf"\begin{{tabular}}{{l{'r@{ }l' * len(columns)}}}",
            r"\toprule",
            _latex_row(["System", *_latex_tasks([task for task, _ in columns])]),
            _latex_row(["", *(rf"\multicolumn{{2}}{{c}}{{{name}}}" for name in names)]),
            r"\midrule",
            *(_latex_row([_latex(s.system), *(_latex_cell(s, scores, column) for column in columns)]) for s in scores),
            *([r"\midrule"] if others else []),
            *_latex_published(others, columns),
            r"\bottomrule",
            r"\end{tabular}",
            r"\end{table}",
            *(f"% {signature}" for signature in signatures(scores)),
            "",
        ]
    )


def task_names(scores: Sequence[Scores]) -> list[str]:
    """Every task of any system, in the order in which they appear."""
    return list(dict.fromkeys(task for s in scores for task in s.tasks))


def metric_columns(scores: Sequence[Scores]) -> list[tuple[str, Figure]]:
    """Every task and metric of any system, with one figure of it."""
    found: dict[tuple[str, str], Figure] = {}
    for task in task_names(scores):
        for s in scores:
            for figure in s.tasks[task].figures if task in s.tasks else ():
                found.setdefault((task, figure.metric), figure)
    return [(task, figure) for (task, _), figure in found.items()]


def find(scores: Scores, task: str, metric: str) -> Figure | None:
    """A system's figure, if it has one."""
    figures = scores.tasks[task].figures if task in scores.tasks else []
    return next((f for f in figures if f.metric == metric), None)


def is_best(figure: Figure, scores: Sequence[Scores], task: str) -> bool:
    """Whether no other system is better, and some are worse."""
    values = {f.value for s in scores if (f := find(s, task, figure.metric)) and math.isfinite(f.value)}
    return len(values) > 1 and figure.value == (min if figure.lower_is_better else max)(values)


def signatures(scores: Sequence[Scores]) -> list[str]:
    """What makes the figures reproducible, each once."""
    return list(dict.fromkeys(signature for s in scores for signature in s.signatures()))


def method(scores: Sequence[Scores]) -> str:
    """How the figures were made, in one sentence."""
    seeds = ", ".join(dict.fromkeys(str(s.seed) for s in scores))
    normalizers = ", ".join(dict.fromkeys(s.normalizer for s in scores))
    return f"95 % intervals from {RESAMPLES} bootstrap resamples (seed {seeds}); normaliser: {normalizers}."


def label(figure: Figure | Difference) -> str:
    """The metric with an arrow that points to where it is better."""
    return f"{figure.metric} {'↓' if figure.lower_is_better else '↑'}"


def amount(value: float, unit: str) -> str:
    """A figure with its unit: "4.80 %", "23.60", "n/a"."""
    return show_value(value, unit) + (" %" if unit == "fraction" and math.isfinite(value) else "")


def interval(figure: Figure | Difference) -> str:
    """Both ends of an interval in the unit of its figure; "–" where there is none."""
    if not (math.isfinite(figure.low) and math.isfinite(figure.high)):
        return "–"
    return f"{show_value(figure.low, figure.unit)} … {show_value(figure.high, figure.unit)}"


def signed(value: float, unit: str) -> str:
    """A difference with its sign; differences of fractions are in percentage points."""
    return ("+" if value > 0 else "") + show_value(value, unit)


def probability(p: float) -> str:
    """A p-value: "0.042", "< 0.001", "n/a"."""
    if not math.isfinite(p):
        return "n/a"
    return f"{p:.3f}" if p >= 0.001 else "< 0.001"


def failures(scores: Sequence[Scores], task: str) -> list[tuple[str, Failure]]:
    """The failures that happened, those of one kind together: (system, failure)."""
    found = [(s.system, f) for s in scores if task in s.tasks for f in s.tasks[task].failures]
    kinds = list(dict.fromkeys(f.kind for _, f in found))
    return sorted(((system, f) for system, f in found if f.ids), key=lambda pair: kinds.index(pair[1].kind))


def never_failed(scores: Sequence[Scores], task: str) -> list[str]:
    """The kinds of failure that were looked for and never found."""
    looked_for = dict.fromkeys(f.kind for s in scores if task in s.tasks for f in s.tasks[task].failures)
    return [kind for kind in looked_for if kind not in {f.kind for _, f in failures(scores, task)}]


def unscored(scores: Sequence[Scores], task: str) -> str:
    """A sentence on the rows that are in no figure; "" if there are none."""
    counts = [f"{s.system} {n}" for s in scores if task in s.tasks and (n := s.tasks[task].not_scored)]
    return f"Rows without a score: {', '.join(counts)}." if counts else ""


def given_answers(confusion: Confusion) -> list[str]:
    """The columns of a confusion matrix: the right answers in their order, then what else was given."""
    return list(dict.fromkeys([*confusion, *(given for row in confusion.values() for given in row)]))


def percentage(part: int, whole: int) -> str:
    return amount(part / whole if whole else math.nan, "fraction")


def _figures(scores: Sequence[Scores], task: str, published: bool) -> str:
    rows: list[Row] = []
    for metric in (figure.metric for name, figure in metric_columns(scores) if name == task):
        for s in scores:
            if f := find(s, task, metric):
                rows.append((label(f), s.system, amount(f.value, f.unit), interval(f), str(f.n), "ours"))
        if published:
            rows += [(metric, p.system, amount(p.value, p.unit), "", "", p.origin) for p in published_for(task, metric)]
    if not rows:
        return ""
    heads = ["metric", "system", ">value", ">95 % interval", ">rows", "source"]
    return _table(heads, rows) if published else _table(heads[:-1], [row[:-1] for row in rows])


def _failures(scores: Sequence[Scores], task: str) -> list[str]:
    rows = [
        (f.kind, name, f"{len(f.ids)} of {f.of}", percentage(len(f.ids), f.of), f.detail, _first(f.ids))
        for name, f in failures(scores, task)
    ]
    parts = [_table(["failure", "system", ">rows", ">share", "detail", "ids"], rows)] if rows else []
    absent = never_failed(scores, task)
    return parts + ([f"Looked for and found in no row: {_markdown(', '.join(absent))}."] if absent else [])


def _first(ids: Sequence[str]) -> str:
    more = f" and {len(ids) - SHOWN_IDS} more" if len(ids) > SHOWN_IDS else ""
    return ", ".join(ids[:SHOWN_IDS]) + more


def _confusions(scores: Sequence[Scores], task: str) -> Iterator[str]:
    for s in scores:
        if task in s.tasks and (confusion := s.tasks[task].confusion):
            given = given_answers(confusion)
            rows = [(right, *(str(counts.get(g, 0)) for g in given)) for right, counts in confusion.items()]
            yield f"Right answers (rows of the table) and those of {_markdown(s.system)} (columns):"
            yield _table(["", *(f">{g}" for g in given)], rows)


def _robustness(scores: Sequence[Scores], task: str) -> str:
    rows = []
    for s in scores:
        if task in s.tasks and (r := s.tasks[task].robustness):
            figures = (amount(value, r.unit) for value in (r.mean, r.best, r.worst, r.spread))
            rows.append((r.metric, s.system, str(r.items), str(r.wordings), *figures))
    heads = ["over wordings", "system", ">items", ">wordings", ">mean", ">best", ">worst", ">spread"]
    return _table(heads, rows) if rows else ""


def _comparison(comparison: Comparison) -> list[str]:
    rows = [
        (
            d.task,
            label(d),
            amount(d.a, d.unit),
            amount(d.b, d.unit),
            signed(d.value, d.unit),
            interval(d),
            probability(d.p),
            probability(d.p_bootstrap),
            f"{d.wins} / {d.ties} / {d.losses}",
        )
        for d in comparison.differences
    ]
    heads = ["task", "metric", f">{comparison.a}", f">{comparison.b}", ">difference", ">95 % interval"]
    heads += [">p", ">p (bootstrap)", ">wins / ties / losses"]
    return [f"## {_markdown(comparison.b)} against {_markdown(comparison.a)}", _table(heads, rows)]


def _table(heads: Row, rows: Iterable[Row]) -> str:
    """A Markdown table; a head that begins with ">" has its column to the right."""
    rule = ["---:" if head.startswith(">") else "---" for head in heads]
    lines = [[_markdown(head.removeprefix(">")) for head in heads], rule, *([*map(_markdown, row)] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _markdown(text: str) -> str:
    """Text in which nothing is markup, on one line."""
    return re.sub(r"([\\`*_\[\]<>|&~#])", r"\\\1", " ".join(text.split()))


def _latex(text: str) -> str:
    return "".join(LATEX.get(c, c) for c in " ".join(text.split()))


def _latex_row(cells: Iterable[str]) -> str:
    return " & ".join(cells) + r" \\"


def _latex_caption(scores: Sequence[Scores], others: Sequence[Published]) -> str:
    text = _latex(f"Figures with {method(scores)}")
    for source in SOURCES:
        of_source = [p for p in others if p.source == source]
        cited = ", ".join(dict.fromkeys(p.cited for p in of_source if p.cited))
        if of_source:
            text += f" $^{{{DAGGERS[source]}}}$\\,{_latex(SOURCES[source] + (f' ({cited})' if cited else ''))}."
    return text


def _latex_tasks(tasks: Sequence[str]) -> Iterator[str]:
    """Each task over its metrics, which stand together."""
    for task, group in groupby(tasks):
        yield rf"\multicolumn{{{2 * len(list(group))}}}{{c}}{{{_latex(task)}}}"


def _latex_cell(scores: Scores, rivals: Sequence[Scores], column: tuple[str, Figure]) -> str:
    """Two cells: the figure and its interval."""
    task, head = column
    figure = find(scores, task, head.metric)
    if figure is None:
        return "-- &"
    value = show_value(figure.value, figure.unit)
    if is_best(figure, rivals, task):
        value = rf"\textbf{{{value}}}"
    if not (math.isfinite(figure.low) and math.isfinite(figure.high)):
        return f"{value} &"
    return rf"{value} & {{\scriptsize [{show_value(figure.low, figure.unit)}, {show_value(figure.high, figure.unit)}]}}"


def _latex_published(others: Sequence[Published], columns: Sequence[tuple[str, Figure]]) -> Iterator[str]:
    """One line per system, corpus and source."""
    lines: dict[tuple[str, str, str], dict[tuple[str, str], Published]] = {}
    for p in others:
        lines.setdefault((p.system, p.corpus, p.source), {})[p.task, p.metric] = p
    for (system, corpus, source), cells in lines.items():
        found = (cells.get((task, figure.metric)) for task, figure in columns)
        values = (f"{show_value(p.value, p.unit)} &" if p else "&" for p in found)
        yield _latex_row([f"{_latex(f'{system}, {corpus}')}$^{{{DAGGERS[source]}}}$", *values])
