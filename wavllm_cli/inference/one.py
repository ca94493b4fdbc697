"""One clip: a question about it, and the answer as it is shown and kept."""

from contextlib import nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from wavllm_cli import console
from wavllm_cli.data.audio import is_silent
from wavllm_cli.data.files import owned, shown
from wavllm_cli.data.manifest import relative_audio, write_manifest
from wavllm_cli.data.schema import Hypothesis
from wavllm_cli.errors import WavLLMError
from wavllm_cli.systems.asking import ask
from wavllm_cli.systems.base import Answer, Item, System


@dataclass(frozen=True)
class Reply:
    """The answer about one clip, as `wavllm infer` shows it."""

    text: str
    audio: str
    prompt: str
    model: str
    channel: int | None = None
    token_ids: list[int] | None = None
    logprobs: list[float] | None = None
    steps: list[dict[str, Any]] | None = None
    warnings: list[str] | None = None
    output: str | None = None
    skipped: ClassVar[tuple[str, ...]] = ()  # as a manifest's report has it

    def show(self) -> None:
        console.say(self.text)

    def data(self) -> dict[str, Any]:
        return {key: value for key, value in asdict(self).items() if value is not None}


def answer_clip(
    system: System, source: Path, channel: int | None, samples: np.ndarray, instruction: str, output: Path | None
) -> Reply:
    """Answer one instruction about one audio file; what cannot be answered is refused before weights are loaded.

    Args:
        channel: of the file that is heard, None for the mean of all.
        samples: (samples,) float32 at 16 kHz, of that.

    Raises:
        UsageError: the system cannot be loaded.
        WavLLMError: there is no answer, or another process writes the output.
    """
    if is_silent(samples):
        console.warn(f"{source} is silent.")
    # A question of any kind about a clip; one that is asked in the clip itself where there are no words.
    task = "sqa" if instruction else "sqqa"
    item = Item(source.stem, instruction, samples, task=task)
    if problem := system.problem(item) or system.memory_problem(item):
        raise WavLLMError(f"{shown(source)} cannot be answered: {problem}.")
    with owned(output) if output is not None else nullcontext():
        system.load()
        answer = _answered(system, item, source)
        if output is not None:
            audio = relative_audio(source, output)
            row: dict[str, Any] = {"id": item.id, "audio": audio, "task": task, "prompt": instruction}
            write_manifest(output, [Hypothesis(**row, channel=channel, **vars(answer), system=system.name)])
    where = None if output is None else str(output)
    return Reply(
        **vars(answer), audio=str(source), channel=channel, prompt=instruction, model=system.name, output=where
    )


def _answered(system: System, item: Item, source: Path) -> Answer:
    (outcome,) = ask(system, [item])
    if not isinstance(outcome, Answer):
        raise WavLLMError(f"{shown(source)}: {outcome.sentence}")
    for warning in outcome.warnings or ():
        console.warn(f"{source}: {warning}.")
    return outcome
