"""What rows are compared by: a few numbers a row, so that a million of them take 50 MB."""

import os
from array import array
from collections.abc import Hashable
from functools import lru_cache
from pathlib import Path

import numpy as np

from wavllm_cli.audit.source import Source
from wavllm_cli.audit.twins import Column, Name, Shared, Sides
from wavllm_cli.data.batch import Clip
from wavllm_cli.data.clips import said_in_turns
from wavllm_cli.data.schema import Utterance
from wavllm_cli.text.normalize import basic
from wavllm_cli.text.words import count_words

LEAST_WORDS = 4  # of a text that splits may not share: shorter ones ("yes, thank you") recur by chance


class Facts:
    """The facts of all rows, in their order.

    Attributes:
        ids, clips, asked, texts: which of them are equal; a clip is equal to itself under any name of its folder.
        sides: the splits, by numbers of `splits`.
        distinct, files: each clip once, and the file it is of; 0 where it is joined from several.
    """

    def __init__(self) -> None:
        self.ids, self.clips, self.asked, self.texts = Column(), Column(), Column(), Column()
        self.splits, self._sides = Sides(), array("h")
        self.distinct, self.files = array("q"), Column()
        self.speakers, self.groups = Shared(), Shared()
        self._heard: dict[int, int] = {}  # what is heard in a clip, by its number

    @property
    def sides(self) -> np.ndarray:
        return np.frombuffer(self._sides, np.int16)

    def add(self, source: Source, row: Utterance, clip: Clip) -> int:
        """Take in the next row and give its clip's number, 0 for none."""
        side, number = self.splits.number(source.split(row)), len(self._sides)
        self._sides.append(side)
        key = clip_key(clip)
        self.ids.add(row.id)
        self.clips.add(key)
        self.asked.add((key, row.task, row.prompt, row.speech_text if row.awaits_speech else None))
        self.texts.add(said(row))
        self.speakers.add(speakers(row), side, number)
        self.groups.add(groups(row), side, number)
        return self.clips.last

    def add_clip(self, number: int, clip: Clip) -> None:
        """Take in a clip that no row before was about."""
        self.distinct.append(number)
        self.files.add(clip.paths[0] if len(clip.paths) == 1 else None)

    def heard(self, clip: int, digest: int) -> None:
        """Note what was heard in a clip."""
        if digest:
            self._heard[clip] = digest

    @property
    def sounds(self) -> np.ndarray:
        """As `clips`, but clips in which the same is heard are equal."""
        clips = self.clips.values
        if not self._heard:
            return clips
        known = np.fromiter(self._heard, np.int64, len(self._heard))
        digests = np.fromiter(self._heard.values(), np.int64, len(self._heard))
        order = np.argsort(known)
        at = order[np.searchsorted(known, clips, sorter=order).clip(max=len(known) - 1)]
        return np.where(known[at] == clips, digests[at], clips)


def clip_key(clip: Clip) -> Hashable:
    """As `data.clips.clip_key`, by where files lie rather than by what they are called; None for text."""
    row = clip.row
    if not clip.paths:
        return None
    places = tuple(os.path.join(_real(path.parent), path.name) for path in clip.paths)
    pieces = tuple((piece.start, piece.duration, piece.channel, piece.level) for piece in row.pieces)
    return places, pieces, row.gap or 0.0, row.duration


@lru_cache(maxsize=4096)
def _real(folder: Path) -> str:
    return os.path.realpath(folder)


def said(row: Utterance) -> str | None:
    """What is said in a row, where that is known and long enough to be said once only."""
    text = row.transcript or (row.target if row.task == "asr" else None) or (said_in_turns(row) if row.turns else None)
    return basic(text) if text and count_words(text) >= LEAST_WORDS else None


def speakers(row: Utterance) -> set[Name]:
    """Who is heard; different corpora may call different people by one name."""
    return {(row.corpus, name) for name in row.speakers}


def groups(row: Utterance) -> set[Name]:
    return {(row.corpus, row.group)} if row.group else set()
