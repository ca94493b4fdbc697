"""Audio files in, (samples,) float32 at 16 kHz out: any rate, any number of channels, whole files or segments.

Reads what libsndfile reads – wav, flac, mp3, ogg, opus, NIST SPHERE, aiff, au, caf – and with ffmpeg the rest.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
import soundfile
import soxr

from wavllm_cli import console
from wavllm_cli.data import SAMPLE_RATE, ffmpeg, flac
from wavllm_cli.data.audio_file import AudioFile, opened, opened_path
from wavllm_cli.data.files import replacing
from wavllm_cli.data.interrupts import interrupts_deferred
from wavllm_cli.data.levels import Levels, is_silent
from wavllm_cli.errors import AudioError

__all__ = [
    "SAMPLE_RATE",
    "SUFFIXES",
    "AudioInfo",
    "Heard",
    "NoSuchChannel",
    "audio_info",
    "decode_audio",
    "hear",
    "is_silent",
    "joined",
    "load",
    "read_audio",
    "warn_once",
    "write_wav",
]

LONGEST = 4 * 3600  # seconds in one piece: 0.9 GB as they are returned
# Of recordings, where a folder holds other things too; what is in a file shows when it is read.
SUFFIXES = (
    *(".wav", ".flac", ".mp3", ".ogg", ".oga", ".opus", ".sph", ".aif", ".aiff", ".au", ".caf", ".w64"),
    *ffmpeg.SUFFIXES,
)
ENDLESS = 1 << 62  # frames; what a manifest asks for may be more than a number of them can hold


@dataclass(frozen=True)
class AudioInfo:
    """What a file holds."""

    sample_rate: int  # Hz
    channels: int
    duration: float  # seconds that can be decoded, whatever the header says


def audio_info(path: str | Path) -> AudioInfo:
    """Measure a file: its header is read and held against the file, and only where that is not enough it is decoded.

    Raises:
        UsageError: there is no such file.
        AudioError: it is not audio, or damaged, or less than half of what its header promises is there.
    """
    if os.fspath(path).lower().endswith(".flac") and (told := flac.told(path)):
        frames, rate, channels = told
        return AudioInfo(rate, channels, frames / rate)
    with opened_path(Path(path)) as audio:
        frames = audio.measured()
        warn_once(audio.notes)
        return AudioInfo(audio.rate, audio.channels, frames / audio.rate)


@dataclass(frozen=True)
class Heard:
    """What was read of a file.

    Attributes:
        samples: (samples,) float32 at 16 kHz.
        levels: of the samples as they are in the file.
        file_notes: what a user should know of the file, a sentence each.
        file_seconds: how long the file is as a whole; None where that shows only when all of it is decoded.
    """

    samples: np.ndarray
    levels: Levels
    file_notes: list[str]
    file_seconds: float | None


class NoSuchChannel(AudioError):
    """A file has fewer channels than were asked for."""


def read_audio(
    path: str | Path,
    start: float = 0.0,
    duration: float | None = None,
    channel: int | None = None,
    name: str | None = None,
) -> np.ndarray:
    """Read a file or a segment of it; nothing before or after the segment is decoded, where the format allows it.

    A clip shorter than its header or `duration` promises is used with a warning while at least half of it is there.

    Args:
        path: an audio file.
        start: seconds into the file.
        duration: seconds; None reads to the end.
        channel: from 0; None takes the mean of all.
        name: what messages call it, if not by its path.

    Returns:
        (samples,) float32, mono, at 16 kHz.

    Raises:
        UsageError: there is no such file.
        AudioError: the file or segment holds no usable audio, or there is no such channel; the message says why.
    """
    samples, notes = load(path, start, duration, channel, name)
    warn_once(notes)
    return samples


def load(
    path: str | Path,
    start: float = 0.0,
    duration: float | None = None,
    channel: int | None = None,
    name: str | None = None,
) -> tuple[np.ndarray, list[str]]:
    """As `read_audio`, but what a user should know of the clip is returned, a sentence each, instead of said."""
    with opened_path(Path(path), name) as audio:
        return _with_notes(_read(audio, start, duration, channel), audio.name)


def _with_notes(heard: Heard, name: str) -> tuple[np.ndarray, list[str]]:
    return heard.samples, heard.file_notes + heard.levels.notes(name)


def hear(path: str | Path, start: float = 0.0, duration: float | None = None, channel: int | None = None) -> Heard:
    """As `load`, with all that was found on the way; that a segment runs over the end shows by its samples alone."""
    with opened_path(Path(path)) as audio:
        return _read(audio, start, duration, channel, may_end=True)


def joined(pieces: Sequence[np.ndarray], gap: float | None, duration: float | None) -> np.ndarray:
    """Clips one after the other, (samples,) float32 at 16 kHz.

    Args:
        pieces: (samples,) each.
        gap: seconds of silence between two of them.
        duration: seconds that are kept; None keeps all.

    Raises:
        AudioError: they are too long together.
    """
    silence = (gap or 0.0) * (len(pieces) - 1)
    if sum(map(len, pieces)) / SAMPLE_RATE + silence > LONGEST:
        raise AudioError(f"{len(pieces)} pieces and the gaps between them are longer than {LONGEST / 3600:g} h.")
    between = np.zeros(round((gap or 0.0) * SAMPLE_RATE), np.float32)
    parts = [part for piece in pieces for part in (between, piece)][1:]
    whole = np.concatenate(parts)
    return whole if duration is None else whole[: round(min(duration, LONGEST) * SAMPLE_RATE)]


def decode_audio(data: bytes, name: str) -> np.ndarray:
    """As `read_audio`, for the bytes of a whole file; messages call it `name`."""
    with opened(BytesIO(data), name) as audio:
        samples, notes = _with_notes(_read(audio, 0.0, None, None), name)
    warn_once(notes)
    return samples


_said: set[str] = set()


def warn_once(notes: list[str]) -> None:
    """Say what `load` has noted, each sentence once in this process: training reads a clip in every epoch."""
    for note in notes:
        if note not in _said:
            _said.add(note)
            console.warn(note)


def _read(audio: AudioFile, start: float, duration: float | None, channel: int | None, may_end: bool = False) -> Heard:
    name, rate = audio.name, audio.rate
    if channel is not None and channel >= audio.channels:
        has = "1 channel" if audio.channels == 1 else f"{audio.channels} channels"
        raise NoSuchChannel(f"{name} has {has}: there is no channel {channel}, they count from 0.")
    first = round(min(start * rate, ENDLESS))
    asked = None if duration is None else round(min(duration * rate, ENDLESS))
    if audio.frames is not None and (audio.frames == 0 or first >= audio.frames):
        raise audio.nothing_from(start)
    promised = duration if duration is not None or audio.promised is None else (audio.promised - first) / rate
    rest = None if audio.frames is None else audio.frames - first
    count = rest if asked is None else asked if rest is None else min(asked, rest)
    if asked == 0:
        raise AudioError(f"{name}: a segment of {duration:g} s is too short to be heard.")
    mono, levels = _decoded(audio, first, count, channel)
    if not len(mono):
        raise audio.nothing_from(start)
    is_segment = asked is not None
    audio.settle(len(mono), None if is_segment and may_end else promised, first, is_segment)
    scale = levels.scale(name)
    if levels.channel is not None:
        mono, _ = _decoded(audio, first, count, levels.channel)
    if scale != 1:
        mono = mono / np.float32(scale)
    mono = mono if rate == SAMPLE_RATE else soxr.resample(mono, rate, SAMPLE_RATE, quality="HQ")
    if not len(mono):
        raise AudioError(
            f"{name}: a clip of {levels.samples // audio.channels} samples at {rate:,} Hz is too short to be heard."
        )
    return Heard(mono, levels, audio.notes, None if audio.frames is None else audio.frames / rate)


def _decoded(audio: AudioFile, first: int, count: int | None, channel: int | None) -> tuple[np.ndarray, Levels]:
    """(samples,) of one channel, or the mean of all; and the figures of what was asked for."""
    levels, most = Levels(), LONGEST * audio.rate
    decoded = bytearray()  # grows in place; pieces would be there twice when they are joined
    for block in audio.blocks(first, count):
        decoded += levels.add(block if channel is None else block[:, [channel]]).tobytes()
        most -= len(block)
        if most < 0:
            raise AudioError(f"{audio.name} is longer than {LONGEST / 3600:g} h: read it in segments.")
    return np.frombuffer(decoded, np.float32), levels


def write_wav(path: str | Path, samples: np.ndarray) -> None:
    """Write (samples,) float at 16 kHz as 16-bit PCM, clipped to [-1, 1]; the file appears complete or not at all.

    It may reach the disk later: `os.sync()` before a manifest that names it.
    """
    wav = BytesIO()  # soundfile would bring each file to the disk by itself
    with interrupts_deferred():
        soundfile.write(wav, samples, SAMPLE_RATE, format="WAV", subtype="PCM_16")
    with replacing(Path(path), durable=False) as draft:
        draft.write_bytes(wav.getbuffer())
