"""The manifest: one utterance a line, the file that every stage reads and leaves behind.

JSON Lines (`.jsonl`, `.jsonl.gz`), Parquet, and, for reading, the original project's TSV. Hypotheses are manifest rows
with an answer.
"""

import gzip
import io
from array import array
from collections.abc import Callable, Iterable, Iterator
from io import BufferedReader
from itertools import islice
from pathlib import Path
from typing import Any, overload

from pydantic import ValidationError

from wavllm_cli import strict_json
from wavllm_cli.data import tsv
from wavllm_cli.data.files import replacing
from wavllm_cli.data.foreign import refuse_foreign
from wavllm_cli.data.ids import Ids
from wavllm_cli.data.rows import Rows
from wavllm_cli.data.schema import Row, Task, Utterance, problems_in
from wavllm_cli.data.text_file import is_plain, numbered_lines, require_file
from wavllm_cli.errors import ManifestError, listed, reason, shortened

MANIFEST_SUFFIXES = (".jsonl", ".jsonl.gz", ".parquet", ".tsv")
MAX_PROBLEMS = 10  # reported at once
NAMED = 3  # rows with the same problem
BLOCK = 1 << 13  # rows that become columns at a time

Each = Callable[[Any], None] | None

# --- reading ---


@overload
def read_manifest(path: str | Path, *, default_task: Task = "asr", each: Each = ...) -> Rows[Utterance]: ...
@overload
def read_manifest(path: str | Path, model: type[Row], default_task: Task = "asr", each: Each = ...) -> Rows[Row]: ...
def read_manifest(path: str | Path, model: Any = Utterance, default_task: Task = "asr", each: Each = None) -> Any:
    """Check a whole manifest; its rows are a sequence that makes an object of each when it is asked for.

    Args:
        path: .jsonl, .jsonl.gz, .parquet, or the original project's .tsv.
        model: `Hypothesis` for hypotheses.
        default_task: the task of a TSV whose name does not tell it. `asr`, `en2de`, `sv`, `emo`, `SQA`, `gaokao`,
            `SQQA`, `II-task`, `CoT-task` and the like do, anywhere in the name.
        each: called with every row while it is there, by whoever will need all of them once.

    Raises:
        ManifestError: the file is missing or empty, or rows are wrong; one sentence for each of the first problems.
    """
    path = Path(path)
    refuse_foreign(path)
    if path.name.endswith(".jsonl"):
        require_file(path)  # no pipe: a manifest is read more than once
        file = path.open("rb")
        if is_plain(file):
            return _indexed(file, path, model, each)
    return Rows.spooled(_seen(iter_manifest(path, model, default_task), each), model, str(path))


@overload
def iter_manifest(path: str | Path, *, default_task: Task = "asr") -> Iterator[Utterance]: ...
@overload
def iter_manifest(path: str | Path, model: type[Row], default_task: Task = "asr") -> Iterator[Row]: ...
def iter_manifest(path: str | Path, model: Any = Utterance, default_task: Task = "asr") -> Iterator[Any]:
    """As `read_manifest`, for a reader who needs each row once: the problems of all are raised at the end.

    Rows that stand after a problem are checked and not yielded.
    """
    path = Path(path)
    refuse_foreign(path)
    yield from _some(checked(numbered_rows(path, model, default_task), str(path)), path)


def _indexed(file: BufferedReader, path: Path, model: type[Row], each: Each) -> Rows[Row]:
    """The rows of JSON Lines, by where their lines begin in the file."""
    starts = array("q")

    def lines() -> Iterator[tuple[int, bytes]]:
        end = 0
        for number, text in numbered_lines(file):
            end = end or file.tell() - len(text)  # what may stand before the first line is a byte order mark
            if text.strip():
                starts.append(end)
                yield number, text
            end += len(text)
        starts.append(end)

    rows = checked(((number, _validated_json(text, model)) for number, text in lines()), str(path))
    for _ in _seen(_some(rows, path), each):
        pass
    return Rows(file, starts, model, str(path))


def _seen(rows: Iterable[Row], each: Each) -> Iterator[Row]:
    for row in rows:
        if each:
            each(row)
        yield row


def _some(rows: Iterable[Row], path: Path) -> Iterator[Row]:
    empty = True
    for row in rows:
        empty = False
        yield row
    if empty:
        raise ManifestError(f"{path} has no rows: a manifest has at least one utterance.")


def checked(rows: Iterable[tuple[int, Row | str]], name: str, unit: str = "line") -> Iterator[Row]:
    """Yield the rows of a file as long as nothing is wrong with any of them; whether an id occurs twice shows last.

    Args:
        rows: their numbers and the rows, or what is wrong with them, from ` (id …)` or `: ` on.
        name: of the file.
        unit: what the numbers count.

    Raises:
        ManifestError: at the end, a sentence for each kind among the first `MAX_PROBLEMS` problems.
    """
    ids = Ids()
    problems: list[tuple[int, str]] = []
    for number, row in rows:
        if isinstance(row, str):
            problems.append((number, row))
        else:
            ids.add(row.id, number)
            if not problems:
                yield row
        if len(problems) == MAX_PROBLEMS:
            break
    for number, id, first in islice(ids.repeated(), MAX_PROBLEMS):
        problems.append((number, f": id {shortened(id)!r} is already taken by {unit} {first}."))
    if problems:
        problems = sorted(problems)[:MAX_PROBLEMS]
        stopped = [f"{name}: reading stopped after {MAX_PROBLEMS} problems."] if len(problems) == MAX_PROBLEMS else []
        raise ManifestError(*_alike(problems, name, unit), *stopped)


def _alike(problems: Iterable[tuple[int, str]], name: str, unit: str) -> Iterator[str]:
    """A sentence for each kind of problem, which names the first rows that have it."""
    places: dict[str, list[str]] = {}
    for number, problem in problems:
        who, _, what = problem.partition(": ")
        places.setdefault(what, []).append(f"{number}{who}")
    for what, rows in places.items():
        yield f"{name}, {unit}{'s' if len(rows) > 1 else ''} {listed(rows, NAMED)}: {what}"


def read_lines(path: str | Path, model: type[Row]) -> Iterator[Row]:
    """Yield the rows of a .jsonl or .jsonl.gz one by one, also of a file that is still being written.

    A last line without its line end is left out: its writer was interrupted. Ids are not compared.

    Raises:
        ManifestError: the file is missing, or a row is wrong.
    """
    path = Path(path)
    for line, text in _text_lines(path):
        if not text.endswith(b"\n"):
            return
        row = _validated_json(text, model)
        if isinstance(row, str):
            raise ManifestError(f"{path}, line {line}{row}")
        yield row


@overload
def numbered_rows(path: Path) -> Iterator[tuple[int, Utterance | str]]: ...
@overload
def numbered_rows(path: Path, model: type[Row], default_task: Task = "asr") -> Iterator[tuple[int, Row | str]]: ...
def numbered_rows(path: Path, model: Any = Utterance, default_task: Task = "asr") -> Iterator[tuple[int, Any]]:
    """Yield (line, row), or (line, what is wrong with it) from ` (id …)` or `: ` on. Ids are not compared.

    Raises:
        ManifestError: the file is missing, or is no manifest.
    """
    require_file(path)
    if path.name.endswith(".parquet"):
        for number, fields in parquet_rows(path):
            yield number, validated(fields, model)
    elif path.name.endswith(".tsv"):
        for number, columns in tsv.rows(_text_lines(path), path, default_task):
            yield number, columns if isinstance(columns, str) else validated(columns, model)
    elif path.name.endswith(MANIFEST_SUFFIXES):
        for number, text in _text_lines(path):
            yield number, _validated_json(text, model)
    else:
        raise ManifestError(f"{path} is not a manifest: its name must end in {', '.join(MANIFEST_SUFFIXES)}.")


def _text_lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """Lines that are not blank and their numbers from 1 on, line ends kept."""
    require_file(path)  # no pipe: a manifest is read more than once
    return ((number, text) for number, text in numbered_lines(path) if text.strip())


def parquet_rows(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield (number from 1 on, row) of any Parquet file; empty fields are left out, `audio` and `target` never.

    Raises:
        ManifestError: the file cannot be read.
    """
    from pyarrow import ArrowException
    from pyarrow.parquet import ParquetFile

    try:
        with ParquetFile(path) as file:
            number = 0
            for batch in file.iter_batches():
                for row in batch.to_pylist():
                    number += 1
                    # A column has a value in every row, null where JSON would leave the key out.
                    yield number, {k: v for k, v in row.items() if v is not None or k in ("audio", "target")}
    except (OSError, ArrowException) as error:
        raise ManifestError(f"{path} cannot be read as Parquet: {reason(error).rstrip('.')}.") from error


def validated(fields: Any, model: type[Row]) -> Row | str:
    """A row made of its fields, or what is wrong with it, to stand after `FILE, line N`."""
    try:
        return model.model_validate(fields)
    except ValidationError as error:
        return _sentence(error, fields)


def _validated_json(text: bytes, model: type[Row]) -> Row | str:
    text = text.strip()
    try:
        fields = strict_json.loads(text)
    except ValueError as error:
        return f"{row_name(strict_json.readable(text))}: {error}."
    return validated(fields, model)


def _sentence(error: ValidationError, fields: Any) -> str:
    """What is wrong with a row, to stand after `FILE, line N`."""
    problems = problems_in(error)
    return f"{row_name(fields)}: {'; '.join(problems)}".rstrip(".") + ("" if problems[-1].endswith("?") else ".")


def row_name(fields: Any) -> str:
    """A row's id, to stand after `FILE, line N`; nothing where it has none."""
    return f" (id {shortened(fields['id'])})" if isinstance(fields, dict) and "id" in fields else ""


# --- writing ---


def require_writable(path: Path) -> None:
    """Find out before the work that no manifest can have this name.

    Raises:
        ManifestError: another suffix than .jsonl, .jsonl.gz or .parquet.
    """
    if not path.name.endswith((".jsonl", ".jsonl.gz", ".parquet")):
        raise ManifestError(f"{path} cannot be written: a manifest's name ends in .jsonl, .jsonl.gz or .parquet.")


def write_manifest(path: str | Path, rows: Iterable[Utterance]) -> int:
    """Write .jsonl, .jsonl.gz or .parquet; the file appears under its name only when it is complete.

    Returns:
        How many rows there were.

    Raises:
        ManifestError: another suffix, or an id that occurs twice.
        WavLLMError: the file cannot be written.
    """
    path = Path(path)
    require_writable(path)
    with replacing(path) as draft:
        if path.suffix == ".parquet":
            return _write_parquet(draft, _distinct(rows, path))
        written = 0
        with draft.open("wb") as file:
            # No name and time in the archive's header: the same rows give the same bytes.
            packed = gzip.GzipFile("", "wb", fileobj=file, mtime=0) if path.suffix == ".gz" else file
            with io.TextIOWrapper(packed, encoding="utf-8", newline="\n") as text:
                for row in _distinct(rows, path):
                    text.write(f"{row.json_line()}\n")
                    written += 1
    return written


def _distinct(rows: Iterable[Utterance], path: Path) -> Iterator[Utterance]:
    ids = Ids()
    for number, row in enumerate(rows, start=1):
        ids.add(row.id, number)
        yield row
    for _, id, _ in ids.repeated():
        raise ManifestError(f"{path} cannot be written: id {shortened(id)!r} occurs twice.")


def _write_parquet(path: Path, rows: Iterable[Utterance]) -> int:
    """Rows become Arrow some at a time; what type a column has only the last of them may tell."""
    import pyarrow as pa
    from pyarrow.parquet import write_table

    fields = map(_parquet_fields, rows)
    tables = []
    while block := list(islice(fields, BLOCK)):
        tables.append(pa.table({key: pa.array([row[key] for row in block]) for key in block[0]}))
    table = pa.concat_tables(tables, promote_options="permissive") if tables else pa.table({})
    empty = {name for name in table.column_names if table[name].type == pa.null()}
    table = table.drop_columns(sorted(empty - {"audio", "target"}))
    for name in empty & set(table.column_names):  # without any value it has no type of its own; theirs is text
        table = table.set_column(table.column_names.index(name), name, table[name].cast(pa.string()))
    write_table(table, path)
    return table.num_rows


def _parquet_fields(row: Utterance) -> dict[str, Any]:
    """`extra` and lists as JSON text: what they hold may differ from row to row, where a column has one type."""
    fields = row.model_dump()
    if row.extra is not None:
        fields["extra"] = strict_json.dumps(row.extra)
    for name in ("audio", "speaker"):
        if isinstance(fields[name], tuple):
            fields[name] = strict_json.dumps(fields[name])
    return fields
