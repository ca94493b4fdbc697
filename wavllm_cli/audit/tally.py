"""Rows counted while they are read: how many, how long, of which kind."""

import os
from array import array
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from wavllm_cli.audit.spread import Spread
from wavllm_cli.data.clips import clip_key, said_in_turns
from wavllm_cli.data.manifest import numbered_rows
from wavllm_cli.data.schema import Utterance
from wavllm_cli.text.words import count_words

# What rows are counted by, one and several of them.
KINDS = {"task": "tasks", "corpus": "corpora", "split": "splits", "language": "languages", "speaker": "speakers"}
NONE = "(not said)"


@dataclass
class Count:
    """Rows of one kind.

    Attributes:
        seconds: of their audio, as far as the manifest says.
        unmeasured: rows with audio whose duration it does not say.
        text: rows without audio.
    """

    rows: int = 0
    seconds: float = 0.0
    unmeasured: int = 0
    text: int = 0

    def add(self, seconds: float | None, has_audio: bool) -> None:
        self.rows += 1
        self.text += not has_audio
        self.unmeasured += has_audio and seconds is None
        self.seconds += seconds or 0.0

    @property
    def hours(self) -> float:
        return self.seconds / 3600


class Tally:
    """What manifests hold, row by row.

    Attributes:
        whole: all rows.
        kinds: rows by task, corpus, split, language and speaker; one of several speakers counts for each of them.
        unreadable: rows that are none.
        spreads: of durations, words and the like, each over the rows that have it.
    """

    def __init__(self) -> None:
        self.whole, self.unreadable = Count(), 0
        self.kinds: dict[str, dict[str, Count]] = {kind: defaultdict(Count) for kind in KINDS}
        self.durations = Spread("duration", "s")
        self.words = Spread("words that are said", whole=True)
        self.rates = Spread("words a second")
        self.targets = Spread("words of the target", whole=True)
        self._clips, self._seconds = array("q"), array("d")

    @property
    def spreads(self) -> list[Spread]:
        found = (self.durations, self.words, self.rates, self.targets)
        return [spread for spread in found if spread.count]

    def read(self, path: Path, rows: Iterable[tuple[int, Utterance | str]] | None = None) -> None:
        """Count the rows of a manifest.

        Args:
            rows: of it, where somebody reads it already.

        Raises:
            ManifestError: it is missing, or none.
        """
        folder, name = os.path.realpath(path.parent), path.name.split(".")[0]
        for _, row in numbered_rows(path) if rows is None else rows:
            if isinstance(row, str):
                self.unreadable += 1
            else:
                self._add(row, folder, name)

    def _add(self, row: Utterance, folder: str, name: str) -> None:
        seconds, has_audio = row.known_duration, row.audio is not None
        self.whole.add(seconds, has_audio)
        said = {
            "task": (row.task,),
            "corpus": (row.corpus or NONE,),
            "split": (row.split or name,),
            "language": (row.language or NONE,),
            "speaker": set(row.speakers) or (NONE,),
        }
        for kind, values in said.items():
            for value in values:
                self.kinds[kind][value].add(seconds, has_audio)
        if has_audio:
            self._clips.append(hash((folder, clip_key(row))))
            self._seconds.append(seconds or 0.0)
        self._measure(row, seconds if has_audio else None)

    def _measure(self, row: Utterance, seconds: float | None) -> None:
        text = row.transcript or (row.target if row.task == "asr" else None) or said_in_turns(row)
        words = count_words(text) if text else None
        if seconds is not None:
            self.durations.add(seconds)
        if words is not None:
            self.words.add(words)
        if words is not None and seconds:
            self.rates.add(words / seconds)
        if row.target is not None:
            self.targets.add(words if words is not None and row.target == text else count_words(row.target))

    def distinct(self) -> Count:
        """Clips, each once, however many rows are about it."""
        _, first = np.unique(np.frombuffer(self._clips, np.int64), return_index=True)
        seconds = np.frombuffer(self._seconds, np.float64)[first]
        return Count(rows=len(first), seconds=float(seconds.sum()))
