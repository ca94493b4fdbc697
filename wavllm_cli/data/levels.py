"""How loud samples are, and what to do with those that are far beyond full scale, clipped, or cancel each other out."""

from dataclasses import dataclass

import numpy as np

from wavllm_cli.errors import AudioError

SILENCE = 10 ** (-60 / 20)  # peak of full scale: -60 dBFS
HEADROOM = 10.0  # peak: float files and lossy codecs pass full scale by some dB, and are used as they are up to +20
INT16 = 2.0**15  # full scale of 16-bit numbers that were stored as floats without being divided
INT16_PEAKS = (2.0**8, 2.0**16)  # -42 dB of that scale, and what resampling may have made of its greatest
LOUD_SHARE = 0.01  # of the samples are beyond `HEADROOM` in a file of 16-bit numbers; fewer are spikes
FULL_SCALE = 1 - 1e-4  # samples from here on are at full scale; the greatest of 16 bits is 0.99997
CLIPPED = 0.01  # of the samples: normalised speech has a handful at full scale, a sine at full scale 0.9 %
CANCELLED = 0.02  # of the energy that the mean of unrelated channels has: 17 dB below it


def is_silent(samples: np.ndarray) -> bool:
    """Whether (samples,) never rise above -60 dBFS."""
    return len(samples) == 0 or max(float(samples.max()), -float(samples.min())) < SILENCE


def at_level(samples: np.ndarray, level: float | None) -> np.ndarray:
    """(samples,) float32 as they are, or louder or softer, so that their RMS is `level` dBFS; silence stays silence."""
    if level is None or is_silent(samples):
        return samples
    rms = np.sqrt(np.einsum("n,n->", samples, samples, dtype=np.float64) / len(samples))
    return samples * np.float32(10 ** (level / 20) / rms)


@dataclass
class Levels:
    """Figures of the samples of a clip, collected block by block."""

    samples: int = 0  # in all channels together
    peak: float = 0.0
    loud: int = 0  # samples beyond `HEADROOM`
    full: int = 0  # samples at full scale
    are_whole: bool = True  # whole numbers throughout
    energies: np.ndarray | float = 0.0  # (channels,)
    mean_energy: float = 0.0

    def add(self, block: np.ndarray) -> np.ndarray:
        """Take in (samples, channels) and give the mean of the channels, (samples,)."""
        sizes = np.abs(block)
        peak = float(sizes.max(initial=0.0))  # NaN if there is one
        self.peak = max(self.peak, peak) if np.isfinite(self.peak) and np.isfinite(peak) else np.inf
        self.samples += block.size
        if peak > HEADROOM:
            self.loud += int((sizes > HEADROOM).sum())
        if peak >= FULL_SCALE:
            self.full += int((sizes >= FULL_SCALE * (INT16 if peak > HEADROOM else 1)).sum())
        with np.errstate(over="ignore", invalid="ignore"):
            self.are_whole = self.are_whole and bool((block == np.rint(block)).all())
            if block.shape[1] == 1:
                return block[:, 0]
            mean = block.mean(axis=1)
            self.energies = self.energies + np.einsum("nc,nc->c", block, block, dtype=np.float64)
            self.mean_energy += float(np.einsum("n,n->", mean, mean, dtype=np.float64))
        return mean

    def scale(self, name: str) -> float:
        """What the samples are to be divided by.

        Raises:
            AudioError: they are not numbers, or too loud to be a recording.
        """
        if not np.isfinite(self.peak):
            raise AudioError(f"{name} holds samples that are not numbers (NaN or infinite).")
        low, high = INT16_PEAKS
        if self.are_whole and 2 <= self.peak <= high:
            return INT16
        if self.peak <= HEADROOM:
            return 1.0
        if low <= self.peak <= high and self.loud >= LOUD_SHARE * self.samples:
            return INT16
        raise AudioError(
            f"{name} cannot be used: its samples reach {self.peak:.3g} times full scale ({self.loud:,} of "
            f"{self.samples:,} are far beyond it)."
        )

    @property
    def channel(self) -> int | None:
        """The channel to be used alone because the mean of all is next to nothing; None for the mean."""
        if not isinstance(self.energies, np.ndarray):
            return None
        unrelated = float(self.energies.sum()) / len(self.energies) ** 2
        return int(self.energies.argmax()) if self.mean_energy < CANCELLED * unrelated else None

    @property
    def clipped(self) -> float:
        """The share of samples at full scale, where it is too great to be chance; else 0."""
        return self.full / self.samples if self.full > CLIPPED * self.samples else 0.0

    def notes(self, name: str) -> list[str]:
        """What a user should know of these samples, a sentence each."""
        notes = []
        if self.scale(name) != 1:
            notes.append(
                f"{name} holds samples up to {self.peak:.6g} where 1 is full scale, as 16-bit numbers are: they are "
                "divided by 32768."
            )
        if self.channel is not None:
            notes.append(f"{name}: its channels cancel each other out; channel {self.channel} (from 0) alone is used.")
        if self.clipped:
            notes.append(f"{name} is clipped: {100 * self.clipped:.0f} % of its samples are at full scale.")
        return notes
