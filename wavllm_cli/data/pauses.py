"""Where a long recording is cut: at its pauses, and where it has none with an overlap.

How much is said in each moment comes from Silero's voice activity detector where the package `silero-vad` is
installed (its weights alone are read, none of its code), else from loudness.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from wavllm_cli.data.audio import SAMPLE_RATE
from wavllm_cli.data.voice import FRAME, find_detector

PAUSE = 0.3  # seconds; a cut has a pause of this length around it
RANGE = 20.0  # dB at least between pauses and speech; where all is about as loud, nothing is taken for a pause
OVERLAP = 2.0  # seconds that two segments share where speech goes on without a pause


@dataclass(frozen=True)
class Segment:
    """Samples `start` to `end` (not included), the first `shared` of which are the end of the segment before."""

    start: int
    end: int
    shared: int = 0


def segments(samples: np.ndarray, most: float) -> list[Segment]:
    """Cut a recording into segments of at most `most` seconds, each but the last more than half as long.

    Args:
        samples: (samples,) float32 at 16 kHz.
        most: seconds, more than twice `OVERLAP`.
    """
    longest = round(most * SAMPLE_RATE)
    if len(samples) <= longest:
        return [Segment(0, len(samples))]
    spoken = speech(samples)
    found, start, shared = [], 0, 0
    while len(samples) - start > longest:
        end, in_pause = _cut(spoken, start + longest // 2, start + longest)
        found.append(Segment(start, end, shared))
        shared = 0 if in_pause else round(OVERLAP * SAMPLE_RATE)
        start = end - shared
    return [*found, Segment(start, len(samples), shared)]


def speech(samples: np.ndarray) -> np.ndarray:
    """(samples,) -> (frames,) of `FRAME` samples: how likely someone speaks, 0 to 1."""
    detector: Callable[[np.ndarray], np.ndarray] = find_detector() or by_loudness
    return detector(samples)


def by_loudness(samples: np.ndarray) -> np.ndarray:
    """(samples,) -> (frames,): 1 at the level of the loudest tenth of frames (in dB), 0 at that of the quietest tenth
    or, where few are quiet, at what is well below.
    """
    whole = len(samples) // FRAME * FRAME
    frames, rest = samples[:whole].reshape(-1, FRAME), samples[whole:]
    energy = np.einsum("nf,nf->n", frames, frames)  # without a copy of hours
    power = np.append(energy, np.square(rest).sum() if len(rest) else []) / FRAME
    level = 10 * np.log10(power + 1e-10)
    quiet, loud = np.percentile(level, [10, 90])
    return np.clip(1 - (loud - level) / max(loud - quiet, RANGE), 0, 1)


def _cut(spoken: np.ndarray, first: int, last: int) -> tuple[int, bool]:
    """The sample between `first` and `last` around which least is said, the later the better; whether it is a pause."""
    width = round(PAUSE * SAMPLE_RATE / FRAME)
    around = np.convolve(spoken[first // FRAME : last // FRAME], np.full(width, 1 / width), mode="valid")
    best = len(around) - 1 - int(around[::-1].argmin())
    middle = (first // FRAME + best + width // 2) * FRAME
    return middle, bool(around[best] < 0.5)
