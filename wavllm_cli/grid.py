"""How wide the columns of a table are, and what of it need not be said twice."""

from collections.abc import Iterator, Sequence

from rich.cells import cell_len

FOLDED = 8  # columns that a text keeps at least before a table gives way to lines
BORDERS = 3  # columns between two cells; one more at the edge


def table_width(widths: Sequence[int]) -> int:
    """Of a table with columns of these widths, borders included."""
    return sum(widths) + BORDERS * len(widths) + 1


def column_widths(
    names: Sequence[str], rows: Sequence[Sequence[str]], numbers: Sequence[bool], room: int | None
) -> list[int] | None:
    """How wide each column is to be, so that the table fits into the room; None where it cannot."""
    columns = list(zip(*rows, strict=True)) if rows else [()] * len(names)
    widths, least = [], []
    for name, column, number in zip(names, columns, numbers, strict=True):
        widest = max(map(cell_len, column), default=0)
        word = max((cell_len(word) for cell in column for word in cell.split()), default=0)
        widths.append(max(widest, cell_len(name.replace("\n", " "))))
        head = max(map(cell_len, name.split()), default=0)
        least.append(max(head, widest if number else min(word, FOLDED)))
    if room is None:
        return widths
    room -= table_width([0] * len(names))
    if sum(least) > room:
        return None
    while sum(widths) > room:
        widest = max((i for i in range(len(widths)) if widths[i] > least[i]), key=widths.__getitem__)
        widths[widest] -= 1
    return widths


def without_repeats(rows: Sequence[Sequence[str]], count: int) -> Iterator[Sequence[str]]:
    """Rows whose first cells, as far as they are those of the row above, are empty."""
    above: Sequence[str] = ()
    for row in rows:
        same = next((i for i in range(count) if row[: i + 1] != above[: i + 1]), count)
        yield [*[""] * same, *row[same:]]
        above = row
