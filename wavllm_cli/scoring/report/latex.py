"""Results as a LaTeX table for papers."""

import math
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby

from wavllm_cli.console import visible
from wavllm_cli.scoring.report.table import Cell, Table, Value, bare
from wavllm_cli.scoring.report.tables import FEW, SOURCE, VALUE, Results, method, signatures

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
FEW_MARK = r"$^{\ast}$"

Place = tuple[Cell, Cell]  # of a column: task and metric


def latex(results: Results) -> str:
    """A booktabs table, systems by metrics, with the interval of each figure; what others published stands below."""
    of_figures = [table for table in results.tables if VALUE in table.columns]
    ours = _by_system(table for table in of_figures if SOURCE not in table.columns)
    columns = {place: value for of_system in ours.values() for place, value in of_system.items()}
    published = _by_system(table for table in of_figures if SOURCE in table.columns)
    others = {name: cells for name, cells in published.items() if cells.keys() & columns.keys()}
    few = any(value.few for of_system in ours.values() for value in of_system.values())
    note = f" {FEW_MARK}: fewer than {FEW} rows." if few else ""
    return "\n".join(
        [
            r"% needs \usepackage{booktabs}",
            r"\begin{table}",
            r"\centering",
            rf"\caption{{{_plain(f'Figures with {method(results)}')}{note}}}",
            rf"\begin{{tabular}}{{l{'r@{ }l' * len(columns)}}}",
            r"\toprule",
            _row(["System", *_tasks([task for task, _ in columns])]),
            _row(["", *(_head(metric, value) for (_, metric), value in columns.items())]),
            r"\midrule",
            *(_row([_plain(name), *(_cell(cells.get(c)) for c in columns)]) for name, cells in ours.items()),
            *([r"\midrule"] if others else []),
            *(_row([_plain(name), *(_cell(cells.get(c)) for c in columns)]) for name, cells in others.items()),
            r"\bottomrule",
            r"\end{tabular}",
            r"\end{table}",
            *(f"% {visible(signature, keep='')}" for signature in signatures(results)),
            "",
        ]
    )


def _by_system(tables: Iterable[Table]) -> dict[str, dict[Place, Value]]:
    """The figures of each system; what others published is kept apart by where it comes from."""
    found: dict[str, dict[Place, Value]] = {}
    for table in tables:
        for task, metric, system, value, *_, last in table.rows:
            assert isinstance(value, Value)
            name = f"{system} ({last})" if SOURCE in table.columns else str(system)
            found.setdefault(name, {})[task, metric] = value
    return found


def _tasks(tasks: Sequence[Cell]) -> Iterator[str]:
    """Each task over its metrics, which stand together."""
    for task, group in groupby(tasks):
        yield rf"\multicolumn{{{2 * len(list(group))}}}{{c}}{{{_plain(str(task))}}}"


def _head(metric: Cell, value: Value) -> str:
    return rf"\multicolumn{{2}}{{c}}{{{_plain(str(metric) + (', %' if value.unit == 'fraction' else ''))}}}"


def _cell(figure: Value | None) -> str:
    """Two cells: the figure and its interval."""
    if figure is None:
        return "-- &"
    value = bare(figure.value, figure.unit)
    value = (rf"\textbf{{{value}}}" if figure.best else value) + (FEW_MARK if figure.few else "")
    if not (math.isfinite(figure.low) and math.isfinite(figure.high)):
        return f"{value} &"
    return rf"{value} & {{\scriptsize [{bare(figure.low, figure.unit)}, {bare(figure.high, figure.unit)}]}}"


def _row(cells: Iterable[str]) -> str:
    return " & ".join(cells) + r" \\"


def _plain(text: str) -> str:
    """Text in which nothing is markup, on one line."""
    return "".join(ESCAPES.get(c, c) for c in visible(" ".join(text.split())))
