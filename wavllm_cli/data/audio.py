"""Audio files in, (samples,) float32 at 16 kHz out: any rate, any number of channels, whole files or segments.

Reads what libsndfile reads: wav, flac, mp3, ogg, opus, NIST SPHERE, aiff, au, caf.
"""

import re
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
import soundfile
import soxr

from wavllm_cli import console
from wavllm_cli.data.files import replacing
from wavllm_cli.errors import AudioError, UsageError

SAMPLE_RATE = 16_000  # Hz
SILENCE = 10 ** (-60 / 20)  # peak of full scale: -60 dBFS
SLACK = 0.1  # seconds a clip may be shorter than promised without a warning: durations are often rounded
LEAST_SHARE = 0.5  # of the promised samples; a clip with fewer is not used

NEEDS_FFMPEG = (".m4a", ".mp4", ".aac", ".wma", ".webm", ".mkv")


@dataclass(frozen=True)
class AudioInfo:
    """What a file's header says."""

    sample_rate: int  # Hz
    channels: int
    duration: float  # seconds


def audio_info(path: str | Path) -> AudioInfo:
    """Read the header only.

    Raises:
        UsageError: there is no such file.
        AudioError: it is not audio.
    """
    with _open(Path(path)) as sound:
        return AudioInfo(sound.samplerate, sound.channels, sound.frames / sound.samplerate)


def read_audio(path: str | Path, start: float = 0.0, duration: float | None = None) -> np.ndarray:
    """Read a file or a segment of it; nothing before or after the segment is decoded.

    A clip shorter than its header or `duration` promises is used with a warning while at least half of it is there.

    Args:
        path: an audio file.
        start: seconds into the file.
        duration: seconds; None reads to the end.

    Returns:
        (samples,) float32, mono (the mean of the channels), at 16 kHz.

    Raises:
        UsageError: there is no such file.
        AudioError: the file or segment holds no usable audio; the message says why.
    """
    with _open(Path(path)) as sound:
        return _read(sound, str(path), start, duration)


def decode_audio(data: bytes, name: str) -> np.ndarray:
    """As `read_audio`, for the bytes of a whole file; errors call it `name`."""
    with _opened(BytesIO(data), name) as sound:
        return _read(sound, name, 0.0, None)


def _read(sound: soundfile.SoundFile, name: str, start: float, duration: float | None) -> np.ndarray:
    rate, there = sound.samplerate, sound.frames
    if there == 0:
        raise AudioError(f"{name} holds no audio: it has a header and zero samples.")
    first = round(start * rate)
    if first >= there:
        raise AudioError(f"{name} is {there / rate:.2f} s long: a segment cannot begin at {start:.2f} s.")
    promised = _promised_frames(sound) - first if duration is None else round(duration * rate)
    try:
        sound.seek(first)
        samples = sound.read(promised, dtype="float32", always_2d=True)
    except soundfile.LibsndfileError as error:
        reason = error.error_string.removeprefix("Error : ").strip(" .")
        raise AudioError(f"{name} is damaged: {reason}.") from error
    if len(samples) < LEAST_SHARE * promised:
        raise AudioError(f"{name} is cut off: {len(samples) / rate:.2f} s of {promised / rate:.2f} s are there.")
    if len(samples) < promised - SLACK * rate:
        console.warn(f"{name} is cut off: {len(samples) / rate:.2f} s of {promised / rate:.2f} s are there and used.")
    if not np.isfinite(samples).all():
        raise AudioError(f"{name} holds samples that are not numbers (NaN or infinite).")
    mono = samples.mean(axis=1)
    mono = mono if rate == SAMPLE_RATE else soxr.resample(mono, rate, SAMPLE_RATE, quality="HQ")
    if not len(mono):
        raise AudioError(f"{name}: a segment of {promised} samples is too short to be heard.")
    return mono


def is_silent(samples: np.ndarray) -> bool:
    """Whether (samples,) never rise above -60 dBFS."""
    return len(samples) == 0 or float(np.abs(samples).max()) < SILENCE


def write_wav(path: str | Path, samples: np.ndarray) -> None:
    """Write (samples,) float at 16 kHz as 16-bit PCM, clipped to [-1, 1]; the file appears complete or not at all.

    It may reach the disk later: `os.sync()` before a manifest that names it.
    """
    wav = BytesIO()
    soundfile.write(wav, samples, SAMPLE_RATE, format="WAV", subtype="PCM_16")
    with replacing(Path(path), durable=False) as draft:
        draft.write_bytes(wav.getbuffer())


def _open(path: Path) -> soundfile.SoundFile:
    if not path.is_file():
        raise UsageError(f"{path} is a folder, not audio." if path.is_dir() else f"There is no audio file {path}.")
    return _opened(path, str(path))


def _opened(file: Path | BytesIO, name: str) -> soundfile.SoundFile:
    if (len(file.getbuffer()) if isinstance(file, BytesIO) else file.stat().st_size) == 0:
        raise AudioError(f"{name} is empty (0 bytes).")
    try:
        return soundfile.SoundFile(file)
    except (soundfile.LibsndfileError, TypeError) as error:  # TypeError: .raw, which has no header
        suffix = Path(name).suffix.lower()
        if suffix in NEEDS_FFMPEG:
            raise AudioError(f"{name} cannot be read: convert {suffix} to wav or flac first.") from error
        raise AudioError(f"{name} is not audio that can be read (wav, flac, mp3, ogg, opus or NIST SPHERE).") from error


def _promised_frames(sound: soundfile.SoundFile) -> int:
    """The number of frames by the header; libsndfile itself counts what a cut wav or aiff has left."""
    sizes = re.search(r"^ ?(?:data|SSND) : (\d+) \(should be (\d+)\)", sound.extra_info, re.MULTILINE)
    if not sizes or int(sizes[1]) >= 0x7FFF0000:  # written to a pipe: the size was not known
        return sound.frames
    return round(sound.frames * int(sizes[1]) / int(sizes[2]))
