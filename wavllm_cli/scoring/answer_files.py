"""The rows of files of answers, as they stand there: JSON Lines, JSON, Parquet, and texts with an answer a line.

A .json holds a list of rows, somewhere; or an object of rows or answers by their ids; or lists that belong together
entry by entry.
"""

import reprlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from wavllm_cli import strict_json
from wavllm_cli.data.manifest import MANIFEST_SUFFIXES, parquet_rows, row_name
from wavllm_cli.data.text_file import content, require_file, text_lines
from wavllm_cli.errors import ManifestError, UsageError, shortened
from wavllm_cli.scoring.line_ids import keyed

MAX_LISTED = 20  # keys in a message
ABSENT = object()

Raw = dict[str, Any] | str  # a row of a file, or what is wrong with it, from `: ` on


@dataclass(frozen=True)
class Table:
    """A file's rows and their numbers.

    Attributes:
        name: in messages.
        path: None for standard input.
        unit: what the numbers count.
    """

    name: str
    path: Path | None
    unit: str
    rows: list[tuple[int, Raw]]

    @cached_property
    def keys(self) -> set[str]:
        return {key for _, row in self.rows if isinstance(row, dict) for key in row}

    def has(self, path: str) -> bool:
        """Whether something stands in any row under a key or a dotted path."""
        return any(at(row, path) is not ABSENT for _, row in self.rows)

    def example(self) -> dict[str, Any]:
        """All that stands in rows, by dotted path, for messages."""
        return {path: value for _, row in self.rows if isinstance(row, dict) for path, value in _leaves(row)}


def read_table(source: str, named: Mapping[str, str], place: str | None = None) -> Table:
    """Read a file of rows.

    Args:
        source: .jsonl, .jsonl.gz, .json, .json.gz or .parquet, or `-` for JSON Lines on standard input.
        named: what the mapping calls our keys, by which answers and lists of them are found in a .json.
        place: where in a .json the rows are, if the mapping says so.

    Raises:
        UsageError: the name is not that of a file of rows.
        ManifestError: the file cannot be read, or it is not clear what its rows are.
    """
    if source == "-":
        return Table("standard input", None, "line", _json_lines(content(source)))
    path = Path(source)
    if not path.is_fifo():
        require_file(path)
    if source.endswith((".jsonl", ".jsonl.gz")):
        return Table(source, path, "line", _json_lines(content(path)))
    if source.endswith(".parquet"):
        return Table(source, path, "row", list(parquet_rows(path)))
    if source.endswith((".json", ".json.gz")):
        return _json_table(path, {"text": "text"} | dict(named), place)
    if source.endswith(".tsv"):
        raise ManifestError(f"{source} has no answers: a .tsv is a manifest, which can be the --reference of answers.")
    raise UsageError(
        f"{source} is taken for text, an answer a line: give the right answers as a text too (--reference). "
        "The name of a file of rows ends in .jsonl, .jsonl.gz, .json or .parquet."
    )


def read_texts(sources: Sequence[str], reference: Path) -> list[Table]:
    """Rows of `id`, `target` and `text` from texts that belong together line by line, or by the ids in their lines.

    Without ids in the lines, the number of a line is its id.

    Raises:
        UsageError: a source is no text.
        ManifestError: a file cannot be read, or its lines do not fit those of the reference.
    """
    read = [(str(reference), text_lines(reference))]
    for source in sources:
        if source == "-" or not is_text(Path(source)):
            raise UsageError(f"{source} has rows, but {reference} is a text: give a manifest as --reference, or none.")
        read.append((source, text_lines(source)))
    targets, *texts = keyed(read)
    tables = []
    for (source, _), answers in zip(read[1:], texts, strict=True):
        rows: list[tuple[int, Raw]] = [
            (number, {"id": id, "target": targets[id], "text": text})
            for number, (id, text) in enumerate(answers.items(), 1)
        ]
        tables.append(Table(source, Path(source), "line", rows))
    return tables


def is_text(path: Path) -> bool:
    """Whether a file's name is not that of a file of rows."""
    return not path.name.endswith((*MANIFEST_SUFFIXES, ".json", ".json.gz")) and not path.is_dir()


# --- lines ---


def _json_lines(found: bytes) -> list[tuple[int, Raw]]:
    return [(number, _json_line(line)) for number, line in enumerate(found.split(b"\n"), 1) if line.strip()]


def _json_line(line: bytes) -> Raw:
    try:
        return _row(strict_json.loads(line))
    except ValueError as error:
        return f"{row_name(strict_json.readable(line))}: {error}."


def _row(value: Any) -> Raw:
    return value if isinstance(value, dict) else f": a row should be an object, not {reprlib.repr(value)}."


# --- a .json ---


def _json_table(path: Path, named: Mapping[str, str], place: str | None) -> Table:
    found = content(path)
    try:
        value = strict_json.loads(found)
    except ValueError as error:
        if b"\n" in found.strip() and isinstance(_json_line(found.split(b"\n", 1)[0]), dict):
            return Table(str(path), path, "line", _json_lines(found))  # JSON Lines under the name of JSON
        raise ManifestError(f"{path} cannot be read: {error}.") from error
    rows = _find_rows(value, path, named, place)
    if isinstance(rows, dict):
        rows = [row | {"id": id} if isinstance(row, dict) else {"id": id, "text": row} for id, row in rows.items()]
    return Table(str(path), path, "row", [(number, _row(row)) for number, row in enumerate(rows, 1)])


def _find_rows(value: Any, path: Path, named: Mapping[str, str], place: str | None) -> list[Any] | dict[str, Any]:
    """The rows in the content of a .json, or an object of rows or answers by id."""
    if isinstance(value, list):
        return value
    lists = dict(_lists(value))
    if place:
        value = at(value, place)
        if not isinstance(value, list | dict):
            has = _with_lengths(lists) if lists else "no list of objects"
            raise ManifestError(f'{path} has no rows at "{place}"; it has {has}.')
        return _rows_of_columns(value, path, named) or value
    if rows := _rows_of_columns(value, path, named):
        return rows
    entries = list(value.values()) if isinstance(value, dict) else []
    answer = named["text"]
    if entries and all(at(entry, "text") is not ABSENT or at(entry, answer) is not ABSENT for entry in entries):
        return value
    if len(lists) > 1:
        shown = _with_lengths(lists)
        raise ManifestError(f"{path} has several lists of objects: {shown}. Say where the rows are: --map rows=NAME.")
    if lists:
        return next(iter(lists.values()))
    if any(isinstance(entry, str) for entry in entries) or (entries and all(isinstance(e, dict) for e in entries)):
        return value
    raise ManifestError(
        f"{path} has no rows: a list of objects was expected, or an object of answers by their ids, or lists of equal "
        "length that --map names."
    )


def _rows_of_columns(value: Any, path: Path, named: Mapping[str, str]) -> list[dict[str, Any]]:
    """Rows made of lists that belong together entry by entry: all that are named, and their equals in length."""
    columns = {name: at(value, name) for name in named.values()}
    if not all(_is_column(column) for column in columns.values()):
        return []
    lengths = {len(column) for column in columns.values()}
    if len(lengths) > 1:
        raise ManifestError(f"{path}: lists that belong together differ in length: {_with_lengths(columns)}.")
    columns |= {key: inner for key, inner in value.items() if _is_column(inner) and len(inner) in lengths}
    return [dict(zip(columns, entries, strict=True)) for entries in zip(*columns.values(), strict=True)]


def _is_column(value: Any) -> bool:
    return isinstance(value, list) and not any(isinstance(entry, dict) for entry in value)


def _lists(value: Any, prefix: str = "") -> Iterator[tuple[str, list[Any]]]:
    """Dotted path and value of each list of objects."""
    for key, inner in value.items() if isinstance(value, dict) else ():
        if isinstance(inner, list) and inner and all(isinstance(row, dict) for row in inner):
            yield prefix + key, inner
        yield from _lists(inner, f"{prefix}{key}.")


# --- what stands in a row ---


def at(row: Any, path: str) -> Any:
    """What stands in a row under a key or a dotted path, or `ABSENT`."""
    if isinstance(row, dict) and path in row:
        return row[path]
    for key in path.split("."):
        if not isinstance(row, dict) or key not in row:
            return ABSENT
        row = row[key]
    return row


def _leaves(row: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted path and value of all that is no object in a row."""
    for key, value in row.items():
        if isinstance(value, dict):
            yield from _leaves(value, f"{prefix}{key}.")
        else:
            yield prefix + key, value


# --- messages ---


def listed(names: Iterable[str], most: int = MAX_LISTED) -> str:
    """Names for a message, the first of them if there are many."""
    names = list(names)
    return ", ".join([*map(shortened, names[:most])] + ["…"] * (len(names) > most)) or "none"


def _with_lengths(lists: Mapping[str, list[Any]]) -> str:
    return listed(f'"{name}" (length {len(entries)})' for name, entries in lists.items())
