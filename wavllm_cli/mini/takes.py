"""Clips of the miniature: what a voice says, how, where and beside what noise. The same take is the same file."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from typing import Any, Self

import numpy as np

from wavllm_cli import console
from wavllm_cli.data.augment import add_noise, change_speed, reverberate
from wavllm_cli.data.levels import at_level
from wavllm_cli.errors import AudioError, WavLLMError
from wavllm_cli.mini.acoustics import harsh, noise, room
from wavllm_cli.speech.clips import make, seconds_of
from wavllm_cli.speech.engine import Engine, Line, Options, Unspoken
from wavllm_cli.speech.espeak import RATE, synthesise
from wavllm_cli.speech.piper import Piper

PEAK = 0.98  # of full scale: louder clips are brought down to it
FORM = 1  # of what is made of a take: another number where the same take sounds otherwise


@dataclass(frozen=True)
class Take(Line):
    """A line, and all else that its clip depends on. Rate, pitch and variation are of espeak-ng alone.

    Attributes:
        rate: words a minute.
        pitch: 0 to 99.
        variation: of the pitch, 0 to 99.
        harshness: 0 to 1.
        speed: of the tape: more than 1 is faster and higher.
        room: seconds of reverberation; 0: none.
        noise: one of `acoustics.NOISES`; None: none.
        snr: signal to noise, dB.
        level: RMS, dB of full scale.
        seed: of room and noise.
    """

    rate: int = RATE
    pitch: int = 50
    variation: int = 50
    harshness: float = 0.0
    speed: float = 1.0
    room: float = 0.0
    noise: str | None = None
    snr: float = 0.0
    level: float = -23.0
    seed: int = 0


class Studio(Engine):
    """Records takes: a voice is espeak-ng's ACCENT+SPEAKER, or one of Piper's where there is one."""

    name = "miniature"
    in_processes = True
    at_once = 8

    def __init__(self, piper: Piper | None):
        self.piper = piper

    @classmethod
    def open(cls, options: Options) -> Self:
        """With Piper where it is installed."""
        try:
            return cls(Piper.open(options))
        except WavLLMError as error:
            console.warn(f"No voice of Piper speaks in the miniature: {str(error).rstrip('.')}.")
            return cls(None)

    @cached_property
    def natural(self) -> list[str]:
        """The voices of Piper."""
        return list(self.piper.voices("en")) if self.piper else []

    def voices(self, language: str) -> Sequence[str]:
        return self.natural

    def settings(self, voice: str) -> dict[str, Any]:
        if self.piper and voice in self.natural:
            return self.piper.settings(voice) | {"form": FORM}
        return {"form": FORM, "version": self._espeak}

    @cached_property
    def _espeak(self) -> str:
        return version("espeakng-loader")

    def speak(self, lines: Sequence[Line]) -> list[np.ndarray | Unspoken]:
        return [self._recorded(line) for line in lines]

    def _recorded(self, take: Line) -> np.ndarray | Unspoken:
        assert isinstance(take, Take)
        if self.piper and take.voice in self.natural:
            (said,) = self.piper.speak([Line(take.text, take.voice)])
            return said if isinstance(said, Unspoken) else placed(said, take)
        try:
            return placed(synthesise(take.text, take.voice, take.rate, take.pitch, take.variation), take)
        except AudioError as error:
            return Unspoken(str(error))


def placed(samples: np.ndarray, take: Take) -> np.ndarray:
    """(n,) of a voice as a microphone hears it: in a room, beside a noise, at a level."""
    rng = np.random.default_rng(take.seed)
    samples = harsh(change_speed(samples, take.speed), take.harshness)
    if take.room:
        samples = reverberate(samples, room(take.room, rng))
    if take.noise:
        samples = add_noise(samples, noise(take.noise, len(samples), rng), take.snr)
    samples = at_level(samples, take.level)
    peak = float(np.abs(samples).max(initial=0.0))
    return samples * np.float32(PEAK / peak) if peak > PEAK else samples


@dataclass(frozen=True)
class Clip:
    """A take that has been recorded.

    Attributes:
        audio: its file as rows call it.
        seconds: how long it is.
    """

    take: Take
    audio: str
    seconds: float


def record(takes: Iterable[Take], studio: Studio, out: Path, processes: int) -> dict[Take, Clip | Unspoken]:
    """A clip for each take, under `out`; those of an earlier run are kept.

    Raises:
        WavLLMError: a file cannot be written, or nothing can be spoken at all.
    """
    names = {take: _name(take, studio) for take in takes}
    results: dict[Take, float | Unspoken] = {}
    for take, name in names.items():
        if (seconds := seconds_of(out / name)) is not None:
            results[take] = seconds
    missing: Mapping[Line, Path] = {take: out / name for take, name in names.items() if take not in results}
    for line, result in console.track(make(studio, missing, processes), "speaking", len(missing)):
        assert isinstance(line, Take)
        results[line] = result
    return {
        take: result if isinstance(result, Unspoken) else Clip(take, names[take], result)
        for take in names
        for result in (results[take],)
    }


def _name(take: Take, studio: Studio) -> str:
    facts = [studio.settings(take.voice), asdict(take)]
    name = sha256(json.dumps(facts, sort_keys=True, ensure_ascii=False).encode()).hexdigest()[:24]
    return f"audio/{name[:2]}/{name}.wav"
