"""Recordings that are mixed into others: noise, impulse responses. They are read when chance picks them."""

from collections.abc import Iterator
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

import numpy as np

from wavllm_cli.data.audio import SAMPLE_RATE, SUFFIXES, audio_info, load
from wavllm_cli.data.batch import clips_of
from wavllm_cli.data.files import shown, why_unreadable
from wavllm_cli.data.manifest import MANIFEST_SUFFIXES
from wavllm_cli.errors import UsageError

SHORT = 20.0  # seconds; what is no longer is kept in memory …
KEPT = 64  # … so many at most, 82 MB in each process that reads


class Sound(NamedTuple):
    """A file, or a part of one channel of it."""

    path: Path
    start: float = 0.0  # seconds
    duration: float | None = None  # seconds; None: to its end
    channel: int | None = None


class Sounds:
    """All audio files below a folder, or all that a manifest lists.

    Raises:
        UsageError: there is no such folder or manifest, or nothing to hear in it.
        ManifestError: the manifest is wrong.
    """

    def __init__(self, source: Path):
        self._sounds = list(_listed(source) if source.name.endswith(MANIFEST_SUFFIXES) else _below(source))
        if not self._sounds:
            raise UsageError(f"{shown(source)} holds no recording that can be mixed into others.")

    def __len__(self) -> int:
        return len(self._sounds)

    @property
    def content(self) -> str:
        """SHA-256 of the parts that it has of which files, by their names and sizes, wherever they lie."""
        lines = [f"{sound.path.name} {_size(sound.path)} {sound[1:]}\n" for sound in self._sounds]
        return sha256("".join(lines).encode("utf-8", "surrogateescape")).hexdigest()

    def draw(self, rng: np.random.Generator) -> np.ndarray:
        """(samples,) of a whole one, float32 at 16 kHz.

        Raises:
            AudioError, UsageError: it cannot be read.
        """
        return _whole(self._pick(rng))

    def stretch(self, rng: np.random.Generator, samples: int) -> np.ndarray:
        """(samples,) from anywhere in one of them, which begins anew where it ends.

        Raises:
            AudioError, UsageError: it cannot be read.
        """
        sound = self._pick(rng)
        room = _seconds(sound) - samples / SAMPLE_RATE
        if room > 0 and _seconds(sound) > SHORT:
            part = sound._replace(start=sound.start + room * rng.random(), duration=samples / SAMPLE_RATE)
            return np.resize(_read(part), samples)
        whole = _whole(sound)
        return np.resize(np.roll(whole, -rng.integers(len(whole))), samples)

    def _pick(self, rng: np.random.Generator) -> Sound:
        return self._sounds[rng.integers(len(self._sounds))]


def _size(path: Path) -> int | None:
    return path.stat().st_size if path.is_file() else None  # a place in an archive says itself how much it holds


def _below(folder: Path) -> Iterator[Sound]:
    if not folder.is_dir():
        why = why_unreadable(folder) or "is neither a folder nor a manifest"
        raise UsageError(f"{shown(folder)} {why}.")
    yield from (Sound(path) for path in sorted(folder.rglob("*")) if _is_audio(path))


def _is_audio(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES and not path.name.startswith(".") and path.is_file()


def _listed(manifest: Path) -> Iterator[Sound]:
    for clip in clips_of(manifest):
        for path, piece in zip(clip.paths, clip.row.pieces, strict=True):
            yield Sound(path, piece.start, piece.duration, piece.channel)


@lru_cache(maxsize=1 << 16)
def _seconds(sound: Sound) -> float:
    return sound.duration or audio_info(sound.path).duration - sound.start


@lru_cache(maxsize=KEPT)
def _whole(sound: Sound) -> np.ndarray:
    return _read(sound)


def _read(sound: Sound) -> np.ndarray:
    samples, _ = load(*sound)  # what is odd about it matters to nobody
    return samples
