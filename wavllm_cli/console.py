"""The one Rich console. Results go to stdout; progress, warnings and errors go to stderr.

Both are plain text when they are not a terminal, so that `wavllm … | less` and log files stay readable.
"""

from collections.abc import Iterable, Iterator, Sequence, Sized
from typing import TypeVar

from rich.console import Console
from rich.measure import Measurement
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

T = TypeVar("T")

UNLIMITED = 10_000  # characters in a line

out = Console(highlight=False, soft_wrap=True)
err = Console(stderr=True, highlight=False, soft_wrap=True)


class RateColumn(ProgressColumn):
    """Items per second, or seconds per item below one."""

    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        if not speed:
            return Text("")
        return Text(f"{speed:.1f}/s" if speed >= 1 else f"{1 / speed:.1f} s each")


def set_quiet(quiet: bool) -> None:
    """Silence progress and warnings (errors are printed all the same, see `error`)."""
    err.quiet = quiet


def progress_bar() -> Progress:
    """A progress display on stderr with rate and time left; invisible when stderr is not a terminal or quiet."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        RateColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
        console=err,
        transient=True,
        disable=not err.is_terminal or err.quiet,
    )


def track(items: Iterable[T], description: str, total: int | None = None) -> Iterator[T]:
    """Yield from `items` under a progress bar."""
    with progress_bar() as bar:
        task = bar.add_task(description, total=total if total is not None else _length(items), note="")
        for item in items:
            yield item
            bar.advance(task)


def info(message: str) -> None:
    """A line of news on stderr, silenced by `--quiet`."""
    err.print(message, markup=False)


def warn(message: str) -> None:
    """A warning on stderr, silenced by `--quiet`."""
    err.print(Text.assemble(("warning: ", "yellow"), message))


def error(message: str) -> None:
    """An error on stderr; never silenced."""
    quiet, err.quiet = err.quiet, False
    err.print(Text.assemble(("error: ", "bold red"), message))
    err.quiet = quiet


def table(
    title: str, columns: Sequence[str], rows: Iterable[Sequence[object]], console: Console = out, right: bool = True
) -> None:
    """Print a table, to stdout by default; on a terminal it is folded to fit, elsewhere it is as wide as it must be.

    Args:
        title: above it.
        columns: their names. Those that begin with ">" are right-aligned and never folded, the others hold text. At a
            newline a name is broken where the table is too wide otherwise.
        rows: their cells, shown as `str` shows them.
        console: where to.
        right: if no name begins with ">": whether all columns but the first are right-aligned.
    """
    cells = [[Text(str(cell)) for cell in row] for row in rows]
    grid = _grid([name.replace("\n", " ") for name in columns], cells, right)
    width = Measurement.get(console, console.options.update_width(UNLIMITED), grid).maximum
    if not console.is_terminal:
        grid.width = width
    elif width > console.width:
        grid = _grid(columns, cells, right)
    console.print(Text(title, style="italic"))
    console.print(grid, soft_wrap=False, crop=False)


def _grid(columns: Sequence[str], rows: Iterable[Sequence[Text]], right: bool) -> Table:
    marked = any(name.startswith(">") for name in columns)
    grid = Table()
    for i, name in enumerate(columns):
        if marked:
            number = name.startswith(">")
            grid.add_column(
                name.removeprefix(">"), justify="right" if number else "left", no_wrap=number or not i, overflow="fold"
            )
        else:
            grid.add_column(name, justify="right" if right and i else "left", no_wrap=not i)
    for row in rows:
        grid.add_row(*row)
    return grid


def _length(items: object) -> int | None:
    return len(items) if isinstance(items, Sized) else None
