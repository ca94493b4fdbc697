"""A whole manifest: batches in order, one bad clip never stops the others, an interrupted run is continued."""

import gc
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar

import numpy as np
import torch

from wavllm_cli import console
from wavllm_cli.data.audio import is_silent
from wavllm_cli.data.batch import Clip
from wavllm_cli.data.manifest import beside, write_manifest
from wavllm_cli.data.mixture import pack
from wavllm_cli.data.schema import Hypothesis
from wavllm_cli.errors import WavLLMError, listed, reason
from wavllm_cli.inference.engine import NOT_FINITE, Engine
from wavllm_cli.inference.fingerprint import Fingerprint
from wavllm_cli.inference.partial import Partial
from wavllm_cli.recipe import Batch

SHOWN = 3  # warnings of the same words, and ids in a warning about many

T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True)
class Report:
    """What became of a manifest: rows answered now, answered by an earlier run, and skipped (a sentence each)."""

    output: str
    model: str
    answered: int
    earlier: int
    asked_again: int  # answers of an earlier run that were not used
    cut: list[str]  # ids of answers that reached their greatest length
    skipped: list[str]
    audio_seconds: float
    seconds: float

    def show(self) -> None:
        notes = [f"{self.earlier} earlier"] if self.earlier else []
        notes += [f"{self.asked_again} asked again"] if self.asked_again else []
        earlier = f" ({', '.join(notes)})" if notes else ""
        skipped = f", {len(self.skipped)} skipped" if self.skipped else ""
        speed = self.audio_seconds / self.seconds if self.seconds else 0
        console.info(
            f"{self.answered + self.earlier} answers{earlier}{skipped} → {self.output} "
            f"({self.audio_seconds:.0f} s of audio in {self.seconds:.0f} s, {speed:.1f} × real time)"
        )
        if self.cut:
            what = "1 answer was" if len(self.cut) == 1 else f"{len(self.cut)} answers were"
            console.info(f"{what} cut at the greatest number of new tokens: {listed(self.cut, SHOWN)}.")
        if self.skipped:
            console.error(f"{len(self.skipped)} utterances could not be answered; the first: {self.skipped[0]}")

    def data(self) -> dict[str, Any]:
        return asdict(self)


@dataclass
class Outcome:
    """What became of some clips: an answer or a sentence each."""

    answers: list[Hypothesis] = field(default_factory=list)
    skipped: list[tuple[str, str]] = field(default_factory=list)  # (id, sentence)

    def __add__(self, other: "Outcome") -> "Outcome":
        return Outcome(self.answers + other.answers, self.skipped + other.skipped)


@dataclass
class Prepared:
    """Clips whose audio has been read, and the processor's inputs where it could make them."""

    clips: list[Clip]
    audio: list[np.ndarray | None]
    outcome: Outcome  # of those that could not be read
    silent: list[str]
    inputs: Any = None


def answer_manifest(
    engine: Engine,
    clips: Sequence[Clip],
    output: Path,
    limits: Batch,
    run: Fingerprint,
    missing: Mapping[str, str] = MappingProxyType({}),
) -> Report:
    """Answer every row of a manifest; answers that an earlier, interrupted run would give the same way are kept.

    Answers are appended to a `.partial` file beside `output` and put into the manifest's order under the final
    name at the end. The longest clips come first, so that what does not fit shows at once. Batches are cut the same
    way in every run: an answer may depend on its batch in the last digit.

    Args:
        limits: of a batch.
        run: by what the engine answers.
        missing: rows whose audio is known not to be there, see `missing_audio`, and a sentence on each.

    Raises:
        UsageError: the partial file is not one.
        WavLLMError: not one row could be answered, the device failed, or the disk is full.
    """
    started = time.perf_counter()
    partial = Partial(output, run, engine.source)
    done, asked_again = partial.earlier(clips)
    earlier = len(done)
    skipped = Skipped(missing)
    there = [clip for clip in clips if clip.row.id not in missing]
    seconds = [_seconds(clip) for clip in there]
    batches = [[there[i] for i in indices] for indices in reversed(pack(seconds, limits))]
    open_batches = [batch for batch in batches if any(clip.row.id not in done for clip in batch)]
    with console.progress_bar() as bar:
        task = bar.add_task("answering", total=len(clips), completed=earlier, note="")
        for prepared in ahead(lambda batch: prepare(engine, batch), open_batches):
            for name in prepared.silent:
                console.warn(f"{name}: silent clip")
            outcome = prepared.outcome
            if any(clip.row.id not in done for clip in prepared.clips):
                outcome += answer(engine, prepared)
            fresh = [row for row in outcome.answers if row.id not in done]
            _keep(partial, fresh, prepared.clips, len(done))
            done.update((row.id, row) for row in fresh)
            for row_id, sentence in outcome.skipped:
                if row_id not in done:
                    skipped.add(row_id, sentence)
            bar.update(task, completed=len(done) + len(skipped.sentences))
    if not done:
        raise WavLLMError(f"No utterance of {len(clips)} could be answered; the first: {skipped.sentences[0]}")
    rows = [beside(done[clip.row.id], clip.path, output) for clip in clips if clip.row.id in done]
    write_manifest(output, rows)
    partial.remove()
    return Report(
        output=str(output),
        model=engine.source,
        answered=len(done) - earlier,
        earlier=earlier,
        asked_again=asked_again,
        cut=[row.id for row in rows if row.warnings],
        skipped=skipped.sentences,
        audio_seconds=sum(s for s, clip in zip(seconds, there, strict=True) if clip.row.id in done),
        seconds=time.perf_counter() - started,
    )


def _keep(partial: Partial, answers: list[Hypothesis], clips: list[Clip], kept: int) -> None:
    try:
        partial.add(answers, clips)
    except WavLLMError as error:
        raise WavLLMError(
            f"{error} {kept} answers are kept; the same command continues where it can be written."
        ) from error


class Skipped:
    """Rows without an answer: all are kept, and of those with the same words only the first are shown at once."""

    def __init__(self, known: Mapping[str, str]):
        self.sentences = [f"{row_id}: {sentence}" for row_id, sentence in known.items()]
        self._seen: Counter[str] = Counter()

    def add(self, row_id: str, sentence: str) -> None:
        self.sentences.append(f"{row_id}: {sentence}")
        self._seen[sentence] += 1
        if self._seen[sentence] <= SHOWN:
            console.warn(f"skipped {row_id}: {sentence}")
        elif self._seen[sentence] == SHOWN + 1:
            console.warn(f"more of them are not shown: {sentence}")


# --- a batch ---


def prepare(engine: Engine, clips: Sequence[Clip]) -> Prepared:
    """Read a batch's audio and make the model's inputs; whatever is wrong with a clip is that clip's."""
    prepared = Prepared([], [], Outcome(), [])
    for clip in clips:
        try:
            samples = clip.read()
            silent = samples is not None and is_silent(samples)
        except Exception as error:  # of a file of unknown content, anything may come
            prepared.outcome.skipped.append((clip.row.id, explained(error, engine.device)))
            continue
        if problem := engine.position_problem(0 if samples is None else len(samples), clip.row.prompt):
            prepared.outcome.skipped.append((clip.row.id, f"{problem}."))
            continue
        prepared.clips.append(clip)
        prepared.audio.append(samples)
        prepared.silent += [clip.row.id] if silent else []
    try:
        prepared.inputs = process(engine, prepared.clips, prepared.audio) if prepared.clips else None
    except Exception:
        prepared.inputs = None  # `answer` meets the same again and finds out whose it is
    return prepared


def process(engine: Engine, clips: Sequence[Clip], audio: Sequence[np.ndarray | None]) -> Any:
    return engine.processor(text=[clip.row.prompt for clip in clips], audio=audio)


def answer(engine: Engine, prepared: Prepared) -> Outcome:
    """Answer the clips of a batch; where that fails, each half by itself, down to the one that it fails with.

    Raises:
        WavLLMError: the device itself has failed.
    """
    clips, audio, inputs = prepared.clips, prepared.audio, prepared.inputs
    prepared.inputs = None
    longest = max(0 if samples is None else len(samples) for samples in audio)
    if not engine.fits(longest, len(clips)):
        if len(clips) == 1:
            return Outcome(skipped=[(clips[0].row.id, f"{engine.memory_problem(longest)}.")])
        return halves(engine, clips, audio)
    try:
        return _answered(engine, clips, inputs if inputs is not None else process(engine, clips, audio))
    except torch.AcceleratorError as error:
        raise WavLLMError(
            f"Device {engine.device} has failed: {reason(error)}. The same command continues where it stopped."
        ) from error
    except Exception as error:
        if len(clips) == 1:
            return Outcome(skipped=[(clips[0].row.id, explained(error, engine.device))])
        full = is_out_of_memory(error)
    inputs = None
    if full:
        release_memory()  # here, not above: the exception held on to the tensors
    return halves(engine, clips, audio)


def halves(engine: Engine, clips: list[Clip], audio: list[np.ndarray | None]) -> Outcome:
    """Answer the first half of a batch, then the second."""
    half = len(clips) // 2
    first = answer(engine, Prepared(clips[:half], audio[:half], Outcome(), []))
    return first + answer(engine, Prepared(clips[half:], audio[half:], Outcome(), []))


def _answered(engine: Engine, clips: Sequence[Clip], inputs: Any) -> Outcome:
    outcome = Outcome()
    for clip, answer in zip(clips, engine.generate(inputs, [clip.row.id for clip in clips]), strict=True):
        if answer is None:
            outcome.skipped.append((clip.row.id, f"{NOT_FINITE}."))
        else:
            outcome.answers.append(Hypothesis(**clip.row.model_dump(), **vars(answer), system=engine.source))
    return outcome


def explained(error: Exception, device: str) -> str:
    """What went wrong with a clip, in a sentence."""
    if is_out_of_memory(error):
        return f"it does not fit into the memory of {device}, even alone."
    return str(error) if isinstance(error, WavLLMError) else f"it cannot be answered: {reason(error).rstrip('.')}."


def is_out_of_memory(error: BaseException) -> bool:
    """Whether numpy, a GPU or the CPU's allocator of torch, which has no class for it, had no room."""
    words = ("allocate memory", "not enough memory", "out of memory")
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or (
        isinstance(error, RuntimeError) and any(word in str(error) for word in words)
    )


def release_memory() -> None:
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


# --- order ---


def ahead(function: Callable[[T], R], items: Iterable[T]) -> Iterator[R]:
    """Results in order, the next one computed in a thread while its predecessor is being used."""
    with ThreadPoolExecutor(max_workers=1) as pool:
        waiting: Future[R] | None = None
        for item in items:
            following = pool.submit(function, item)
            if waiting is not None:
                yield waiting.result()
            waiting = following
        if waiting is not None:
            yield waiting.result()


def _seconds(clip: Clip) -> float:
    """Duration for batching; 0 for clips that will be skipped anyway."""
    try:
        return max(0.0, clip.seconds())
    except Exception:
        return 0.0
