"""espeak-ng, from the package `espeakng-loader`: over a hundred languages, no download, no program to install.

It sounds like a robot and is meant to: clean, instant, endless speech for tests and for learning to listen at all.
"""

import _ctypes
import ctypes
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path
from threading import Lock
from typing import Any, Self

import numpy as np
import soxr

from wavllm_cli.data.audio import SAMPLE_RATE
from wavllm_cli.data.interrupts import Deferred, interrupts_deferred
from wavllm_cli.errors import AudioError, UsageError, WavLLMError, did_you_mean, shortened
from wavllm_cli.speech.engine import Engine, Line, NoVoice, Options, Unspoken, wanted

# English as spoken in several places, by the name of espeak-ng's file (`en-gb` has none; `en` is British), and voices.
ACCENTS = ("en-us", "en-us-nyc", "en", "en-gb-x-rp", "en-gb-scotland", "en-gb-x-gbclan", "en-gb-x-gbcwmd", "en-029")
SPEAKERS = ("f1", "f2", "f3", "f4", "f5", "m1", "m2", "m3", "m4", "m5", "m6", "m7", "m8")  # more are in `speakers`
VOICES = tuple(f"{accent}+{speaker}" for accent in ACCENTS for speaker in SPEAKERS)

STOPS = ",.;:!?"  # which change how a clause sounds …
_AS_STOPS = str.maketrans("，、。；：！？،؛؟۔।", ",,.;:!?,;?..")  # … and as other scripts write them
_SWITCH = re.compile(r"\([^()]*\)")  # "(en)": where a word is pronounced as in another language

RATE = 160  # words a minute
RATES = (80, 450)
PITCHES = (0, 99)
VARIATIONS = (0, 99)

# From speak_lib.h.
_SYNCHRONOUS, _DONT_EXIT = 2, 0x8000
_RATE, _PITCH, _RANGE = 1, 3, 4
_UTF8 = 1
_IPA = 2

_Callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p)
_one_at_a_time = Lock()  # the library has one state for the whole process


class Espeak(Engine):
    """A voice is ACCENT+SPEAKER."""

    name = "espeak"
    in_processes = True

    def __init__(self, patterns: Sequence[str], speed: float):
        self.patterns, self.rate = tuple(patterns), round(RATE * speed)

    @classmethod
    def open(cls, options: Options) -> Self:
        if options.model:
            raise UsageError("--model is nothing that espeak has: its voices are chosen with --voices.")
        accents()
        return cls(options.voices, options.speed)

    def voices(self, language: str) -> list[str]:
        return wanted([f"{a}+{s}" for a in accents_of(language) for s in SPEAKERS], self.patterns, language)

    def settings(self, voice: str) -> dict[str, Any]:
        return {"rate": self.rate, "version": version("espeakng-loader")}

    def speak(self, lines: Sequence[Line]) -> list[np.ndarray | Unspoken]:
        return [self._spoken(line) for line in lines]

    def _spoken(self, line: Line) -> np.ndarray | Unspoken:
        try:
            return synthesise(line.text, line.voice, self.rate)
        except AudioError as error:
            return Unspoken(str(error))


def accents_of(language: str) -> list[str]:
    """How a language is spoken: English in several places, all others as espeak-ng would choose by itself.

    Args:
        language: its code; that of a region ("en-GB", "pt-BR") counts where espeak-ng knows it.

    Raises:
        NoVoice: espeak-ng does not speak it.
    """
    code = language.replace("_", "-").lower()
    if code == "en":
        return list(ACCENTS)
    for known in (code, code.split("-")[0]):
        ranked = [(rank[known], accent) for accent, rank in accents().items() if known in rank]
        if ranked:
            return [min(ranked)[1]]
    raise NoVoice(f"espeak-ng does not speak {shortened(language)!r}")


@cache
def accents() -> dict[str, dict[str, int]]:
    """The languages that each of espeak-ng's accents is for, with its rank among those for a language (1: the first).

    Raises:
        WavLLMError: espeak-ng is not installed.
    """
    found: dict[str, dict[str, int]] = {}
    data = data_folder()
    for file in sorted((data / "lang").rglob("*")):
        lines = file.read_bytes().decode("utf-8", "replace").splitlines() if file.is_file() else []
        fields = [line.split() for line in lines if line.strip()]
        codes = [(words[1], int(words[2]) if len(words) > 2 else 5) for words in fields if words[0] == "language"]
        own = next(
            (words[1] for words in fields if words[0] == "dictionary"), codes[0][0].split("-")[0] if codes else ""
        )
        if (data / f"{own}_dict").is_file():
            found[file.name.lower()] = {code.lower(): rank for code, rank in reversed(codes)}
    return found


@cache
def speakers() -> frozenset[str]:
    """All timbres that espeak-ng has, `SPEAKERS` and some eighty that differ more in quality.

    Raises:
        WavLLMError: espeak-ng is not installed.
    """
    return frozenset(file.name for file in (data_folder() / "voices" / "!v").iterdir())


def synthesise(
    text: str, voice: str = "en-us+m3", rate: int = RATE, pitch: int = 50, variation: int = 50
) -> np.ndarray:
    """Speak a text; the same arguments give the same samples, in any order and any process.

    Args:
        text: in the voice's language.
        voice: ACCENT+SPEAKER, of `accents` and `speakers`; `VOICES` are some that speak English.
        rate: words a minute, 80 to 450.
        pitch: 0 to 99; 50 is the voice's own.
        variation: of the pitch, 0 (monotonous) to 99; 50 is the voice's own.

    Returns:
        (samples,) float32 at 16 kHz.

    Raises:
        UsageError: no such voice, or rate, pitch or variation out of range.
        AudioError: the text is nothing that can be spoken.
        WavLLMError: espeak-ng is not installed or does not work here.
    """
    accent, _, speaker = voice.partition("+")
    if accent not in accents() or speaker not in speakers():  # espeak-ng itself falls back to another without a word
        meant = did_you_mean(voice, VOICES)
        raise UsageError(
            f"There is no voice {voice!r}{meant}: it is ACCENT+SPEAKER, as in en-us+f3, and speakers are "
            f"{', '.join(SPEAKERS)}."
        )
    settings = (("rate", rate, RATES), ("pitch", pitch, PITCHES), ("variation", variation, VARIATIONS))
    for name, value, (low, high) in settings:
        if not low <= value <= high:
            raise UsageError(f"A voice's {name} must be from {low} to {high}, not {value}.")
    encoded = text.encode()
    with _one_at_a_time, interrupts_deferred() as deferred, _library(voice) as (library, rate_hz):
        spoken = _Spoken(deferred)
        collect = _Callback(spoken.collect)
        library.espeak_SetSynthCallback(collect)
        library.espeak_SetParameter(_RATE, rate, 0)
        library.espeak_SetParameter(_PITCH, pitch, 0)
        library.espeak_SetParameter(_RANGE, variation, 0)
        failed = library.espeak_Synth(encoded, ctypes.c_size_t(len(encoded) + 1), 0, 1, 0, _UTF8, None, None)
    if spoken.error is not None:
        raise spoken.error
    if failed or not spoken.chunks:
        raise AudioError(f"espeak-ng makes no sound of {shortened(text)!r}.")
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


@dataclass(frozen=True)
class Clause:
    """What is said without a stop.

    Attributes:
        ipa: its phonemes, words between blanks.
        stop: the mark that ends it, of `STOPS`; empty where nothing does.
    """

    ipa: str
    stop: str


def phonemes(text: str, voice: str) -> list[Clause]:
    """How espeak-ng would pronounce a text.

    Args:
        voice: as espeak-ng names it, such as `en-us`.

    Raises:
        WavLLMError: there is no such voice, or espeak-ng does not work here.
    """
    encoded = text.encode()
    buffer = ctypes.create_string_buffer(encoded)
    first = ctypes.addressof(buffer)
    clauses = []
    with _one_at_a_time, _library(voice) as (library, _):
        library.espeak_TextToPhonemes.restype = ctypes.c_char_p
        rest, done = ctypes.c_void_p(first), 0
        while rest.value:
            ipa = library.espeak_TextToPhonemes(ctypes.byref(rest), _UTF8, _IPA) or b""
            end = rest.value - first if rest.value else len(encoded)
            clauses.append(Clause(_SWITCH.sub("", ipa.decode()), _last_stop(encoded[done:end], bool(rest.value))))
            done = end
    return [clause for clause in clauses if clause.ipa.strip()]


def _last_stop(said: bytes, has_more: bool) -> str:
    """The last of `STOPS` in what a clause has taken of a text: espeak-ng has looked one letter into the next one."""
    words = said.decode(errors="ignore").translate(_AS_STOPS)
    words = words[:-1] if has_more else words
    return next((mark for mark in reversed(words) if mark in STOPS), "")


@contextmanager
def _library(voice: str) -> Iterator[tuple[ctypes.CDLL, int]]:
    """espeak-ng freshly loaded, with a voice, and its sample rate in Hz.

    Loaded anew for each text (4 ms) because its oscillators go on where the last text left them, and not even its own
    reset puts them back: a clip would depend on what was spoken before it.
    """
    try:
        library = ctypes.CDLL(_package().get_library_path())
    except OSError as error:
        raise WavLLMError(f"espeak-ng cannot be loaded ({error}): pip install espeakng-loader.") from error
    try:
        data = data_folder()
        sample_rate = library.espeak_Initialize(_SYNCHRONOUS, 0, str(data).encode(), _DONT_EXIT)
        if sample_rate <= 0:
            raise WavLLMError(f"espeak-ng finds no voices in {data}: install espeakng-loader again.")
        library.espeak_ng_SetRandSeed(ctypes.c_long(1))  # by default it is the time of day
        if library.espeak_SetVoiceByName(voice.encode()):
            raise WavLLMError(f"espeak-ng has no voice {voice!r}: install espeakng-loader again.")
        yield library, sample_rate
    finally:
        library.espeak_Terminate()
        _ctypes.dlclose(library._handle)


def data_folder() -> Path:
    """Where espeak-ng's voices and dictionaries lie.

    Raises:
        WavLLMError: it is not installed.
    """
    return Path(_package().get_data_path())


def _package() -> Any:
    try:
        import espeakng_loader
    except ImportError as error:
        raise WavLLMError("espeak-ng cannot be loaded: pip install espeakng-loader.") from error
    return espeakng_loader
