"""What can be wrong with the audio of a row, by decoding it or by its headers."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b
from typing import Literal

import numpy as np

from wavllm_cli.audit.faults import Limits
from wavllm_cli.data.audio import SAMPLE_RATE, Heard, NoSuchChannel, hear, is_silent, joined
from wavllm_cli.data.audio_file import opened_path
from wavllm_cli.data.batch import Clip
from wavllm_cli.data.levels import at_level
from wavllm_cli.data.schema import ROUNDED
from wavllm_cli.errors import AudioError, UsageError, WavLLMError

Depth = Literal["decode", "headers", "none"]


@dataclass(frozen=True)
class Verdict:
    """What was found of one clip.

    Attributes:
        faults: names and what exactly.
        digest: of what is heard, 0 where it was not decoded or is silent.
        seconds: of the clip as decoded, None where nobody knows.
        file_seconds: of the file, where the clip is its beginning.
    """

    faults: Sequence[tuple[str, str]] = ()
    digest: int = 0
    seconds: float | None = None
    file_seconds: float | None = None

    @property
    def goes_on(self) -> bool:
        """Whether the file is longer than the clip."""
        if self.seconds is None or self.file_seconds is None:
            return False
        return self.file_seconds - self.seconds > ROUNDED

    def as_whole_file(self) -> "Verdict":
        """For a clip that should have been the whole file."""
        detail = f"the manifest says {self.seconds:.2f} s, the file has {self.file_seconds:.2f} s and no other row"
        return replace(self, faults=[*self.faults, ("wrong-duration", detail)], seconds=self.file_seconds)


def judge(clip: Clip, depth: Depth, limits: Limits) -> Verdict:
    """Look at the audio of a row, as deep as that. Whatever is wrong with it is found, never raised."""
    try:
        if depth == "none":
            return Verdict(_length(clip.row.known_duration, limits))
        verdict = _decoded(clip) if depth == "decode" else _measured(clip)
    except NoSuchChannel as error:
        return Verdict([("no-channel", _words(error))])
    except UsageError as error:
        return Verdict([("no-audio", _words(error))])
    except WavLLMError as error:
        return Verdict([("unreadable", _words(error))])
    faults = [*verdict.faults, *_length(verdict.seconds, limits), *_duration(clip, verdict.seconds)]
    return Verdict(faults, verdict.digest, verdict.seconds, verdict.file_seconds)


def _words(error: WavLLMError) -> str:
    return str(error).rstrip(".")


def _length(seconds: float | None, limits: Limits) -> list[tuple[str, str]]:
    if seconds is None or limits.shortest <= seconds <= limits.longest:
        return []
    return [("too-short" if seconds < limits.shortest else "too-long", f"it is {seconds:.2f} s long")]


def _duration(clip: Clip, seconds: float | None) -> list[tuple[str, str]]:
    claimed = clip.row.known_duration
    if claimed is None or seconds is None or abs(claimed - seconds) <= ROUNDED:
        return []
    return [("wrong-duration", f"the manifest says {claimed:.2f} s, there are {seconds:.2f} s")]


# --- decoded ---


def _decoded(clip: Clip) -> Verdict:
    row = clip.row
    heard = [
        hear(path, piece.start, piece.duration, piece.channel)
        for path, piece in zip(clip.paths, row.pieces, strict=True)
    ]
    faults = [fault for one, path in zip(heard, clip.paths, strict=True) for fault in _of_levels(one, str(path))]
    if isinstance(row.audio, str):
        samples = heard[0].samples
    else:
        levelled = [at_level(one.samples, piece.level) for one, piece in zip(heard, row.pieces, strict=True)]
        samples = joined(levelled, row.gap, row.duration)
    if is_silent(samples):
        return Verdict([*faults, ("silent", _peak(samples))], 0, len(samples) / SAMPLE_RATE)
    digest = int.from_bytes(blake2b(samples.data, digest_size=8).digest(), "little", signed=True)
    begins = isinstance(row.audio, str) and not row.start
    return Verdict(faults, digest, len(samples) / SAMPLE_RATE, heard[0].file_seconds if begins else None)


def _peak(samples: np.ndarray) -> str:
    peak = float(np.abs(samples).max(initial=0))
    return f"its loudest sample is at {20 * np.log10(peak):.0f} dBFS" if peak else "all its samples are 0"


def _of_levels(heard: Heard, name: str) -> list[tuple[str, str]]:
    levels = heard.levels
    faults = [("odd-audio", note.rstrip(".")) for note in heard.file_notes]
    if levels.clipped:
        faults.append(("clipped", f"{100 * levels.clipped:.0f} % of its samples are at full scale"))
    if levels.channel is not None:
        faults.append(("cancelling", f"the mean of its channels is next to nothing; channel {levels.channel} is used"))
    if levels.scale(name) != 1:
        faults.append(("odd-audio", f"its samples reach {levels.peak:.6g} times full scale: they are 16-bit numbers"))
    return faults


# --- by headers ---


def _measured(clip: Clip) -> Verdict:
    faults: list[tuple[str, str]] = []
    lasting, file_seconds = [], None
    for path, piece in zip(clip.paths, clip.row.pieces, strict=True):
        with opened_path(path) as audio:
            file_seconds = audio.measured() / audio.rate
            faults += [("odd-audio", note.rstrip(".")) for note in audio.notes]
            if piece.channel is not None and piece.channel >= audio.channels:
                raise NoSuchChannel(f"{audio.name} has no channel {piece.channel}: it has {audio.channels}, from 0 on")
        if piece.start >= file_seconds:
            raise AudioError(f"{audio.name} is {file_seconds:.2f} s long: a segment cannot begin at {piece.start:g} s")
        rest = file_seconds - piece.start
        lasting.append(rest if piece.duration is None else min(rest, piece.duration))
    whole = sum(lasting) + (clip.row.gap or 0.0) * (len(lasting) - 1)
    begins = isinstance(clip.row.audio, str) and not clip.row.start
    return Verdict(faults, 0, whole, file_seconds if begins else None)
