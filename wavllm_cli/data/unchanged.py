"""Whether a file holds already what would be written into it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO


def holds(path: Path, write: Callable[[Any], None]) -> bool:
    """Whether all that is written is there, and nothing behind it; the file stays as it is.

    Args:
        write: is given something to write into, from the beginning on.
    """
    with path.open("rb") as file:
        try:
            write(_Comparison(file))
        except _Differs:
            return False
        return not file.read(1)


class _Differs(Exception):
    pass


class _Comparison:
    """Takes what is written for as long as a file goes on with it."""

    def __init__(self, file: BinaryIO):
        self._file = file

    def tell(self) -> int:
        return self._file.tell()

    def write(self, content: bytes) -> int:
        if self._file.read(len(content)) != content:
            raise _Differs
        return len(content)
