"""What a text-to-speech engine is."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

from wavllm_cli.chat.settings import Settings
from wavllm_cli.errors import WavLLMError, did_you_mean, listed, shortened

if TYPE_CHECKING:
    import numpy as np

SPEEDS = (0.5, 2.0)
NAMED = 8  # voices in a message


@dataclass(frozen=True)
class Options:
    """What a command says of an engine.

    Attributes:
        model: a folder, hub id or name, for engines that have models.
        voices: names or patterns of those to be used; none: whichever the engine takes by itself.
        speed: 1 is the voice's own.
        device: of engines that torch computes.
        trust: run code that a model's files bring along.
        server: of an engine that is behind one.
        output: the manifest that the clips are for.
    """

    model: str | None = None
    voices: tuple[str, ...] = ()
    speed: float = 1.0
    device: str | None = None
    trust: bool = False
    server: Settings | None = None
    output: Path | None = None


@dataclass(frozen=True)
class Line:
    """A text and who says it; the same line is the same clip."""

    text: str
    voice: str


class NoVoice(WavLLMError):
    """Nobody speaks a language, or nobody of those who were asked for."""


class Unspoken(WavLLMError):
    """Why a line has no clip: its own fault, which costs no other line anything."""


class Engine(ABC):
    """Speaks lines; it is sent to other processes, so that it holds nothing that cannot be sent."""

    name: ClassVar[str]
    in_processes: ClassVar[bool] = False  # several are faster than one
    at_once: int = 16  # lines that are handed over together

    @classmethod
    @abstractmethod
    def open(cls, options: Options) -> Self:
        """The engine as a command asks for it.

        Raises:
            UsageError: it cannot do what an option says.
            WavLLMError: it is not installed, or does not work here.
        """

    @abstractmethod
    def voices(self, language: str) -> Sequence[str]:
        """The voices that are to speak a language, in an order that is always the same.

        Args:
            language: its code.

        Raises:
            NoVoice: there is none.
        """

    @abstractmethod
    def settings(self, voice: str) -> dict[str, Any]:
        """All that a clip depends on besides text and voice, as JSON values."""

    @abstractmethod
    def speak(self, lines: Sequence[Line]) -> "list[np.ndarray | Unspoken]":
        """(samples,) float32 at 16 kHz for each line, or why there are none.

        The same line has the same samples, whatever is spoken before it and beside it, as far as the engine lets us.

        Raises:
            WavLLMError: no other line would fare better.
        """


def wanted(known: Sequence[str], patterns: Iterable[str], language: str) -> list[str]:
    """The voices that match one of the patterns; all, where there are no patterns.

    Raises:
        NoVoice: none does.
    """
    patterns = list(patterns)
    if not patterns:
        return list(known)
    found = [voice for voice in known if any(fnmatchcase(voice, pattern) for pattern in patterns)]
    if not found:
        hint = did_you_mean(patterns[0], known)
        asked = listed([shortened(pattern) for pattern in patterns], NAMED)
        raise NoVoice(f"no voice for {language!r} is called {asked}{hint}; there are {listed(known, NAMED)}")
    return found
