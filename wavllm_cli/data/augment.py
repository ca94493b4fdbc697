"""What chance does to clips of training: speed, room, noise. A pure function of seed, clip, and how often it was drawn.

Of a manifest of n rows draw d is of row d mod n, which has been drawn d // n times before.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import soxr

from wavllm_cli.data.audio import SAMPLE_RATE
from wavllm_cli.data.sounds import Sounds
from wavllm_cli.errors import WavLLMError
from wavllm_cli.recipe import Augmentation

SPEED, SOUND, MASKS = range(3)  # streams of random numbers, none of which depends on what another has used
KEPT = 8  # passes over manifests whose factors are kept: an epoch has parts of two of each


# --- what is done ---


def change_speed(samples: np.ndarray, factor: float) -> np.ndarray:
    """(n,) -> (round(n / factor),): faster and higher, or slower and lower, as a tape would be."""
    if factor == 1:
        return samples
    changed = soxr.resample(samples, SAMPLE_RATE * factor, SAMPLE_RATE, quality="HQ")
    length = max(1, round(len(samples) / factor))
    return np.pad(changed, (0, max(0, length - len(changed))))[:length]


def reverberate(samples: np.ndarray, response: np.ndarray) -> np.ndarray:
    """(n,) in the room of an impulse response: as long, as loud, and what comes straight comes when it came."""
    direct = int(np.abs(response).argmax())
    size = 1 << (len(samples) + len(response) - 1).bit_length()  # of a Fourier transform that is fast
    heard = np.fft.irfft(np.fft.rfft(samples, size) * np.fft.rfft(response, size), size)
    heard = heard[direct : direct + len(samples)]
    power = np.mean(np.square(heard))
    if not power > 0:
        return samples
    return (heard * np.sqrt(np.mean(np.square(samples, dtype=np.float64)) / power)).astype(np.float32)


def add_noise(samples: np.ndarray, noise: np.ndarray, snr: float) -> np.ndarray:
    """(n,) with (n,) of noise, at a signal-to-noise ratio in dB; unchanged where either is digitally silent."""
    signal, power = (float(np.mean(np.square(part, dtype=np.float64))) for part in (samples, noise))
    if not signal or not power:
        return samples
    return samples + np.float32(np.sqrt(signal / power) * 10 ** (-snr / 20)) * noise


# --- by chance ---


class Speeds:
    """The factor of each draw, known before any audio is read: plans of batches count with it.

    Args:
        factors: one of them by chance.
        slowest: for each manifest, the least factor that each of its clips may have (0: any).
        seed: of the draws.
    """

    def __init__(self, factors: Sequence[float], slowest: Sequence[np.ndarray], seed: int):
        self._factors, self._slowest, self._seed = np.array(factors), slowest, seed
        self._kept: dict[tuple[int, int], np.ndarray] = {}

    def factor(self, manifest: int, draw: int) -> float:
        """Of one draw from a manifest."""
        times, row = divmod(draw, len(self._slowest[manifest]))
        if (manifest, times) not in self._kept:
            while len(self._kept) >= KEPT * len(self._slowest):
                del self._kept[next(iter(self._kept))]
            self._kept[manifest, times] = self._drawn(manifest, times)
        return float(self._kept[manifest, times][row])

    def _drawn(self, manifest: int, times: int) -> np.ndarray:
        least = self._slowest[manifest]
        rng = np.random.default_rng((self._seed, SPEED, manifest, times))
        return np.maximum(rng.choice(self._factors, len(least)), least)


class Augmenter:
    """Changes the samples of draws.

    Args:
        section: of the recipe.
        data: the folder from which relative paths start.
        speeds: of the draws; None where the section has none.
        seed: of the recipe.

    Raises:
        UsageError: there is no noise or room where the section says.
    """

    def __init__(self, section: Augmentation, data: Path, speeds: Speeds | None, seed: int):
        self.section, self.speeds, self._seed = section, speeds, seed
        self._noise = Sounds(data / section.noise.source) if section.noise else None
        self._rooms = Sounds(data / section.reverb.source) if section.reverb else None

    def rng(self, stream: int, manifest: int, draw: int) -> np.random.Generator:
        return np.random.default_rng((self._seed, stream, manifest, draw))

    def apply(self, samples: np.ndarray, manifest: int, draw: int) -> tuple[np.ndarray, list[str]]:
        """(n,) float32 at 16 kHz as this draw hears them, and what went wrong: then the clip is as it was before."""
        rng = self.rng(SOUND, manifest, draw)
        if self.speeds:
            samples = change_speed(samples, self.speeds.factor(manifest, draw))
        notes: list[str] = []
        for change in (self._in_a_room, self._with_noise):
            try:
                samples = change(samples, rng)
            except WavLLMError as error:
                notes.append(f"augmentation: {str(error).rstrip('.')}; such clips stay as they are.")
        return samples, notes

    def _in_a_room(self, samples: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        if not self.section.reverb or not self._rooms or rng.random() >= self.section.reverb.probability:
            return samples
        return reverberate(samples, self._rooms.draw(rng))

    def _with_noise(self, samples: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        if not self.section.noise or not self._noise or rng.random() >= self.section.noise.probability:
            return samples
        snr = rng.uniform(*self.section.noise.snr)
        return add_noise(samples, self._noise.stretch(rng, len(samples)), snr)
