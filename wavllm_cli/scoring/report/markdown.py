"""Results as Markdown for repositories."""

import re
from collections.abc import Iterable

from wavllm_cli.console import visible
from wavllm_cli.errors import listed
from wavllm_cli.scoring.report.table import Cell, Ids, Table, Value
from wavllm_cli.scoring.report.tables import Results, facts, method, signatures

SHOWN_IDS = 5  # of the rows that failed in one way


def markdown(results: Results) -> str:
    """All tables as GitHub-flavoured Markdown, below what was scored."""
    parts = ["# Scores", "\n".join(f"- {name}: {_plain(fact)}" for name, fact in facts(results.about)), method(results)]
    for table in map(Table.compact, results.tables):
        parts += [f"## {_plain(table.title)}", _table(table), *map(_plain, table.notes)]
    if made := signatures(results):
        parts += ["## Signatures", "\n".join(f"- `{visible(signature, keep='')}`" for signature in made)]
    return "\n\n".join(filter(None, parts)) + "\n"


def _table(table: Table) -> str:
    if not table.rows:
        return ""
    heads = [_plain(column.name) for column in table.columns]
    rule = ["---:" if column.number else "---" for column in table.columns]
    return "\n".join(map(_line, [heads, rule, *(list(map(_cell, row)) for row in table.rows)]))


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _cell(cell: Cell) -> str:
    if isinstance(cell, Ids):
        return _plain(": ".join(filter(None, [cell.detail, listed(cell.ids, SHOWN_IDS)])))
    return f"**{cell}**" if isinstance(cell, Value) and cell.best else _plain(str(cell))


def _plain(text: str) -> str:
    """Text in which nothing is markup, on one line."""
    return re.sub(r"([\\`*_\[\]<>|&~#])", r"\\\1", visible(" ".join(text.split())))
