"""Scores as a LaTeX table for papers."""

import math
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby

from wavllm_cli.console import visible
from wavllm_cli.scoring.published import SOURCES, Published, published_for
from wavllm_cli.scoring.scores import Figure, Scores
from wavllm_cli.scoring.shown import find, is_best, label, method, metric_columns, show_value, signatures

DAGGERS = {"paper": r"\dagger", "secondary": r"\S", "independent": r"\ddagger"}
ESCAPES = {c: rf"\{c}" for c in "&%$#_{}"} | {
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


def latex(scores: Sequence[Scores], published: bool) -> str:
    """A booktabs table, systems by metrics, with the interval of each figure; the best of ours in bold.

    Args:
        scores: of one or more systems.
        published: whether figures that others published follow, each marked with its source.
    """
    columns = metric_columns(scores)
    names = [_plain(label(figure) + ("" if figure.unit == "points" else ", %")) for _, figure in columns]
    others = [p for task, figure in columns for p in published_for(task, figure.metric)] if published else []
    return "\n".join(
        [
            r"% needs \usepackage{booktabs}",
            r"\begin{table}",
            r"\centering",
            rf"\caption{{{_caption(scores, others)}}}",
            rf"\begin{{tabular}}{{l{'r@{ }l' * len(columns)}}}",
            r"\toprule",
            _row(["System", *_tasks([task for task, _ in columns])]),
            _row(["", *(rf"\multicolumn{{2}}{{c}}{{{name}}}" for name in names)]),
            r"\midrule",
            *(_row([_plain(s.system), *(_cell(s, scores, column) for column in columns)]) for s in scores),
            *([r"\midrule"] if others else []),
            *_published(others, columns),
            r"\bottomrule",
            r"\end{tabular}",
            r"\end{table}",
            *(f"% {visible(signature, keep='')}" for signature in signatures(scores)),
            "",
        ]
    )


def _caption(scores: Sequence[Scores], others: Sequence[Published]) -> str:
    text = _plain(f"Figures with {method(scores)}")
    for source in SOURCES:
        of_source = [p for p in others if p.source == source]
        cited = ", ".join(dict.fromkeys(p.cited for p in of_source if p.cited))
        if of_source:
            text += f" $^{{{DAGGERS[source]}}}$\\,{_plain(SOURCES[source] + (f' ({cited})' if cited else ''))}."
    return text


def _tasks(tasks: Sequence[str]) -> Iterator[str]:
    """Each task over its metrics, which stand together."""
    for task, group in groupby(tasks):
        yield rf"\multicolumn{{{2 * len(list(group))}}}{{c}}{{{_plain(task)}}}"


def _cell(scores: Scores, rivals: Sequence[Scores], column: tuple[str, Figure]) -> str:
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


def _published(others: Sequence[Published], columns: Sequence[tuple[str, Figure]]) -> Iterator[str]:
    """One line per system, corpus and source."""
    lines: dict[tuple[str, str, str], dict[tuple[str, str], Published]] = {}
    for p in others:
        lines.setdefault((p.system, p.corpus, p.source), {})[p.task, p.metric] = p
    for (system, corpus, source), cells in lines.items():
        found = (cells.get((task, figure.metric)) for task, figure in columns)
        values = (f"{show_value(p.value, p.unit)} &" if p else "&" for p in found)
        yield _row([f"{_plain(f'{system}, {corpus}')}$^{{{DAGGERS[source]}}}$", *values])


def _row(cells: Iterable[str]) -> str:
    return " & ".join(cells) + r" \\"


def _plain(text: str) -> str:
    """Text in which nothing is markup, on one line."""
    return "".join(ESCAPES.get(c, c) for c in visible(" ".join(text.split())))
