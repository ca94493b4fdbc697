"""From manifest rows to a batch: reads the audio, leaves out clips that cannot be used, and says which."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from wavllm_cli.data.audio import audio_info, is_silent, read_audio
from wavllm_cli.data.manifest import Utterance, read_manifest, resolve_audio
from wavllm_cli.errors import AudioError, UsageError


@dataclass(frozen=True)
class Clip:
    """A row and where its audio lies (None for text)."""

    row: Utterance
    path: Path | None

    def read(self) -> np.ndarray | None:
        """(samples,) float32 at 16 kHz, or None for text.

        Raises:
            AudioError, UsageError: the file is missing, is not audio, or holds nothing.
        """
        return None if self.path is None else read_audio(self.path, self.row.start, self.row.duration)

    def seconds(self) -> float:
        """Duration, 0 for text; the file is opened only where the manifest does not say it.

        Raises:
            AudioError, UsageError: the file is missing or is not audio.
        """
        if self.path is None:
            return 0.0
        return self.row.duration or audio_info(self.path).duration - self.row.start


@dataclass
class Batch:
    """What the model is given, the rows it came from, and the rows that had to be left out."""

    rows: list[Utterance]
    inputs: Any  # None when no row could be used
    skipped: list[str] = field(default_factory=list)  # a sentence each, with the id
    silent: list[str] = field(default_factory=list)  # ids


class Collator:
    """Clips -> `Batch`, by way of a processor.

    Args:
        processor: called as `processor(text=…, audio=…, target=…)`.
        with_targets: add labels for training; inference leaves them out.
    """

    def __init__(self, processor: Callable[..., Any], with_targets: bool):
        self.processor, self.with_targets = processor, with_targets

    def __call__(self, clips: Sequence[Clip]) -> Batch:
        batch = Batch(rows=[], inputs=None)
        audio = []
        for clip in clips:
            try:
                samples = clip.read()
            except (AudioError, UsageError) as error:
                batch.skipped.append(f"{clip.row.id}: {error}")
                continue
            if samples is not None and is_silent(samples):
                batch.silent.append(clip.row.id)
            batch.rows.append(clip.row)
            audio.append(samples)
        if batch.rows:
            targets = [row.target or "" for row in batch.rows] if self.with_targets else None
            batch.inputs = self.processor(text=[row.prompt for row in batch.rows], audio=audio, target=targets)
        return batch


def clips_of(manifest: Path, audio_root: Path | None = None) -> list[Clip]:
    """The rows of a manifest with their audio paths resolved."""
    return [
        Clip(row, None if row.audio is None else resolve_audio(row, manifest, audio_root))
        for row in read_manifest(manifest)
    ]
