r"""Tables and parallel texts of corpora: `\n` alone ends a line, a tab ends a field, a quotation mark is a letter."""

from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from re import DOTALL, Pattern, compile, escape
from unicodedata import normalize

from wavllm_cli.corpora import ENCODING, FORM, Skipped
from wavllm_cli.data.files import shown
from wavllm_cli.data.text_file import numbered_lines
from wavllm_cli.errors import UsageError, counted


def rows(
    path: Path, required: Sequence[str] = (), separator: str = "\t", escapes: bool = False
) -> Iterator[dict[str, str] | Skipped]:
    """The rows of a table by the names in its header, NFC; or a line that is not one.

    Blank lines are passed over. A header may be quoted, values are as they stand.

    Args:
        path: the table, in UTF-8, also gzipped.
        required: columns that there must be.
        separator: between the fields.
        escapes: whether a backslash makes a letter of what follows it, be it a separator or the end of a line.

    Raises:
        UsageError: the header lacks a column.
        ManifestError: the file cannot be read.
    """
    numbered = enumerate(texts(path), 1)
    _, first = next(numbered, (1, ""))
    header = [] if isinstance(first, Skipped) else [name.strip().strip('"') for name in first.split(separator)]
    if missing := [name for name in required if name not in header]:
        raise UsageError(f"{shown(path)}, line 1: there is no column {', '.join(missing)}, only {', '.join(header)}.")
    for number, line in _whole(numbered) if escapes else numbered:
        if isinstance(line, Skipped):
            yield line
        elif line.strip():
            fields = _unescaped(line, separator) if escapes and "\\" in line else line.split(separator)
            if len(fields) == len(header):
                yield dict(zip(header, fields, strict=True))
            else:
                yield Skipped(
                    place(path, number), FORM, f"{counted(len(fields), 'field')} where the header has {len(header)}"
                )


Numbered = Iterator[tuple[int, str | Skipped]]


def _whole(lines: Numbered) -> Numbered:
    """Lines, those whose end is escaped together with the next."""
    for number, line in lines:
        while isinstance(line, str) and _ends_in_escape(line):
            _, more = next(lines, (0, ""))
            line = f"{line}\n{more}" if isinstance(more, str) else more
        yield number, line


def _ends_in_escape(line: str) -> bool:
    return line.endswith("\\") and (len(line) - len(line.rstrip("\\"))) % 2 == 1


def _unescaped(line: str, separator: str) -> list[str]:
    fields = [""]
    for letters, between in _pieces(separator).findall(line):
        if between:
            fields.append("")
        else:
            fields[-1] += letters[1:] if letters.startswith("\\") else letters
    return fields


@cache
def _pieces(separator: str) -> Pattern[str]:
    """What stands between separators, each escaped letter by itself; or a separator."""
    mark = escape(separator)
    return compile(rf"([^\\{mark}]+|\\.)|({mark})", DOTALL)


def texts(path: Path, older: str | None = None) -> Iterator[str | Skipped]:
    """The lines of a text in UTF-8, NFC, without their ends; or one that is in another encoding.

    Args:
        path: the text, also gzipped.
        older: an encoding in which lines may be that are not UTF-8.

    Raises:
        ManifestError: the file cannot be read.
    """
    for number, line in numbered_lines(path):
        try:
            text = _decoded(line, older)
        except UnicodeDecodeError:
            yield Skipped(place(path, number), ENCODING, "is not UTF-8")
        else:
            yield normalize("NFC", text).removesuffix("\n").removesuffix("\r")


def _decoded(line: bytes, older: str | None) -> str:
    try:
        return line.decode()
    except UnicodeDecodeError:
        if older is None:
            raise
        return line.decode(older)


def parallel(*paths: Path) -> Iterator[tuple[str | Skipped, ...]]:
    """Line n of each of the files, for all n.

    Raises:
        UsageError: they differ in their number of lines, said before the first line.
        ManifestError: a file cannot be read.
    """
    counts = {path: sum(1 for _ in numbered_lines(path)) for path in paths}
    if len(set(counts.values())) > 1:
        lengths = ", ".join(f"{shown(path)} {count:,}" for path, count in counts.items())
        raise UsageError(f"Files that belong together line by line have different numbers of lines: {lengths}.")
    yield from zip(*map(texts, paths), strict=True)


def place(path: Path, number: int) -> str:
    return f"{shown(path)}, line {number}"
