"""What `wavllm infer` does: one clip to stdout, or a manifest to a hypotheses file."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from wavllm_cli import console
from wavllm_cli.data.audio import is_silent, read_audio
from wavllm_cli.data.batch import Clip, clips_of
from wavllm_cli.data.files import owned, require_output, require_space, shown, why_unreadable
from wavllm_cli.data.manifest import (
    MANIFEST_SUFFIXES,
    parquet_rows,
    read_lines,
    relative_audio,
    validated,
    write_manifest,
)
from wavllm_cli.data.schema import Hypothesis
from wavllm_cli.errors import ManifestError, UsageError, WavLLMError
from wavllm_cli.inference.decoding import Decoding
from wavllm_cli.inference.partial import partial_of
from wavllm_cli.recipe import Batch

if TYPE_CHECKING:
    import numpy as np

    from wavllm_cli.inference.engine import Engine, Generated
    from wavllm_cli.inference.fingerprint import Fingerprint
    from wavllm_cli.inference.run import Report

RUNS = Path("runs")
OUTPUT_SUFFIXES = (".jsonl", ".jsonl.gz", ".parquet")
SECONDS_PER_UTTERANCE = 30.0  # a batch of n clips may hold n times this much audio, padding included
ANSWER_BYTES = 300  # of an answer on the disk, roughly
NAMED = 3  # ids in a message about many


@dataclass(frozen=True)
class Answer:
    """The answer about one clip."""

    text: str
    audio: str
    prompt: str
    model: str
    token_ids: list[int] | None = None
    logprobs: list[float] | None = None
    warnings: list[str] | None = None
    output: str | None = None
    skipped: ClassVar[tuple[str, ...]] = ()  # as a manifest's report has it

    def show(self) -> None:
        console.say(self.text)

    def data(self) -> dict[str, Any]:
        return {key: value for key, value in asdict(self).items() if value is not None}


@dataclass(frozen=True)
class Answerer:
    """Who is to answer and how, as the user has said it."""

    model: str | None
    device: str | None
    dtype: str | None
    decoding: Decoding
    trust: bool

    def found(self) -> "Answerer":
        """With the model to answer with, found wrong before anything is made."""
        from wavllm_cli.model.load import check_source, only_run

        model = self.model or str(only_run(RUNS))
        check_source(model)
        return replace(self, model=model)

    def load(self) -> "Engine":
        from wavllm_cli.inference.engine import Engine

        assert self.model is not None
        return Engine(self.model, self.device, self.dtype, self.decoding, self.trust)

    def load_with_fingerprint(self) -> "tuple[Engine, Fingerprint]":
        """The model, and by what it answers: a folder's files are read twice, at the same time."""
        from wavllm_cli.inference.fingerprint import Fingerprint, model_digest, settings_of

        assert self.model is not None
        with ThreadPoolExecutor(max_workers=1) as pool:
            digest = pool.submit(model_digest, self.model) if Path(self.model).is_dir() else None
            engine = self.load()
            content = model_digest(self.model) if digest is None else digest.result()
        where = {"dtype": str(engine.dtype).removeprefix("torch."), "device": engine.device.split(":")[0]}
        decoding = self.decoding
        return engine, Fingerprint(
            content, settings_of(engine.generation, decoding.seed, logprobs=decoding.logprobs, **where)
        )


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
    """Answer about a file or a manifest; input and output are checked before the model is loaded.

    Raises:
        UsageError: source, output, model or option are wrong.
        WavLLMError: nothing could be answered, or another process writes the output.
    """
    by = Answerer(model, device, dtype, Decoding(**decoding), trust)
    is_manifest = source.name.endswith(MANIFEST_SUFFIXES)
    if is_manifest and output is None:
        raise UsageError(f"{source} is a manifest: say where the answers go with --output FILE.jsonl.")
    if is_manifest and instruction:
        raise UsageError(f"{source} is a manifest and brings its own instructions: leave out {instruction!r}.")
    if output is not None:
        require_output(output, [source], OUTPUT_SUFFIXES)
        require_hypotheses(output)
        if not is_manifest:
            _require_utf8(source)
    if is_manifest:
        assert output is not None
        require_output(partial_of(output))
        return _infer_manifest(source, output, audio_root, batch_size, by)
    return _infer_clip(source, instruction, output, by)


def _infer_clip(source: Path, instruction: str, output: Path | None, by: Answerer) -> Answer:
    samples = read_audio(source)
    if is_silent(samples):
        console.warn(f"{source} is silent.")
    by = by.found()
    assert by.model is not None
    _require_room(source, len(samples), instruction, by)
    with owned(output) if output is not None else nullcontext():
        generated = _answered(by.load(), samples, instruction, source)
        for warning in generated.warnings or ():
            console.warn(f"{source}: {warning}.")
        if output is not None:
            # A question of any kind about a clip; one that is asked in the clip itself where there are no words.
            row: dict[str, Any] = {"id": source.stem, "task": "sqa" if instruction else "sqqa", "prompt": instruction}
            audio = relative_audio(source, output)
            write_manifest(output, [Hypothesis(**row, audio=audio, **vars(generated), system=by.model)])
    where = None if output is None else str(output)
    return Answer(**vars(generated), audio=str(source), prompt=instruction, model=by.model, output=where)


def _answered(engine: "Engine", samples: "np.ndarray", instruction: str, source: Path) -> "Generated":
    """As `Engine.answer`; a model's own settings can make its library fail in any way, as in a manifest."""
    from wavllm_cli.inference.run import explained

    try:
        return engine.answer(samples, instruction, source.stem)
    except WavLLMError:
        raise
    except Exception as error:
        raise WavLLMError(f"{shown(source)}: {explained(error, engine.device)}") from error


def _infer_manifest(source: Path, output: Path, audio_root: Path | None, batch_size: int, by: Answerer) -> "Report":
    clips = clips_of(source, audio_root)
    missing = missing_audio(clips)
    require_space(output, _bytes_needed(clips))

    from wavllm_cli.inference.run import answer_manifest

    by = by.found()
    with owned(output):
        engine, run = by.load_with_fingerprint()
        most = 1 if engine.one_by_one else batch_size
        limits = Batch(max_seconds=batch_size * SECONDS_PER_UTTERANCE, max_utterances=most)
        return answer_manifest(engine, clips, output, limits, run, missing)


# --- before the work ---


def missing_audio(clips: Sequence[Clip]) -> dict[str, str]:
    """Rows whose audio is not there or may not be looked at: their ids, and a sentence on each; one warning for all.

    Raises:
        WavLLMError: nothing else is left.
    """
    missing: dict[str, str] = {}
    for clip in clips:
        if clip.path is not None and (why := why_unreadable(clip.path)):
            missing[clip.row.id] = f"audio file {shown(clip.path)} {why}."
    if missing:
        first = next(iter(missing.items()))
        if len(missing) == len(clips):
            raise WavLLMError(f"No utterance of {len(clips)} could be answered; the first: {': '.join(first)}")
        names = ", ".join(list(missing)[:NAMED]) + (", …" if len(missing) > NAMED else "")
        count = f"{len(missing)} of {len(clips)} utterances are without their audio"
        console.warn(f"{count} ({names}); the first: {first[1]}")
    return missing


def _require_room(source: Path, samples: int, instruction: str, by: Answerer) -> None:
    """Refuse a clip that is too long for the model, while its weights are still to be loaded.

    Raises:
        WavLLMError: says how long it may be.
    """
    from wavllm_cli.inference.engine import usable_device, usual_device, usual_dtype
    from wavllm_cli.model.limits import available_memory, memory_problem, position_problem
    from wavllm_cli.model.load import described_config, load_processor, new_tokens

    assert by.model is not None
    device = usable_device(by.device or usual_device())
    config = described_config(by.model, by.trust)
    text = len(load_processor(by.model, by.trust).encode(instruction, 1)[0]) - 1
    new = by.decoding.max_new_tokens or new_tokens(by.model) or 1
    memory, dtype = available_memory(device), usual_dtype(device, by.dtype)
    problem = position_problem(config, samples, text, new) or memory_problem(config, samples, dtype, memory)
    if problem:
        raise WavLLMError(f"{shown(source)} cannot be answered: {problem}.")


def _require_utf8(source: Path) -> None:
    """A hypotheses file can name no other clip."""
    try:
        str(source).encode()
    except UnicodeEncodeError:
        raise UsageError(
            f"The name of {shown(source)} is not UTF-8, no hypotheses file can hold it: rename it."
        ) from None


def require_hypotheses(output: Path) -> None:
    """A file of that name is replaced if it holds hypotheses; anything else may be all that a user has of it."""
    if not output.is_file() or output.stat().st_size == 0:
        return
    try:
        if output.suffix == ".parquet":
            first = next((validated(fields, Hypothesis) for _, fields in parquet_rows(output)), None)
        else:
            first = next(read_lines(output, Hypothesis), None)
    except ManifestError:
        first = None
    if not isinstance(first, Hypothesis):
        raise UsageError(
            f"{output} exists and holds no hypotheses: it would be lost. Move it, or choose another --output."
        )


def _bytes_needed(clips: Sequence[Clip]) -> int:
    """On the disk, for the answers and for those of an interrupted run; roughly."""
    return 2 * sum(len(clip.row.json_line()) + ANSWER_BYTES for clip in clips)
