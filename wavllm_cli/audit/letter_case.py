"""Upper and lower case of what is said: a corpus has one way, and rows that are written otherwise are found."""

from array import array
from collections.abc import Iterator

import numpy as np

from wavllm_cli.data.schema import Utterance
from wavllm_cli.tasks.registry import TASKS

NOTHING, LOWER, MIXED, CAPITALS, WORD = range(5)  # WORD: one in capitals, which may be an abbreviation
NAMES = {LOWER: "lower case", MIXED: "capitals where sentences and names begin", CAPITALS: "capitals"}
NAMES[WORD] = NAMES[CAPITALS]
WAY = 0.9  # of its texts are written in one way: then it is the corpus's; a way with more exceptions is none


def way(text: str) -> int:
    """How a text is written."""
    if text.islower():
        return LOWER
    if not text.isupper():
        return NOTHING if text.upper() == text.lower() else MIXED
    return CAPITALS if sum(map(str.isupper, text.split())) > 1 else WORD


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
            counts = np.bincount(ways[rows], minlength=WORD + 1)[:WORD]
            usual = int(counts.argmax())
            for row in rows[np.isin(ways[rows], _wrong(usual, counts[usual] >= WAY * counts.sum() > 0))]:
                there = NAMES[int(ways[row])]
                instead = "which LLMs do not write in" if usual == CAPITALS else f"its corpus is in {NAMES[usual]}"
                yield int(row), f"its target is in {there}, {instead}", usual != MIXED


def _wrong(usual: int, is_way: bool) -> list[int]:
    """Ways that are faults in a corpus: always capitals, and where it has one way of its own the others."""
    if usual == CAPITALS:
        return [CAPITALS, WORD] if is_way else [CAPITALS]
    if not is_way:
        return [CAPITALS]
    return [MIXED, CAPITALS, WORD] if usual == LOWER else [LOWER, CAPITALS]
