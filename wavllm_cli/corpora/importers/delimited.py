"""Tables that people export: commas, semicolons, tabs or bars; with quotation marks around fields or as letters."""

import csv
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

from wavllm_cli import console
from wavllm_cli.corpora import FORM, Skipped
from wavllm_cli.corpora.tables import place
from wavllm_cli.data.files import shown
from wavllm_cli.data.text_file import content
from wavllm_cli.errors import UsageError, counted

Quotes = Literal["marks", "letters"]  # what a quotation mark is: around a field, or a part of it
Row = tuple[int, list[str]]  # the line it begins in, and its fields

SEPARATORS = "\t;,|"
FIRST = 50  # lines that tell the separator
LONGEST_FIELD = 1 << 24  # characters


def rows(
    path: Path, columns: Sequence[str] | None, quotes: Quotes | None
) -> Iterator[tuple[int, dict[str, str] | Skipped]]:
    """The rows of a table and the lines in which they begin; or a line that is no row.

    Args:
        path: in UTF-8, else it is taken for CP1252 or Latin-1, and that is said.
        columns: their names, where the first line is no header.
        quotes: what quotation marks are; None: as the lines come out.

    Raises:
        UsageError: it is no table, or its quotation marks do not fit.
        ManifestError: it cannot be read.
    """
    text, encoding = decoded(path)
    if encoding != "UTF-8":
        console.warn(f"{shown(path)} is not UTF-8: it is read as {encoding}; see whether its accents are right.")
    lines = text.split("\n")
    skipped = 0
    if declared := re.fullmatch(r"sep=(.)\r?", lines[0]):  # Excel's
        lines, skipped = lines[1:], 1
    separator = declared[1] if declared else _separator(lines, columns)
    table = _read(path, lines, separator, quotes)
    header = list(columns) if columns else [name.strip() for name in table.pop(0)[1]] if table else []
    if repeated := [name for name in header if header.count(name) > 1]:
        raise UsageError(f"{shown(path)}: there are two columns {repeated[0]!r}: rename one, or name all by --columns.")
    for number, fields in table:
        number += skipped
        if len(fields) == len(header):
            yield number, dict(zip(header, (field.strip() for field in fields), strict=True))
        else:
            detail = f"{counted(len(fields), 'field')} where the header has {len(header)}"
            yield number, Skipped(place(path, number), FORM, detail)


def decoded(path: Path) -> tuple[str, str]:
    """The text of a file, and the encoding in which it is: UTF-8, else CP1252 or Latin-1, which nobody can know.

    Raises:
        UsageError: it is no text.
        ManifestError: it cannot be read.
    """
    data = content(path)
    if b"\0" in data[:4096]:
        raise UsageError(f"{shown(path)} is not text: export a spreadsheet as CSV, and give Parquet to wavllm prep hf.")
    for encoding in ("UTF-8", "CP1252"):
        try:
            return data.decode(encoding), encoding
        except UnicodeDecodeError:
            continue
    return data.decode("latin-1"), "Latin-1"


def _separator(lines: Sequence[str], columns: Sequence[str] | None) -> str:
    """What stands most often in the header; of a table without one, as often as it must in most of the first lines."""
    counts = [{one: re.sub(r'"[^"]*"', "", line).count(one) for one in SEPARATORS} for line in lines[:FIRST]]
    if columns:
        return max(SEPARATORS, key=lambda one: sum(count[one] == len(columns) - 1 for count in counts))
    return max(SEPARATORS, key=lambda one: counts[0][one]) if any(counts[0].values()) else ","


def _read(path: Path, lines: list[str], separator: str, quotes: Quotes | None) -> list[Row]:
    """By the reading of quotation marks in which all rows have as many fields as the first, and which has more rows.

    Where that leaves a choice, they stand around fields with commas and semicolons, and are letters with tabs and bars:
    so the owners of corpora write them.
    """
    letters = _with_letters(lines, separator)
    if quotes == "letters" or (quotes is None and not any('"' in line for line in lines)):
        return letters
    marked, problem = _with_marks(lines, separator)
    if quotes == "marks" and not problem:
        return marked
    likely: Quotes = "marks" if separator in ",;" else "letters"
    fitting = {"letters": quotes is None and _fits(letters), "marks": not problem and _fits(marked)}
    if all(fitting.values()) and len(letters) == len(marked):
        return marked if likely == "marks" else letters
    if any(fitting.values()):
        chosen: Quotes = "letters" if fitting["letters"] else "marks"
    elif problem and "marks" in (likely, quotes):
        cure = "mend the line, or have them taken as letters by --quotes letters"
        raise UsageError(f"{place(path, problem)}: its quotation marks do not fit: {cure}.")
    else:
        chosen = likely
    if chosen != likely:
        meant = "parts of the text" if chosen == "letters" else "marks around fields"
        console.info(f"{shown(path)}: its quotation marks are read as {meant} (see --quotes)")
    return letters if chosen == "letters" else marked


def _fits(table: Sequence[Row]) -> bool:
    return len({len(fields) for _, fields in table}) == 1


def _with_letters(lines: Sequence[str], separator: str) -> list[Row]:
    numbered = ((number, line.removesuffix("\r").split(separator)) for number, line in enumerate(lines, 1))
    return [(number, fields) for number, fields in numbered if any(field.strip() for field in fields)]


def _with_marks(lines: Sequence[str], separator: str) -> tuple[list[Row], int | None]:
    """Rows as CSV has them, and the line in which that ends, if it does not fit."""
    table: list[Row] = []
    csv.field_size_limit(LONGEST_FIELD)
    reader = csv.reader((line.removesuffix("\r") + "\n" for line in lines), delimiter=separator, strict=True)
    begin = 1
    try:
        for fields in reader:
            if any(field.strip() for field in fields):
                table.append((begin, fields))
            begin = reader.line_num + 1
    except csv.Error:
        return table, begin
    return table, None
