"""Text to speech by espeak-ng, from the package `espeakng-loader`: no download, no program to install.

It sounds like a robot and is meant to: clean, instant, endless speech for tests and for learning to listen at all.
"""

import _ctypes
import ctypes
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock

import numpy as np
import soxr

from wavllm_cli.data.audio import SAMPLE_RATE
from wavllm_cli.data.interrupts import Deferred, interrupts_deferred
from wavllm_cli.errors import UsageError, WavLLMError

# English as spoken in several places, by the name of espeak-ng's file (`en-gb` has none; `en` is British), and voices.
ACCENTS = ("en-us", "en-us-nyc", "en", "en-gb-x-rp", "en-gb-scotland", "en-gb-x-gbclan", "en-gb-x-gbcwmd", "en-029")
SPEAKERS = ("f1", "f2", "f3", "f4", "f5", "m1", "m2", "m3", "m4", "m5", "m6", "m7", "m8")
VOICES = tuple(f"{accent}+{speaker}" for accent in ACCENTS for speaker in SPEAKERS)

RATES = (80, 450)  # words a minute
PITCHES = (0, 99)

# From speak_lib.h.
_SYNCHRONOUS, _DONT_EXIT = 2, 0x8000
_RATE, _PITCH = 1, 3
_UTF8 = 1

_Callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p)
_one_at_a_time = Lock()  # the library has one state for the whole process


def synthesise(text: str, voice: str = "en-us+m3", rate: int = 160, pitch: int = 50) -> np.ndarray:
    """Speak a text; the same arguments give the same samples, in any order and any process.

    Args:
        text: English.
        voice: one of `VOICES`.
        rate: words a minute, 80 to 450.
        pitch: 0 to 99; 50 is the voice's own.

    Returns:
        (samples,) float32 at 16 kHz.

    Raises:
        UsageError: no such voice, or rate or pitch out of range.
        WavLLMError: espeak-ng is not installed or does not work here.
    """
    if voice not in VOICES:  # espeak-ng itself falls back to another voice without a word
        raise UsageError(f"There is no voice {voice!r}: use ACCENT+SPEAKER of {', '.join(ACCENTS)} and "
                         f"{', '.join(SPEAKERS)}.")  # fmt: skip
    for name, value, (low, high) in (("rate", rate, RATES), ("pitch", pitch, PITCHES)):
        if not low <= value <= high:
            raise UsageError(f"A voice's {name} must be from {low} to {high}, not {value}.")
    encoded = text.encode()
    with _one_at_a_time, interrupts_deferred() as deferred, _library(spoken := _Spoken(deferred)) as (library, rate_hz):
        if library.espeak_SetVoiceByName(voice.encode()):
            raise WavLLMError(f"espeak-ng has no voice {voice!r}: install espeakng-loader again.")
        library.espeak_SetParameter(_RATE, rate, 0)
        library.espeak_SetParameter(_PITCH, pitch, 0)
        failed = library.espeak_Synth(encoded, ctypes.c_size_t(len(encoded) + 1), 0, 1, 0, _UTF8, None, None)
    if spoken.error is not None:
        raise spoken.error
    if failed or not spoken.chunks:
        raise WavLLMError(f"espeak-ng could not speak {text!r}.")
    samples = np.concatenate(spoken.chunks).astype(np.float32) / 2**15
    return soxr.resample(samples, rate_hz, SAMPLE_RATE, quality="HQ")


class _Spoken:
    """What espeak-ng has spoken so far."""

    def __init__(self, deferred: Deferred):
        self.chunks: list[np.ndarray] = []
        self.error: Exception | None = None
        self.deferred = deferred

    def collect(self, samples, count: int, events) -> int:
        """Called by C code, which no exception passes: the caller raises it, and Ctrl-C stops the synthesis (1)."""
        try:
            if samples and count > 0:
                self.chunks.append(np.ctypeslib.as_array(samples, (count,)).copy())
        except Exception as error:
            self.error = error
        return 1 if self.error or self.deferred.arrived else 0


@contextmanager
def _library(spoken: _Spoken) -> Iterator[tuple[ctypes.CDLL, int]]:
    """espeak-ng freshly loaded, and its sample rate in Hz; it speaks to `spoken`.

    Loaded anew for each text (4 ms) because its oscillators go on where the last text left them, and not even its own
    reset puts them back: a clip would depend on what was spoken before it.
    """
    try:
        import espeakng_loader

        library = ctypes.CDLL(espeakng_loader.get_library_path())
    except (ImportError, OSError) as error:
        raise WavLLMError(f"espeak-ng cannot be loaded ({error}): pip install espeakng-loader.") from error

    collect = _Callback(spoken.collect)
    try:
        data = espeakng_loader.get_data_path()
        sample_rate = library.espeak_Initialize(_SYNCHRONOUS, 0, str(data).encode(), _DONT_EXIT)
        if sample_rate <= 0:
            raise WavLLMError(f"espeak-ng finds no voices in {data}: install espeakng-loader again.")
        library.espeak_SetSynthCallback(collect)
        library.espeak_ng_SetRandSeed(ctypes.c_long(1))  # by default it is the time of day
        yield library, sample_rate
    finally:
        library.espeak_Terminate()
        _ctypes.dlclose(library._handle)
