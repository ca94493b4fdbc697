"""What the rows of a manifest say of themselves, as columns: a training start makes an object of each row once."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from wavllm_cli.data.audio_paths import AudioFiles
from wavllm_cli.data.batch import Clips
from wavllm_cli.data.manifest import read_manifest
from wavllm_cli.data.schema import Utterance

BLOCK = 1 << 14  # rows that become columns at a time


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
        self._table = columns.table()
        self.audio = AudioFiles(self.rows, manifest, files=self)
        self.clips = Clips(self.rows, self.audio)
        self.seconds = self._column("seconds")
        self.is_text = self._column("is_text")
        self.is_transcribed = self._column("is_transcribed")
        self.most_tokens = self._column("most_tokens")
        self.text_bytes = np.stack([self._column("prompt_bytes"), self._column("target_bytes")], axis=1)
        self.sha256 = total.hexdigest()

    def __len__(self) -> int:
        return self._table.num_rows

    def __iter__(self) -> Iterator[tuple[str, ...]]:
        """What each row calls its files."""
        for batch in self._table.select(["files"]).to_batches(BLOCK):
            yield from map(tuple, batch.column(0).to_pylist())

    def groups(self, rows: np.ndarray) -> frozenset[str]:
        """Conversations, sessions or talks that rows come from, where they say it."""
        return frozenset(group for group in self._table["group"].take(rows).unique().to_pylist() if group)

    def unusable(self, longest: float) -> dict[str, np.ndarray]:
        """The numbers of rows that cannot be used by the reasons why, as far as shows without opening audio.

        Args:
            longest: seconds of the longest clips that are used.
        """
        reasons: dict[str, list[int]] = {}
        has_target = self._column("has_target")
        doubtful = {int(i): "no target" for i in np.flatnonzero(~has_target)}
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
        is_sound = lru_cache(BLOCK)(self.audio.is_sound)  # the segments of a file stand together
        awaits_speech = self._column("awaits_speech")
        return [i for i, files in enumerate(self) if awaits_speech[i] or not all(map(is_sound, files))]

    def _column(self, name: str) -> np.ndarray:
        return self._table[name].to_numpy()


class _Columns:
    """Rows that become columns of an Arrow table, some at a time."""

    def __init__(self) -> None:
        import pyarrow as pa

        types = {
            "files": pa.list_(pa.string()),
            "seconds": pa.float64(),
            "is_text": pa.bool_(),
            "is_transcribed": pa.bool_(),
            "awaits_speech": pa.bool_(),
            "has_target": pa.bool_(),
            "most_tokens": pa.int64(),
            "prompt_bytes": pa.int64(),
            "target_bytes": pa.int64(),
            "group": pa.string(),
        }
        self._schema = pa.schema(types)
        self._rows: list[tuple[Any, ...]] = []
        self._batches: list[Any] = []

    def add(self, row: Utterance) -> None:
        heard = row.audio is None, row.is_transcribed, row.awaits_speech
        seconds = 0.0 if row.audio is None else row.known_duration
        has_target = row.target is not None
        texts = row.prompt, row.target or ""
        tokens = sum(map(most_tokens, texts))
        sizes = [len(text.encode()) for text in texts]
        self._rows.append((row.files, seconds, *heard, has_target, tokens, *sizes, row.group))
        if len(self._rows) == BLOCK:
            self._flush()

    def table(self) -> Any:
        import pyarrow as pa

        if self._rows:
            self._flush()
        return pa.Table.from_batches(self._batches, self._schema)

    def _flush(self) -> None:
        import pyarrow as pa

        columns = zip(*self._rows, strict=True)
        arrays = [pa.array(column, field.type) for column, field in zip(columns, self._schema, strict=True)]
        self._batches.append(pa.record_batch(arrays, schema=self._schema))
        self._rows = []


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
