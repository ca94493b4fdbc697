"""From manifest rows to a batch: reads the audio, leaves out clips that cannot be used, and says which."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from wavllm_cli.data.audio import audio_info, is_silent, joined, load, warn_once
from wavllm_cli.data.audio_paths import AudioFiles
from wavllm_cli.data.lazy import Lazy
from wavllm_cli.data.levels import at_level
from wavllm_cli.data.manifest import read_manifest
from wavllm_cli.data.schema import Utterance
from wavllm_cli.data.shards import why_unheard
from wavllm_cli.errors import AudioError, WavLLMError, reason

AWAITS_SPEECH = 'its "speech_text" is not spoken yet: `wavllm prep speak` gives it a voice.'


@dataclass(frozen=True)
class Clip:
    """A row and where the pieces of its audio lie; there are none for text."""

    row: Utterance
    paths: tuple[Path, ...]

    def unreadable(self) -> tuple[Path, str] | None:
        """The first of its files that cannot be read, as far as shows without opening it, and what is wrong with it."""
        problems = ((path, why_unheard(path)) for path in self.paths)
        return next(((path, why) for path, why in problems if why), None)

    def lack(self) -> str | None:
        """Why there is nothing to hear, as far as shows without opening files, in words that rows may share."""
        if self.row.awaits_speech:
            return "speech_text not spoken yet"
        if not (found := self.unreadable()):
            return None
        return "audio file missing" if found[1] == "does not exist" else f"audio file {found[1]}"

    def read(self) -> np.ndarray | None:
        """(samples,) float32 at 16 kHz, or None for text; what is odd about them is said, once.

        Raises:
            AudioError, UsageError: a file is missing, is not audio, or holds nothing that can be used; or the row's
                text is still to be spoken.
        """
        samples, notes = self.load()
        warn_once(notes)
        return samples

    def load(self) -> tuple[np.ndarray | None, list[str]]:
        """As `read`, but what is odd is returned, a sentence each: a worker process leaves the saying to another."""
        if self.row.awaits_speech:
            raise AudioError(AWAITS_SPEECH)
        if not self.paths:
            return None, []
        read = [
            load(path, piece.start, piece.duration, piece.channel)
            for path, piece in zip(self.paths, self.row.pieces, strict=True)
        ]
        notes = [note for _, said in read for note in said]
        if isinstance(self.row.audio, str):
            return read[0][0], notes
        levelled = [at_level(samples, piece.level) for (samples, _), piece in zip(read, self.row.pieces, strict=True)]
        return joined(levelled, self.row.gap, self.row.duration), notes

    def seconds(self) -> float:
        """Duration, 0 for text; files are opened only where the manifest does not say it.

        Raises:
            AudioError, UsageError: a file is missing or is not audio.
        """
        if not self.paths:
            return 0.0
        if (known := self.row.known_duration) is not None:
            return known
        lasting = [
            piece.duration or audio_info(path).duration - piece.start
            for path, piece in zip(self.paths, self.row.pieces, strict=True)
        ]
        return sum(lasting) + (self.row.gap or 0.0) * (len(lasting) - 1)


@dataclass
class Batch:
    """What the model is given, the rows it came from, and the rows that had to be left out."""

    rows: list[Utterance]
    inputs: Any  # None when no row could be used
    skipped: list[str] = field(default_factory=list)  # a sentence each, with the id
    silent: list[str] = field(default_factory=list)  # ids
    notes: list[str] = field(default_factory=list)  # what is odd about clips that are used, a sentence each
    places: list[int] = field(default_factory=list)  # of the rows among the clips that were asked for


class Collator:
    """Clips -> `Batch`, by way of a processor. Whatever is wrong with a row is that row's.

    Args:
        processor: called as `processor(text=…, audio=…, target=…)`.
        with_targets: add labels for training; inference leaves them out.
    """

    def __init__(self, processor: Callable[..., Any], with_targets: bool):
        self.processor, self.with_targets = processor, with_targets

    def __call__(self, clips: Sequence[Clip]) -> Batch:
        batch = Batch(rows=[], inputs=None)
        audio = []
        for place, clip in enumerate(clips):
            try:
                samples, notes = clip.load()
            except WavLLMError as error:
                batch.skipped.append(f"{clip.row.id}: {error}")
                continue
            if isinstance(samples, np.ndarray) and is_silent(samples):
                batch.silent.append(clip.row.id)
            batch.notes += notes
            batch.rows.append(clip.row)
            batch.places.append(place)
            audio.append(samples)
        if batch.rows:
            batch.inputs = self._inputs(batch, audio)
        return batch

    def _inputs(self, batch: Batch, audio: list[np.ndarray | None]) -> Any:
        """What the processor makes of the rows; those that it fails on are skipped."""
        try:
            return self._processed(batch.rows, audio)
        except Exception:
            usable = [self._is_usable(batch, row, samples) for row, samples in zip(batch.rows, audio, strict=True)]
            if all(usable):  # the fault is not that of one row
                raise
        batch.rows = [row for row, good in zip(batch.rows, usable, strict=True) if good]
        batch.places = [place for place, good in zip(batch.places, usable, strict=True) if good]
        audio = [samples for samples, good in zip(audio, usable, strict=True) if good]
        return self._processed(batch.rows, audio) if batch.rows else None

    def _is_usable(self, batch: Batch, row: Utterance, samples: np.ndarray | None) -> bool:
        try:
            self._processed([row], [samples])
        except Exception as error:
            batch.skipped.append(f"{row.id}: {error if isinstance(error, WavLLMError) else reason(error)}")
            return False
        return True

    def _processed(self, rows: list[Utterance], audio: list[np.ndarray | None]) -> Any:
        targets = [row.target or "" for row in rows] if self.with_targets else None
        return self.processor(text=[row.prompt for row in rows], audio=audio, target=targets)


class Clips(Lazy[Clip]):
    """The clips of a manifest, or some of them; each is made when it is asked for.

    Args:
        audio: where that of the rows lies.
        chosen: the numbers of the rows that are meant, None for all.
    """

    def __init__(self, rows: Sequence[Utterance], audio: AudioFiles, chosen: np.ndarray | None = None):
        self._rows, self._audio, self._chosen = rows, audio, chosen

    def __len__(self) -> int:
        return len(self._rows if self._chosen is None else self._chosen)

    def _made(self, index: int) -> Clip:
        row = self._rows[index if self._chosen is None else self._chosen[index]]
        return Clip(row, self._audio.paths(row))

    def only(self, numbers: np.ndarray) -> "Clips":
        """Those with these numbers, of a manifest all of whose clips these are."""
        return Clips(self._rows, self._audio, numbers)


def clips_of(manifest: Path, audio_root: Path | None = None) -> Clips:
    """The rows of a manifest with their audio paths resolved."""
    rows = read_manifest(manifest)
    return Clips(rows, AudioFiles(rows, manifest, audio_root))
