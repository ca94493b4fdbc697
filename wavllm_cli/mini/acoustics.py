"""Rooms, noises and harshness made by rule: what a synthetic voice lacks to sound like a recording."""

from functools import cache
from random import Random

import numpy as np

from wavllm_cli.data.audio import SAMPLE_RATE
from wavllm_cli.speech.espeak import synthesise

NOISES = ("white", "pink", "hum", "babble")
BABBLERS = ("en-us+m3", "en+f2", "en-us+m1", "en-gb-x-rp+f4", "en-us-nyc+m6", "en+m8")
BABBLE = 60  # syllables that each of them says
HUM = 50.0  # Hz, and its harmonics
TREBLE = 0.95  # of a filter of first order that takes the bass away


def room(seconds: float, rng: np.random.Generator) -> np.ndarray:
    """(n,) the impulse response of a room: the direct sound, then noise that has lost 60 dB after some seconds."""
    n = round(seconds * SAMPLE_RATE)
    tail = rng.standard_normal(n) * 10 ** (-3 * np.arange(n) / n)
    tail *= rng.uniform(0.3, 1.0) / np.sqrt(np.sum(np.square(tail)))  # direct sound is the louder part
    tail[0] = 1.0
    return tail.astype(np.float32)


def noise(kind: str, n: int, rng: np.random.Generator) -> np.ndarray:
    """(n,) of one of `NOISES`, at any level."""
    if kind == "babble":
        babble = _babble()
        return np.resize(np.roll(babble, -rng.integers(len(babble))), n)
    white = rng.standard_normal(n)
    if kind == "white":
        return white.astype(np.float32)
    spectrum = np.fft.rfft(white)
    frequencies = np.fft.rfftfreq(n, 1 / SAMPLE_RATE)
    spectrum /= np.sqrt(np.maximum(frequencies, HUM))  # pink: 3 dB an octave
    pink = np.fft.irfft(spectrum, n)
    if kind == "pink":
        return pink.astype(np.float32)
    time = np.arange(n) / SAMPLE_RATE
    hum = sum(np.sin(2 * np.pi * (HUM * k * time + rng.random())) / k for k in (1, 2, 3, 5))
    return (hum + pink / np.std(pink)).astype(np.float32)


def harsh(samples: np.ndarray, amount: float) -> np.ndarray:
    """(n,) as a strained voice: more treble, and mildly clipped; 0 changes nothing, 1 much."""
    if amount <= 0:
        return samples
    bright = samples - np.float32(TREBLE) * np.concatenate(([np.float32(0)], samples[:-1]))
    rms = [float(np.sqrt(np.mean(np.square(part)))) for part in (samples, bright)]
    if not all(rms):
        return samples
    mixed = (1 - amount) * samples + amount * bright * np.float32(rms[0] / rms[1])
    drive = np.float32((1 + 2 * amount) / (3 * rms[0]))
    return np.tanh(mixed * drive) / drive


@cache
def _babble() -> np.ndarray:
    """(n,) of several voices at once that say syllables: nothing of it can be understood."""
    rng = Random("babble")
    spoken = [synthesise(" ".join(_syllables(rng)), voice, rng.randint(130, 190)) for voice in BABBLERS]
    n = min(map(len, spoken))
    return np.stack([one[:n] for one in spoken]).sum(axis=0)


def _syllables(rng: Random) -> list[str]:
    return ["".join((rng.choice("bdfgklmnprstvz"), rng.choice("aeiou"), rng.choice("lmnrs"))) for _ in range(BABBLE)]
