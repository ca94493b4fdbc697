"""What every system that answers has in common, whatever it is made of: a network, two in a row, a server far away.

A new system is one file here with a class below `System` (`TorchSystem` where torch computes), and one line in
`registry.py`:

1. `open` makes it of what the user has said, cheaply: it finds wrong what can be found wrong before weights are loaded.
2. `answer` answers a batch. An item that it cannot answer is a `Failure` in its place. Whatever it raises is found out
   by `asking.py`: a batch without room is halved, an item that fails alone becomes a `Failure`, and only
   `SystemFailed` ends a run.
3. `fingerprint` tells by what it answers, so that a run that was stopped is continued by the very same system only.

That is enough for clips, manifests, resuming and scores. The rest has defaults: `load` where there are weights;
`prepare` for work of the CPU that may run while the batch before is answered; `problem` for items that it can never
answer and `memory_problem` for those that it cannot answer now; `fits` and `batch_limits` for how much goes together;
`stream` for text as it comes. A wrapper (windows of long audio, a planner) is a system that holds another one and asks
it with `asking.ask`, which brings all of the above along.

Nothing here imports torch: a system that does imports it in its own file.
"""

import gc
import math
from abc import ABC, abstractmethod
from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from wavllm_cli.data.packing import Limits
from wavllm_cli.errors import WavLLMError
from wavllm_cli.systems.decoding import Decoding

if TYPE_CHECKING:
    import numpy as np

    from wavllm_cli.chat.settings import Settings
    from wavllm_cli.data.schema import Utterance
    from wavllm_cli.systems.fingerprint import Fingerprint

CUT = "cut at"  # how the warning about an answer begins that ends at its greatest length: "cut at 512 tokens"
SECONDS_PER_UTTERANCE = 30.0  # a batch of n clips may hold n times this much audio, padding included


# --- what is asked and answered ---


@dataclass(frozen=True, eq=False)
class Item:
    """One instruction about at most one clip: all that a system may know of a row, which its target is no part of.

    Attributes:
        id: unique among the items that are asked together; a sampled answer is drawn by it.
        prompt: the instruction; empty where it is spoken in the clip.
        samples: (samples,) float32 at 16 kHz; None for text alone.
        task: as a manifest names it; None where nobody has said it.
        language, target_language: BCP-47, of what is said and of the answer, where they are known.
        choices: the answers that are offered, where they are.
        history: question and answer of each turn before this one, about the same clip.
    """

    id: str
    prompt: str
    samples: "np.ndarray | None" = None
    task: str | None = None
    language: str | None = None
    target_language: str | None = None
    choices: tuple[str, ...] = ()
    history: tuple[tuple[str, str], ...] = ()

    @classmethod
    def of(cls, row: "Utterance", samples: "np.ndarray | None") -> Self:
        """A manifest's row and the audio of its clip."""
        return cls(
            row.id, row.prompt, samples, row.task, row.language, row.target_language, choices=tuple(row.choices or ())
        )

    @property
    def length(self) -> int:
        """Samples of its clip, 0 for text alone."""
        return 0 if self.samples is None else len(self.samples)


@dataclass(frozen=True)
class Answer:
    """What a system answers; the fields are those of a hypotheses file.

    Attributes:
        token_ids: on request, the tokens of the answer, end of sequence included.
        logprobs: on request, the log-probability (natural) of each token by the network itself, whatever temperature
            and exclusions it was sampled with.
        steps: what a system of several steps did on its way, a transcript say: `name`, `text` and, of a part of a
            clip, `start` and `end` in seconds.
        warnings: what to know about the answer, such as that it was cut at its greatest length.
    """

    text: str
    token_ids: list[int] | None = None
    logprobs: list[float] | None = None
    steps: list[dict[str, Any]] | None = None
    warnings: list[str] | None = None


@dataclass(frozen=True)
class Failure:
    """Why one item has no answer, as a sentence without the item's name."""

    sentence: str


class SystemFailed(WavLLMError):
    """It is the system that has failed and not an item: nothing else can be answered, a run ends here."""

    @classmethod
    def because(cls, error: WavLLMError, sentence: str | None = None) -> Self:
        """It has failed by what is said of an error, or by another sentence; the exit code is the error's."""
        failed = cls(sentence or str(error))
        failed.exit_code = error.exit_code
        return failed


@dataclass(frozen=True)
class Options:
    """Who is to answer and how, as the user has said it; None leaves it to the system.

    Attributes:
        model: a folder, a hub id or whatever the system is told its model by.
        trust: run code that a model's files bring along.
        server: the one that is asked, where it is one.
        output: the file that the answers are for, if they are for one.
    """

    model: str | None = None
    device: str | None = None
    dtype: str | None = None
    decoding: Decoding = field(default_factory=Decoding)
    trust: bool = False
    server: "Settings | None" = None
    output: Path | None = None


# --- who answers ---


class System(ABC):
    """One that answers instructions about clips.

    Attributes:
        name: which one it is, written as `system` beside every answer.
        device: where it computes, as it is called in messages.
        longest_clip: seconds that it hears in one piece; about longer clips it is asked window by window.
        window: seconds of such a window at most.
        converses: whether it takes what was said before into account, see `Item.history`.
    """

    name: str
    device: str
    longest_clip: float = math.inf
    window: float = 30.0
    converses: bool = False

    @classmethod
    @abstractmethod
    def open(cls, options: Options) -> Self:
        """The system that a user asks for, without its weights.

        Raises:
            UsageError: there is no such system, or it cannot do what an option says.
        """

    def load(self) -> None:  # noqa: B027 - nothing to load is usual
        """Bring the weights, if there are any; a second call does nothing.

        Raises:
            UsageError, WavLLMError: they are not there, or damaged.
        """

    @abstractmethod
    def fingerprint(self) -> "Fingerprint":
        """By what it answers: the content of its models and its settings as resolved; loads it where that is needed."""

    def settings_about(self, seconds: float) -> dict[str, Any]:
        """By what it answers beside its fingerprint where a clip has so many seconds."""
        return {}

    @abstractmethod
    def answer(self, items: Sequence[Item], inputs: Any) -> Sequence[Answer | Failure]:
        """One answer or failure for each of the items, in their order, independent of each other.

        Args:
            inputs: what `prepare` made of these items.
        """

    def stream(self, item: Item) -> Generator[str, None, Answer | Failure]:
        """The answer to one item as it comes: pieces that together are the answer's text; returns the whole answer."""
        (answer,) = self.answer([item], self.prepare([item]))
        if isinstance(answer, Answer):
            yield answer.text
        return answer

    def prepare(self, items: Sequence[Item]) -> Any:
        """Work of the CPU for these items, done in a thread while the batch before them is answered."""
        return None

    # --- what can be answered, and together ---

    def batch_limits(self, utterances: int) -> Limits:
        """What may be answered together, where a user allows so many utterances at once."""
        return Limits(max_seconds=utterances * SECONDS_PER_UTTERANCE, max_utterances=utterances)

    def problem(self, item: Item) -> str | None:
        """Why this system can never answer an item, to end a sentence about it; known without the weights."""
        return None

    def memory_problem(self, item: Item) -> str | None:
        """Why an item has no room in the memory that is free now, to end a sentence; known without the weights."""
        return None

    def fits(self, items: Sequence[Item]) -> bool:
        """Whether items have room together in the memory that is free now."""
        return True

    # --- what goes wrong ---

    def is_out_of_memory(self, error: Exception) -> bool:
        """Whether fewer items at once might have been answered."""
        return isinstance(error, MemoryError)

    def own_failure(self, error: Exception) -> SystemFailed | None:
        """What to say where an error of `answer` is the system's own and no item's."""
        return error if isinstance(error, SystemFailed) else None

    def release(self) -> None:
        """Give back what a batch that did not fit has left in memory."""
        gc.collect()
