"""What the rows of a manifest say of themselves, as columns: a training start makes an object of each row once."""

import hashlib
import math
from array import array
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from wavllm_cli.data.audio_paths import AudioFiles
from wavllm_cli.data.batch import Clips
from wavllm_cli.data.manifest import read_manifest
from wavllm_cli.data.schema import Utterance
from wavllm_cli.data.texts import Texts

NEAR = 1 << 14  # files of which it is remembered whether they can be opened


class Survey:
    """The columns of a manifest that tell which rows can be trained on, and how long they are.

    Args:
        manifest: the file.

    Attributes:
        rows: of it.
        clips: the rows, each with its audio.
        seconds: (N,) of each clip, NaN where only its files tell, 0 for text.
        is_text: (N,) whether there is nothing to hear.
        is_transcribed: (N,) whether the right answer is what is said in the clip.
        most_tokens: (N,) that instruction and answer can be, see `most_tokens`.
        text_bytes: (N, 2) of instruction and answer.
        sha256: of the rows, whatever they are packed in.

    Raises:
        ManifestError: the manifest cannot be read.
    """

    def __init__(self, manifest: Path):
        columns = _Columns()
        total = hashlib.sha256()

        def each(row: Utterance) -> None:
            total.update(row.json_line().encode() + b"\n")
            columns.add(row)

        self.rows = read_manifest(manifest, each=each)
        self._columns = columns
        self.audio = AudioFiles(self.rows, manifest, files=columns)
        self.clips = Clips(self.rows, self.audio)
        self.seconds = np.frombuffer(columns.seconds)
        self.is_text = np.frombuffer(columns.is_text, dtype=bool)
        self.is_transcribed = np.frombuffer(columns.is_transcribed, dtype=bool)
        self.most_tokens = np.frombuffer(columns.most_tokens, dtype=np.int64)
        self.text_bytes = np.frombuffer(columns.text_bytes, dtype=np.int64).reshape(-1, 2)
        self.sha256 = total.hexdigest()

    def __len__(self) -> int:
        return len(self.rows)

    def groups(self, rows: np.ndarray) -> frozenset[str]:
        """Conversations, sessions or talks that rows come from, where they say it."""
        return frozenset(map(self._columns.groups.__getitem__, rows)) - {""}

    def unusable(self, longest: float) -> dict[str, np.ndarray]:
        """The numbers of rows that cannot be used by the reasons why, as far as shows without opening audio.

        Args:
            longest: seconds of the longest clips that are used.
        """
        reasons: dict[str, list[int]] = {}
        doubtful = {int(i): "no target" for i in np.flatnonzero(np.frombuffer(self._columns.lacks_target, dtype=bool))}
        for i in self._lacking:
            if i not in doubtful and (lack := self.clips[i].lack()):
                doubtful[i] = lack
        for i in np.flatnonzero(self.seconds > longest).tolist():
            doubtful.setdefault(i, f"longer than {longest:g} s")
        for i in sorted(doubtful):
            reasons.setdefault(doubtful[i], []).append(i)
        return {reason: np.array(rows) for reason, rows in reasons.items()}

    def usable(self, unusable: Mapping[str, Sequence[int] | np.ndarray]) -> np.ndarray:
        """The numbers of all other rows."""
        is_usable = np.ones(len(self), dtype=bool)
        for rows in unusable.values():
            is_usable[rows] = False
        return np.flatnonzero(is_usable)

    @cached_property
    def _lacking(self) -> list[int]:
        """Rows of which something may be lacking: most are found to be sound without making an object of them."""
        is_sound = lru_cache(NEAR)(self.audio.is_sound)  # the segments of a file stand together
        looked_at = zip(self._columns, self._columns.awaits_speech, strict=True)
        return [i for i, (files, waits) in enumerate(looked_at) if waits or not all(map(is_sound, files))]


class _Columns:
    """Facts of rows, side by side in arrays: what each row calls its files is what it is to go through them."""

    def __init__(self) -> None:
        self.seconds, self.most_tokens, self.text_bytes = array("d"), array("q"), array("q")
        self.is_text, self.is_transcribed = bytearray(), bytearray()
        self.awaits_speech, self.lacks_target = bytearray(), bytearray()
        self.groups = Texts()  # empty where a row has none
        self._files, self._pieces = Texts(), array("I")

    def add(self, row: Utterance) -> None:
        is_text, target = row.audio is None, row.target or ""
        seconds = 0.0 if is_text else row.known_duration
        self.seconds.append(math.nan if seconds is None else seconds)
        self.most_tokens.append(most_tokens(row.prompt) + most_tokens(target))
        self.text_bytes.extend((len(row.prompt.encode()), len(target.encode())))
        self.is_text.append(is_text)
        self.is_transcribed.append(row.is_transcribed)
        self.awaits_speech.append(row.awaits_speech)
        self.lacks_target.append(row.target is None)
        self.groups.append(row.group or "")
        files = row.files
        for file in files:
            self._files.append(file)
        self._pieces.append(len(files))

    def __iter__(self) -> Iterator[tuple[str, ...]]:
        end = 0
        for count in self._pieces:
            yield tuple(self._files[i] for i in range(end, end + count))
            end += count


def most_tokens(text: str) -> int:
    """No tokenizer makes more of a text.

    A token is at least one byte; UTF-8 grows by a factor of 11 at most when it is normalised (NFKC), ASCII not at all.
    SentencePiece puts a blank before it.
    """
    return 1 + (len(text) if text.isascii() else 11 * len(text.encode()))


_latest: dict[Path, tuple[Any, Survey]] = {}


def survey(manifest: Path) -> Survey:
    """Look at a manifest now: its rows, and whether their audio is there."""
    found = Survey(manifest)
    _latest[manifest] = _identity(manifest), found
    return found


def surveyed(manifest: Path, for_good: bool = False) -> Survey:
    """The latest look at a manifest in this process, if it is still the same file.

    Args:
        for_good: nobody will ask again, so that its columns need not be kept.
    """
    identity, found = _latest.get(manifest, (None, None))
    if not found or identity != _identity(manifest):
        found = survey(manifest)
    if for_good:
        del _latest[manifest]
    return found


def _identity(path: Path) -> tuple[int, ...] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns
