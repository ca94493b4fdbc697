"""The one way to stdout and stderr: results go to the first; progress, warnings and errors to the other.

Both are plain text when they are not a terminal, so that `wavllm … | less` and log files stay readable. What files,
servers and models have written – ids, names, answers – never steers the terminal: see `visible`.
"""

import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence, Sized
from time import monotonic
from typing import Any, TypeVar

from rich.cells import cell_len
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TaskID, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from wavllm_cli.errors import WavLLMError, shortened
from wavllm_cli.grid import column_widths, table_width, without_repeats

T = TypeVar("T")

LONGEST_LINE = 2000  # characters of a message
LONGEST_CELL = 200  # characters of a text in a terminal's table
QUIET_START, EVERY = 10.0, 60.0  # seconds until the first line about a task, and between two of them
WIDE, MIDDLING = 80, 50  # columns that a progress display needs for its bar, and for rate and time

# What terminals obey instead of showing it: C0, DEL, C1, marks and overrides of direction, line separators; and bytes
# of file names that are not UTF-8, which Python holds as lone surrogates.
STEERING = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u206f\ud800-\udfff]")


def visible(text: str, keep: str = "\n\t") -> str:
    r"""Text whose control characters can be seen (`\x1b`, `\u202e`, `\xff` for a byte that is no UTF-8) but do nothing.

    Args:
        keep: those that stay as they are: in one line of a message none, in an answer line ends and tabs.
    """
    return STEERING.sub(lambda match: match[0] if match[0] in keep else _escaped(match[0]), text)


def _escaped(character: str) -> str:
    code = ord(character)
    byte = code - 0xDC00 if 0xDC80 <= code <= 0xDCFF else None  # as os.fsdecode marks it
    return f"\\x{byte:02x}" if byte is not None else character.encode("unicode_escape").decode()


class _Stream(Console):
    """Prints strings as they are – no markup, no emoji – but for what would steer the terminal or cannot be encoded."""

    def print(self, *objects: Any, **options: Any) -> None:
        try:
            super().print(*(self.text(o) if isinstance(o, str) else o for o in objects), **options)
        except BrokenPipeError:
            raise
        except OSError as error:
            self._lose(error)

    def write(self, text: str, end: str = "\n") -> None:
        """Text as it is, without the least change of its blanks."""
        try:
            print(self._encodable(visible(text)), end=end, file=self.file, flush=True)
        except BrokenPipeError:
            raise
        except OSError as error:
            self._lose(error)

    def text(self, text: str, style: str = "", keep: str = "\n\t") -> Text:
        return Text(self._encodable(visible(text, keep)), style=style)

    def _encodable(self, text: str) -> str:
        return text.encode(self.encoding, "backslashreplace").decode(self.encoding)

    def _lose(self, error: OSError) -> None:
        """Results that cannot be written are a failure; notes that nobody can read are not."""
        self.file = open(os.devnull, "w")  # noqa: SIM115  (as long as the process lives)
        if not self.stderr:
            raise WavLLMError(f"Standard output cannot be written: {error.strerror or error}.") from error


out = _Stream(highlight=False, soft_wrap=True, emoji=False)
err = _Stream(stderr=True, highlight=False, soft_wrap=True, emoji=False)


# --- single lines ---


def set_quiet(quiet: bool) -> None:
    """Silence progress and warnings (errors are printed all the same, see `error`)."""
    err.quiet = quiet


def say(text: str) -> None:
    """A result on stdout; its line ends and tabs stay."""
    out.write(text)


def say_piece(text: str) -> None:
    """A piece of a result that is still on its way: the next one stands right behind it."""
    out.write(text, end="")


def say_json(value: Any) -> None:
    """A result on stdout as JSON, in which whatever steers terminals is escaped as JSON has it."""
    from wavllm_cli import strict_json

    text = strict_json.dumps(value, indent=2, ascii=not out.encoding.startswith("utf"))
    out.write(STEERING.sub(lambda match: match[0] if match[0] == "\n" else f"\\u{ord(match[0]):04x}", text))


def info(message: str) -> None:
    """A line of news on stderr, silenced by `--quiet`."""
    _tell(_line(message))


def warn(message: str) -> None:
    """A warning on stderr, silenced by `--quiet`."""
    _tell(Text.assemble(("warning: ", "yellow"), _line(message)))


def error(message: str) -> None:
    """An error on stderr; never silenced."""
    quiet, err.quiet = err.quiet, False
    _tell(Text.assemble(("error: ", "bold red"), _line(message)))
    err.quiet = quiet


def _tell(message: Text) -> None:
    """A message, broken between words where a terminal would break within them."""
    err.print(message, soft_wrap=not err.is_terminal)


def confirm(question: str) -> bool:
    """Ask somebody at a terminal; nothing but y or yes agrees."""
    err.print(Text.assemble(_line(question), " [y/N] "), end="")
    try:
        return input().strip().lower() in ("y", "yes")
    except EOFError:
        return False


def _line(message: str) -> Text:
    """A message on one line; of a very long one the beginning and the end."""
    if len(message) > LONGEST_LINE:
        left_out = len(message) - LONGEST_LINE
        half = LONGEST_LINE // 2
        message = f"{message[:half]} … ({left_out:,} characters left out) … {message[-half:]}"
    return err.text(message, keep="")


# --- progress ---


class RateColumn(ProgressColumn):
    """Items per second, or seconds per item below one."""

    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        if not speed:
            return Text("")
        return Text(f"{speed:.1f}/s" if speed >= 1 else f"{1 / speed:.1f} s each")


class WordsColumn(ProgressColumn):
    """Words about a task, perhaps a server's."""

    def __init__(self, words: Callable[[Task], str]):
        super().__init__()
        self.words = words

    def render(self, task: Task) -> Text:
        return err.text(shortened(self.words(task)), keep="")


def watched() -> bool:
    """Whether somebody sees progress."""
    return err.is_terminal and not err.quiet


class _Lines(Progress):
    """What a log file gets in the place of a progress display: of a task that takes long a line now and then."""

    def __init__(self) -> None:
        super().__init__(disable=True, get_time=lambda: monotonic())
        self.due: dict[TaskID, float] = {}  # seconds from a task's start to its next line

    def advance(self, task_id: TaskID, advance: float = 1) -> None:
        super().advance(task_id, advance)
        self._tell(self._tasks[task_id])

    def update(self, task_id: TaskID, **changes: Any) -> None:
        super().update(task_id, **changes)
        self._tell(self._tasks[task_id])

    def stop(self) -> None:
        for task in self.tasks:
            if task.id in self.due:
                info(f"{_done(task)}, {duration(task.elapsed)} in all")

    def _tell(self, task: Task) -> None:
        elapsed = task.elapsed or 0.0
        if elapsed >= self.due.get(task.id, QUIET_START):
            self.due[task.id] = elapsed + EVERY
            left = f", about {duration(task.time_remaining)} left" if task.time_remaining else ""
            info(f"{_done(task)} in {duration(elapsed)}{left}")


def _done(task: Task) -> str:
    total = "" if task.total is None else f" of {task.total:,.0f}"
    return f"{task.description}: {task.completed:,.0f}{total}"


def duration(seconds: float | None) -> str:
    """`2 h 5 min`, `5 min 59 s`, `12 s`."""
    minutes, seconds = divmod(round(seconds or 0), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {seconds} s" if minutes else f"{seconds} s"


def hours(count: float, unit: str = "") -> str:
    """Hours of audio as a table shows them; in minutes and seconds what is less than a tenth of one.

    Args:
        unit: behind hours, where no heading says that they are hours.
    """
    seconds = 3600 * count
    if not count or count >= 0.1:
        return f"{count:,.2f}{unit}"
    return duration(seconds) if seconds >= 10 else f"{seconds:.2g} s"


def progress_bar() -> Progress:
    """A progress display on stderr with rate and time left; where that is no terminal, lines of a task that lasts."""
    if not watched():
        return _Lines()
    columns: list[ProgressColumn] = [
        WordsColumn(lambda task: task.description),
        *([BarColumn()] if err.width >= WIDE else []),
        MofNCompleteColumn(),
        *([RateColumn(), TimeRemainingColumn()] if err.width >= MIDDLING else []),
        *([WordsColumn(lambda task: task.fields["note"])] if err.width >= WIDE else []),
    ]
    return Progress(*columns, console=err, transient=True)


def track(items: Iterable[T], description: str, total: int | None = None) -> Iterator[T]:
    """Yield from `items` under a progress bar."""
    with progress_bar() as bar:
        task = bar.add_task(description, total=total if total is not None else _length(items), note="")
        for item in items:
            yield item
            bar.advance(task)


def _length(items: object) -> int | None:
    return len(items) if isinstance(items, Sized) else None


# --- tables ---


def table(
    title: str,
    columns: Sequence[str],
    rows: Iterable[Sequence[object]],
    console: Console = out,
    right: bool = True,
    merged: int = 0,
) -> None:
    """Print a table, to stdout by default.

    Elsewhere than on a terminal it is as wide as it must be. On one it is folded to fit, though never within a number;
    where that is not possible each row becomes lines of `column: cell`.

    Args:
        title: above it.
        columns: their names. Those that begin with ">" are right-aligned and never folded, the others hold text. At a
            newline a name is broken where the table is too wide otherwise.
        rows: their cells, shown as `str` shows them.
        console: where to.
        right: if no name begins with ">": whether all columns but the first are right-aligned.
        merged: so many columns from the left do not repeat what stands above.
    """
    marked = any(name.startswith(">") for name in columns)
    numbers = [name.startswith(">") if marked else right and i > 0 for i, name in enumerate(columns)]
    names = [name.removeprefix(">") for name in columns]
    longest = LONGEST_CELL if console.is_terminal else LONGEST_LINE
    cells = [[_cell(value, None if n else longest) for value, n in zip(row, numbers, strict=True)] for row in rows]
    widths = column_widths(names, cells, numbers, console.width if console.is_terminal else None)
    console.print(out.text(title, "italic", keep=""))
    if widths is None:
        _print_as_lines(names, cells, console)
        return
    natural = all(width >= cell_len(name.replace("\n", " ")) for width, name in zip(widths, names, strict=True))
    grid = Table(width=table_width(widths))
    for name, number, width in zip(names, numbers, widths, strict=True):
        head = Text(name.replace("\n", " ") if natural else name)
        grid.add_column(head, justify="right" if number else "left", width=width, overflow="fold")
    for row in without_repeats(cells, merged):
        grid.add_row(*map(Text, row))
    console.print(grid, soft_wrap=False, crop=False)


def _cell(value: object, longest: int | None) -> str:
    return out.text(shortened(value, longest) if longest else str(value), keep="").plain


def _print_as_lines(names: Sequence[str], rows: Iterable[Sequence[str]], console: Console) -> None:
    for row in rows:
        for name, cell in zip(names, row, strict=True):
            if cell:
                head = f"{' '.join(name.split())}:"
                # A terminal breaks lines within numbers: one that has room on a line of its own gets it.
                separator = "\n" if cell_len(cell) <= console.width < cell_len(f"{head} {cell}") else " "
                console.print(Text(f"{head}{separator}{cell}"), soft_wrap=True)
        console.print()
