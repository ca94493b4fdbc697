"""Tables of one's own and of other toolkits: CSV, TSV, JSON Lines, JSON; columns are known by their names."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from wavllm_cli import console, strict_json
from wavllm_cli.corpora import FORM, NO_AUDIO, About, Draft, LeftOut, Skipped
from wavllm_cli.corpora.importers import Own, Record
from wavllm_cli.corpora.importers.columns import EXTRA, Mapped, Meaning, fields_of, meanings, require_told
from wavllm_cli.corpora.importers.conversations import exchange
from wavllm_cli.corpora.importers.delimited import Quotes
from wavllm_cli.corpora.importers.delimited import rows as delimited
from wavllm_cli.corpora.importers.places import cleaned, found, is_address
from wavllm_cli.corpora.importers.rows import WORDS, drafts
from wavllm_cli.corpora.tables import place
from wavllm_cli.data.audio import SUFFIXES
from wavllm_cli.data.files import shown
from wavllm_cli.data.text_file import content, numbered_lines, require_file
from wavllm_cli.errors import UsageError, listed

ABOUT = About(
    title="Your own table of recordings: CSV, TSV, JSON Lines or JSON.",
    licence="yours",
    size="any; splits are the table's own, else drawn by seed",
    tasks=("asr", "st", "er", "sqa", "sqqa", "summ", "sft"),
    source="a spreadsheet, NeMo, ms-swift, LLaMA-Factory, sharegpt, …",
    layout="a row for each clip or segment; audio beside the table, or where its paths lead",
    root="The table.",
    example="wavllm prep table clips.csv --language en --out data/own",
    out="data/own",
)


@dataclass(frozen=True)
class Options(Own):
    map: Annotated[
        tuple[Mapped, ...],
        "COLUMN=FIELD, where a name is not known: nr=id; times also as begin=start:ms. COLUMN=extra keeps it aside.",
    ] = ()
    columns: Annotated[str | None, "Names of the columns, commas between them, where the first line has none."] = None
    quotes: Annotated[Quotes | None, "Quotation marks stand around fields, or are letters. Without it: what fits."] = (
        None
    )
    audio_root: Annotated[Path | None, "Folder of the audio, if it is not beside the table."] = None


Row = tuple[str, dict[str, Any] | Skipped]  # and its place before it


def manifests(root: Path, out: Path, options: Options) -> Iterator[Draft]:
    """One manifest per split."""
    require_file(root)
    rows = read(root, options.columns.split(",") if options.columns else None, options.quotes)
    reader = Reader(root.parent if options.audio_root is None else options.audio_root, options)
    yield from drafts(reader.records(rows, shown(root)), root.name.split(".")[0], out, options)


def read(path: Path, columns: list[str] | None = None, quotes: Quotes | None = None) -> Iterator[Row]:
    """The rows of a file, whatever its name says that it is.

    Raises:
        UsageError: it is no table.
        ManifestError: it cannot be read.
    """
    head = next((line.strip() for _, line in numbered_lines(path) if line.strip()), b"")
    if head.startswith(b"PAR1"):
        raise UsageError(f"{shown(path)} is Parquet: give it to wavllm prep hf.")
    if head.startswith(b"[") or (head.startswith(b"{") and not head.endswith(b"}")):
        yield from _array(path)
    elif head.startswith(b"{"):
        for number, line in numbered_lines(path):
            if line.strip():
                yield place(path, number), _object(line, place(path, number))
    else:
        for number, row in delimited(path, columns, quotes):
            yield place(path, number), row


def _object(line: bytes, where: str) -> dict[str, Any] | Skipped:
    try:
        value = strict_json.loads(line)
    except ValueError as error:
        return Skipped(where, FORM, str(error))
    return value if isinstance(value, dict) else Skipped(where, FORM, "is not an object")


def _array(path: Path) -> Iterator[Row]:
    """The objects of a JSON array, also of one that is all that an object holds."""
    try:
        value = strict_json.loads(content(path))
    except ValueError as error:
        raise UsageError(f"{shown(path)} is no JSON: {error}.") from error
    if isinstance(value, dict):
        arrays = [inner for inner in value.values() if isinstance(inner, list) and inner and isinstance(inner[0], dict)]
        value = arrays[0] if len(arrays) == 1 else None
    if not isinstance(value, list):
        raise UsageError(f"{shown(path)} is no table: an array of objects was expected, or an object a line.")
    for number, row in enumerate(value, 1):
        where = f"{shown(path)}, item {number}"
        yield where, row if isinstance(row, dict) else Skipped(where, FORM, "is not an object")


class Reader:
    """Makes records of rows whose columns are known by their names or by what the user says."""

    def __init__(self, root: Path, options: Options):
        self.root, self.told = root, options.map
        self._known: dict[tuple[str, ...], dict[str, Meaning]] = {}  # by the columns of a row

    def records(self, given: Iterable[Row], name: str) -> Iterator[Record | Skipped]:
        """
        Raises:
            UsageError: there is no row, no column with audio or text, or one that the user speaks of is not there.
        """
        rows = list(given)
        columns = list(dict.fromkeys(column for _, row in rows if isinstance(row, dict) for column in row))
        if not columns:
            broken = next((f": {row.item}: {row.detail}" for _, row in rows if isinstance(row, Skipped)), "")
            raise UsageError(f"{name} has no row that can be used{broken}.")
        self._require_columns(columns, name)
        rows.reverse()  # each is let go of as soon as its fields are known, and these when it is a record
        parsed = [self._fields(*rows.pop()) for _ in range(len(rows))]
        names = (name for one in parsed if not isinstance(one, Skipped) for name in _names(one[1]))
        paths = found((name for name in names if not is_address(name)), self.root)
        parsed.reverse()
        while parsed:
            one = parsed.pop()
            if isinstance(one, Skipped):
                yield one
            else:
                yield from _record(*one, paths)

    def _require_columns(self, columns: list[str], name: str) -> None:
        require_told(self.told, columns)
        known = meanings(columns, self.told)
        fields = {meaning.field for meaning in known.values()}
        if "messages" in fields or fields & {"prompt", "speech_text"}:
            lacking = None
        elif not fields & {"audio", "id"}:
            lacking = "audio"
        else:
            lacking = None if fields & {"target", *WORDS} else "text"
        if lacking:
            raise UsageError(
                f"{name}: no column is known to hold the {lacking} ({listed(columns, 30)}): say "
                f"--map COLUMN={lacking}, or, where the first line is not a header, name all of them by --columns."
            )
        used = ", ".join(f"{column} → {meaning}" for column, meaning in known.items() if meaning.field != EXTRA)
        others = [column for column, meaning in known.items() if meaning.field == EXTRA]
        console.info(f"columns: {used}" + (f"; kept in extra: {listed(others, 30)}" if others else ""))

    def _fields(
        self, where: str, row: dict[str, Any] | Skipped
    ) -> tuple[str, dict[str, Any], dict[str, Any], int] | Skipped:
        if isinstance(row, Skipped):
            return row
        columns = tuple(row)
        if columns not in self._known:
            self._known[columns] = meanings(columns, self.told)
        try:
            fields, extra = fields_of(row, self._known[columns])
            fields, more = exchange(fields)
        except ValueError as error:
            return Skipped(where, FORM, str(error))
        return where, fields, extra, more


def _names(fields: Mapping[str, Any]) -> list[str]:
    """What the audio of a row is called; of one without such a column it is found by the id."""
    audio = fields.get("audio", fields.get("id") if "prompt" not in fields else None)
    listed = audio if isinstance(audio, list) else [] if audio is None else [audio]
    return [str(name) for name in listed]


def _called(audio: str) -> str:
    """What a row is called by its audio: the path without a suffix, of an absolute one the last part."""
    path = Path(cleaned(audio))
    path = path.with_suffix("") if path.suffix.lower() in SUFFIXES else path
    is_absolute = path.is_absolute() or ":" in path.parts[0]  # on Windows
    return path.name if is_absolute else "/".join(part for part in path.parts if part != "..")


def _record(
    where: str, fields: dict[str, Any], extra: dict[str, Any], more: int, paths: Mapping[str, Path]
) -> Iterator[Record | Skipped]:
    names = _names(fields)
    if addresses := [name for name in names if is_address(name)]:
        yield Skipped(where, NO_AUDIO, f"{addresses[0]} is an address: get the file first")
        return
    fields.pop("audio", None)
    extra |= {key: fields.pop(key) for key in ("system", "history") if key in fields}
    called = _called(names[0]) if names else where
    yield Record.of(where, called, tuple(paths[name] for name in names), fields, extra)
    if more:
        yield LeftOut(where, "later-turns", f"{more} further answers of its conversation, which lean on the first one")
