"""Upper and lower case of what is said: a corpus has one way, and rows that are written otherwise are found."""

from array import array
from collections.abc import Iterator

import numpy as np

from wavllm_cli.data.schema import Utterance
from wavllm_cli.tasks.registry import TASKS

NOTHING, LOWER, MIXED, CAPITALS = range(4)
NAMES = {LOWER: "lower case", MIXED: "capitals where sentences and names begin", CAPITALS: "capitals"}
WAY = 0.9  # of its texts are written in one way: then it is the corpus's; a way with more exceptions is none


def way(text: str) -> int:
    """How a text is written. A single word in capitals may be an abbreviation and tells nothing."""
    if text.islower():
        return LOWER
    if not text.isupper():
        return NOTHING if text.upper() == text.lower() else MIXED
    return CAPITALS if sum(map(str.isupper, text.split())) > 1 else NOTHING


class Cases:
    """How the targets of corpora are written, row by row; only those of tasks whose answers are what is said."""

    def __init__(self) -> None:
        self.ways, self.corpora = array("b"), array("i")
        self._numbers: dict[tuple[str | None, ...], int] = {}

    def add(self, row: Utterance) -> None:
        """Take in the next row."""
        said = TASKS[row.task].answers_in is not None
        key = (row.corpus, row.task, row.language, row.target_language) if said else ()
        self.ways.append(way(row.target or "") if said else NOTHING)
        self.corpora.append(self._numbers.setdefault(key, len(self._numbers)))

    def found(self) -> Iterator[tuple[int, str, bool]]:
        """Yield (row, what is wrong, whether lower case would be right): those in capitals, and exceptions."""
        ways, corpora = np.frombuffer(self.ways, np.int8), np.frombuffer(self.corpora, np.int32)
        for corpus in range(len(self._numbers)):
            rows = np.flatnonzero((corpora == corpus) & (ways != NOTHING))
            counts = np.bincount(ways[rows], minlength=len(NAMES) + 1)
            usual = int(counts.argmax())
            is_way = counts[usual] >= WAY * counts.sum()
            for row in rows[(ways[rows] == CAPITALS) | (is_way & (ways[rows] != usual))]:
                there = NAMES[int(ways[row])]
                if usual == CAPITALS:
                    yield int(row), f"its target is in {there}, which LLMs do not write in", True
                else:
                    yield int(row), f"its target is in {there}, those of its corpus in {NAMES[usual]}", usual == LOWER
