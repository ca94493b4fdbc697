"""What `wavllm infer` does: one clip to stdout, or a manifest to a hypotheses file."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from wavllm_cli import console
from wavllm_cli.data.audio import is_silent, read_audio
from wavllm_cli.data.batch import clips_of
from wavllm_cli.data.manifest import MANIFEST_SUFFIXES
from wavllm_cli.errors import UsageError
from wavllm_cli.recipe import Batch

if TYPE_CHECKING:
    from wavllm_cli.inference.engine import Report

RUNS = Path("runs")
SECONDS_PER_UTTERANCE = 30.0  # a batch of n clips may hold n times this much audio, padding included


@dataclass(frozen=True)
class Answer:
    """The answer about one clip."""

    text: str
    audio: str
    prompt: str
    model: str
    token_ids: list[int] | None = None
    logprobs: list[float] | None = None
    skipped: ClassVar[tuple[str, ...]] = ()  # as a manifest's report has it

    def show(self) -> None:
        console.say(self.text)

    def data(self) -> dict[str, Any]:
        return {key: value for key, value in asdict(self).items() if value is not None}


def infer(
    source: Path,
    instruction: str,
    model: str | None,
    output: Path | None,
    audio_root: Path | None,
    batch_size: int,
    device: str | None,
    dtype: str | None,
    decoding: dict[str, Any],
    trust: bool = False,
) -> "Answer | Report":
    """Answer about a file or a manifest; input is checked before the model is loaded.

    Raises:
        UsageError: source, model or option are wrong.
        WavLLMError: nothing could be answered.
    """
    is_manifest = source.name.endswith(MANIFEST_SUFFIXES)
    if is_manifest:
        if output is None:
            raise UsageError(f"{source} is a manifest: say where the answers go with --output FILE.jsonl.")
        if instruction:
            raise UsageError(f"{source} is a manifest and brings its own instructions: leave out {instruction!r}.")
        clips = clips_of(source, audio_root)
    else:
        samples = read_audio(source)
        if is_silent(samples):
            console.warn(f"{source} is silent.")

    from wavllm_cli.inference.engine import Decoding, Engine
    from wavllm_cli.model.load import newest_run

    if model is None:
        model = str(newest_run(RUNS))
        console.info(f"model: {model}")
    engine = Engine(model, device, dtype, Decoding(**decoding), trust)
    if not is_manifest:
        return Answer(**vars(engine.answer(samples, instruction)), audio=str(source), prompt=instruction, model=model)
    assert output is not None
    limits = Batch(max_seconds=batch_size * SECONDS_PER_UTTERANCE, max_utterances=batch_size)
    return engine.run(clips, output, limits)
