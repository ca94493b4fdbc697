"""Results as tables on a terminal."""

from wavllm_cli import console
from wavllm_cli.scoring.report.table import Column, Table
from wavllm_cli.scoring.report.tables import Results, signatures


def show(results: Results) -> None:
    """Print all tables but the matrices, without the columns that there is no room for; at the end the signatures."""
    for table in (table.compact() for table in results.tables if not table.matrix):
        show_table(table, merged=2 if table.columns[0].name else 0)
    for signature in signatures(results):
        console.out.print(console.out.text(signature, keep=""))


def show_table(table: Table, merged: int = 0) -> None:
    """Print one table and its notes, without the columns that there is no room for.

    Args:
        merged: so many columns from the left do not repeat what stands above.
    """
    for column in (column for column in table.columns if column.detail):
        table = table.without(column.name)
    if table.rows:
        console.table(table.title, [_head(column) for column in table.columns], table.rows, merged=merged)
    for note in table.notes:
        console.out.print(console.out.text(note, keep=""), soft_wrap=not console.out.is_terminal)
    console.out.print()


def _head(column: Column) -> str:
    """The name as `console.table` takes it: broken at a newline where the table is too wide otherwise."""
    name = column.name.replace(" interval", "\ninterval").replace("without ", "without\n").replace("/ ties", "/\nties")
    return f">{name}" if column.number else name
