"""Manifests that may be faulty: the rows that can be read, by number, and what is wrong with the others."""

import re
from array import array
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import accumulate
from pathlib import Path

from wavllm_cli import console
from wavllm_cli.data.audio_paths import AudioFiles
from wavllm_cli.data.files import shown
from wavllm_cli.data.foreign import refuse_foreign
from wavllm_cli.data.manifest import numbered_rows
from wavllm_cli.data.rows import Rows
from wavllm_cli.data.schema import Utterance
from wavllm_cli.errors import shortened

_PROBLEM = re.compile(r" \(id (.*?)\): (.*)", re.DOTALL)


class Source:
    """A manifest, read once and then kept on the disk.

    Attributes:
        rows: those that can be read.
        problems: line and what is wrong with it, of the others.
        audio: where that of the rows lies.
    """

    def __init__(self, path: Path):
        refuse_foreign(path)
        self.path = path
        self.problems: list[tuple[int, str]] = []
        self._lines = array("q")
        self.rows = Rows.spooled(self._good(), Utterance, str(path))
        self.audio = AudioFiles(self.rows, path)

    def _good(self) -> Iterator[Utterance]:
        for line, row in console.track(numbered_rows(self.path), self.path.name):
            if isinstance(row, str):
                self.problems.append((line, row))
            else:
                self._lines.append(line)
                yield row

    def place(self, index: int) -> str:
        """Where a row stands."""
        return f"{shown(self.path)}, line {self._lines[index]}"

    def split(self, row: Utterance) -> str:
        """The split that a row names, else the manifest's name without its suffixes."""
        return row.split or self.name

    @property
    def name(self) -> str:
        """The file's, without suffixes."""
        return self.path.name.split(".")[0]


def described(line: int, problem: str) -> tuple[str, str]:
    """What a row that cannot be read is called, its id or its line, and what is wrong with it."""
    known = _PROBLEM.fullmatch(problem)
    item, detail = (known[1], known[2]) if known else (f"line {line}", problem.removeprefix(": "))
    return item, detail.rstrip(".")


class Sources:
    """Several manifests, whose rows are numbered through."""

    def __init__(self, paths: Sequence[Path]):
        self.all = [Source(path) for path in paths]
        self._ends = list(accumulate(len(source.rows) for source in self.all))

    def __len__(self) -> int:
        """Rows that can be read."""
        return self._ends[-1]

    def __iter__(self) -> Iterator[tuple[Source, Utterance]]:
        """All rows in their order."""
        return ((source, row) for source in self.all for row in source.rows)

    def at(self, number: int) -> tuple[Source, int]:
        """The manifest of a row, and its index there."""
        which = bisect_right(self._ends, number)
        return self.all[which], number - (self._ends[which - 1] if which else 0)

    def first(self, source: Source) -> int:
        """The number of a manifest's first row."""
        which = self.all.index(source)
        return self._ends[which - 1] if which else 0

    def name(self, number: int) -> str:
        """A row's id, and where there are several manifests, its own."""
        source, index = self.at(number)
        return shortened(source.rows[index].id) + (f" of {shown(source.path)}" if len(self.all) > 1 else "")
