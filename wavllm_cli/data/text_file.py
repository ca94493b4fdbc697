r"""Files of text as people have them: plain, gzipped or UTF-16, with or without a byte order mark; or standard input.

Only `\n` ends a line (and a `\r` before it goes): U+2028 and the like belong to the text.
"""

import gzip
import io
import sys
import zlib
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import BinaryIO, cast

from wavllm_cli.data.files import IS_LFS_POINTER, is_lfs_pointer, shown, why_unreadable
from wavllm_cli.errors import ManifestError, UsageError

STANDARD_INPUT = "-"
GZIP = b"\x1f\x8b"
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
UTF_16 = (b"\xff\xfe", b"\xfe\xff")  # its byte order marks
UTF_32 = b"\xff\xfe\0\0"  # that of it, or UTF-16 and a character that no text has


def require_file(path: Path) -> None:
    """Find out before it is opened that a file cannot be read.

    Raises:
        ManifestError: it is missing, locked, a folder, a pipe, or only a Git LFS pointer.
    """
    if problem := why_unreadable(path):
        raise ManifestError(f"{shown(path)} {problem}{', not a file' if problem.startswith('is a ') else ''}.")
    if is_lfs_pointer(path):
        raise ManifestError(f"{shown(path)} {IS_LFS_POINTER}.")


def content(source: str | Path) -> bytes:
    """All of a file, a pipe or standard input (`-`), unpacked, in UTF-8 and without its byte order mark.

    Raises:
        ManifestError: it cannot be read.
    """
    with _opened(source) as file:
        return file.read()


def head(source: str | Path, size: int) -> bytes:
    """The first bytes of a file, otherwise as `content`."""
    with _opened(source) as file:
        return file.read(size)


def numbered_lines(source: str | Path | io.BufferedReader) -> Iterator[tuple[int, bytes]]:
    """Lines and their numbers from 1 on while the file is read, line ends kept; otherwise as `content`.

    A file that is open already stays so.
    """
    with _opened(source) as file:
        yield from enumerate(file, 1)


def text_lines(source: str | Path) -> list[str]:
    """The lines of a text in UTF-8, without their ends.

    Raises:
        ManifestError: it cannot be read, or is in another encoding; the message names the line.
    """
    found = content(source)
    try:
        lines = found.decode().split("\n")
    except UnicodeDecodeError as error:
        number = found.count(b"\n", 0, error.start) + 1
        raise ManifestError(f"{_name(source)}, line {number}: the text is not UTF-8.") from error
    if not lines[-1]:
        lines.pop()
    return [line.removesuffix("\r") for line in lines]


def is_plain(file: io.BufferedReader) -> bool:
    """Whether its bytes are those of its text: neither gzipped nor UTF-16, whatever its name says."""
    return not file.peek(len(GZIP)).startswith((GZIP, *UTF_16))


def _name(source: str | Path | io.BufferedReader) -> str:
    if isinstance(source, io.BufferedReader):
        return shown(source.name)
    return "Standard input" if source == STANDARD_INPUT else shown(source)


@contextmanager
def _opened(source: str | Path | io.BufferedReader) -> Iterator[BinaryIO]:
    try:
        with _raw(source) as raw:
            file = gzip.GzipFile(fileobj=raw) if raw.peek(len(GZIP)).startswith(GZIP) else raw
            head = file.peek(len(UTF_32))
            if head.startswith(UTF_16):
                yield io.BytesIO(_of_utf_16(file.read(), source))
                return
            if head.startswith(BYTE_ORDER_MARK):
                file.read(len(BYTE_ORDER_MARK))
            yield cast(BinaryIO, file)
    except (OSError, EOFError, zlib.error) as error:  # gzip raises all three
        raise ManifestError(f"{_name(source)} cannot be read: {error}.") from error


def _of_utf_16(data: bytes, source: str | Path | io.BufferedReader) -> bytes:
    """The same text in UTF-8."""
    try:
        if not data.startswith(UTF_32):
            return data.decode("utf-16").encode()
    except UnicodeDecodeError:
        pass
    raise ManifestError(
        f"{_name(source)} begins as UTF-16, but not all of it is: have it in UTF-8, for example by `iconv -t UTF-8`."
    )


def _raw(source: str | Path | io.BufferedReader) -> AbstractContextManager[io.BufferedReader]:
    if isinstance(source, io.BufferedReader):
        return nullcontext(source)
    if source == STANDARD_INPUT:
        if sys.stdin is None:
            raise UsageError("Standard input (-) is closed: pipe something into this command.")
        return io.BufferedReader(io.BytesIO(sys.stdin.buffer.read()))
    path = Path(source)
    if not path.is_fifo():
        require_file(path)
    return path.open("rb")
