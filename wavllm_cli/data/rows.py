"""The rows of a manifest as a sequence that fits in memory: each is an object only while it is touched."""

import errno
import os
from array import array
from collections.abc import Iterable, Sequence
from tempfile import TemporaryFile, gettempdir
from typing import IO, Any

from wavllm_cli import strict_json
from wavllm_cli.data.lazy import Lazy
from wavllm_cli.data.schema import Row
from wavllm_cli.errors import ManifestError, WavLLMError, disk_full, reason


class Rows(Lazy[Row]):
    """Rows that have been checked, read anew from their lines whenever they are asked for.

    Eight bytes a row stay in memory: where its line begins. The file is held open, so that the rows stay what they are
    when another file takes its name; a forked process reads through the same descriptor.

    Args:
        file: JSON Lines, each of them valid.
        starts: where the line of each row begins, and where the last one ends.
        name: of the manifest.
    """

    def __init__(self, file: IO[bytes], starts: "array[int]", model: type[Row], name: str):
        self._file, self._starts, self._model, self.name = file, starts, model, name

    @classmethod
    def spooled(cls, rows: Iterable[Row], model: type[Row], name: str) -> "Rows[Row]":
        """Rows that have no lines to come back to (packed, Parquet, TSV, not written yet), put into a nameless file.

        Raises:
            WavLLMError: there is no room for it.
        """
        starts = array("q", [0])
        try:
            file = TemporaryFile()  # noqa: SIM115 - lives as long as the rows
            for row in rows:
                starts.append(starts[-1] + file.write(f"{row.json_line()}\n".encode()))
            file.flush()
        except OSError as error:
            why = disk_full(gettempdir()) if error.errno == errno.ENOSPC else reason(error)
            raise WavLLMError(f"{name} cannot be put down to be read: {why}.") from error
        return cls(file, starts, model, name)

    def __len__(self) -> int:
        return len(self._starts) - 1

    def _made(self, index: int) -> Row:
        return self._row(self._line(self._starts[index], self._starts[index + 1]))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Sequence):
            return NotImplemented
        return len(self) == len(other) and all(mine == theirs for mine, theirs in zip(self, other, strict=True))

    __hash__ = None  # type: ignore[assignment]

    def __reduce__(self) -> tuple[Any, ...]:
        """For a process that is not forked: it opens the very same file, whatever bears its name by then."""
        return _reopened, (f"/proc/{os.getpid()}/fd/{self._file.fileno()}", self._starts, self._model, self.name)

    def _line(self, start: int, end: int) -> bytes:
        try:
            found = os.pread(self._file.fileno(), end - start, start)
        except OSError as error:
            raise ManifestError(f"{self.name} can no longer be read: {reason(error)}.") from error
        if len(found) < end - start:
            raise ManifestError(self._changed())
        return found

    def _row(self, line: bytes) -> Row:
        try:
            return self._model.model_validate(strict_json.loads(line.strip()))
        except ValueError as error:
            raise ManifestError(self._changed()) from error

    def _changed(self) -> str:
        return f"{self.name} was written to while it was being read: start again, and leave it as it is meanwhile."


def _reopened(path: str, starts: "array[int]", model: type[Row], name: str) -> Rows[Row]:
    return Rows(open(path, "rb"), starts, model, name)
