"""Results as Markdown for repositories."""

import re
from collections.abc import Iterable, Iterator

from wavllm_cli.console import visible
from wavllm_cli.errors import listed
from wavllm_cli.scoring.report.table import Cell, Ids, Table, Value
from wavllm_cli.scoring.report.tables import Results, facts, method, signatures

SHOWN_IDS = 5  # of the rows that failed in one way


def markdown(results: Results) -> str:
    """All tables as GitHub-flavoured Markdown, below what was scored."""
    parts = ["# Scores", "\n".join(f"- {name}: {plain(fact)}" for name, fact in facts(results.about)), method(results)]
    parts += sections(map(Table.compact, results.tables))
    if made := signatures(results):
        parts += ["## Signatures", "\n".join(f"- `{visible(signature, keep='')}`" for signature in made)]
    return "\n\n".join(filter(None, parts)) + "\n"


def sections(tables: Iterable[Table]) -> Iterator[str]:
    """Title, table and notes of each; a blank line belongs between them."""
    for table in tables:
        yield from filter(None, [f"## {plain(table.title)}", _table(table), *map(plain, table.notes)])


def _table(table: Table) -> str:
    if not table.rows:
        return ""
    heads = [plain(column.name) for column in table.columns]
    rule = ["---:" if column.number else "---" for column in table.columns]
    return "\n".join(map(_line, [heads, rule, *(list(map(_cell, row)) for row in table.rows)]))


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _cell(cell: Cell) -> str:
    if isinstance(cell, Ids):
        return plain(": ".join(filter(None, [cell.detail, listed(cell.ids, SHOWN_IDS)])))
    return f"**{cell}**" if isinstance(cell, Value) and cell.best else plain(str(cell))


def plain(text: str) -> str:
    """Text in which nothing is markup, on one line."""
    return re.sub(r"([\\`*_\[\]<>|&~#])", r"\\\1", visible(" ".join(text.split())))
