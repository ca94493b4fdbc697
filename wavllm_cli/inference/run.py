"""A whole manifest: batches in order, one bad clip never stops the others, an interrupted run is continued."""

import time
from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar

from wavllm_cli import console
from wavllm_cli.data.audio import is_silent
from wavllm_cli.data.audio_paths import beside
from wavllm_cli.data.batch import Clip
from wavllm_cli.data.manifest import write_manifest
from wavllm_cli.data.packing import pack
from wavllm_cli.data.schema import Hypothesis
from wavllm_cli.errors import WavLLMError, listed
from wavllm_cli.inference.partial import Partial
from wavllm_cli.systems import asking
from wavllm_cli.systems.base import CUT, Answer, Failure, Item, System, SystemFailed
from wavllm_cli.systems.fingerprint import Fingerprint

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
    warnings: dict[str, list[str]]  # what to know about answers, such as that they were cut, and their ids
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
            f"{_counted(self.answered + self.earlier)}{earlier}{skipped} → {self.output} "
            f"({self.audio_seconds:.0f} s of audio in {self.seconds:.0f} s, {speed:.1f} × real time)"
        )
        frequent = sorted(self.warnings.items(), key=lambda warning: -len(warning[1]))
        for warning, ids in frequent[:SHOWN]:
            console.info(f"{_counted(len(ids))}, {warning}: {listed(ids, SHOWN)}.")
        if len(frequent) > SHOWN:  # those about windows name their times
            console.info(f'More warnings ({len(frequent) - SHOWN}) are in the file, under "warnings".')
        if self.skipped:
            console.error(f"{len(self.skipped)} utterances could not be answered; the first: {self.skipped[0]}")

    def data(self) -> dict[str, Any]:
        cut = [row_id for warning, ids in self.warnings.items() if warning.startswith(CUT) for row_id in ids]
        return asdict(self) | {"cut": cut}


def _counted(answers: int) -> str:
    return "1 answer" if answers == 1 else f"{answers} answers"


@dataclass
class Prepared:
    """A batch whose audio has been read: what the system made of it, and the ids of silent clips."""

    clips: list[Clip]
    batch: asking.Prepared
    silent: list[str]


def answer_manifest(
    system: System,
    clips: Sequence[Clip],
    output: Path,
    utterances: int,
    missing: Mapping[str, str] = MappingProxyType({}),
) -> Report:
    """Answer every row of a manifest; answers that an earlier, interrupted run would give the same way are kept.

    Answers are appended to a `.partial` file beside `output` and put into the manifest's order under the final
    name at the end. The longest clips come first, so that what does not fit shows at once. Batches are cut the same
    way in every run: an answer may depend on its batch in the last digit.

    Args:
        utterances: at most in a batch, as the user allows it; the system has its own limits beside it.
        missing: rows whose audio is known not to be there, see `missing_audio`, and a sentence on each.

    Raises:
        UsageError: the partial file is not one, or the system cannot be loaded.
        WavLLMError: not one row could be answered, the system failed, or the disk is full.
    """
    started = time.perf_counter()
    ids, lengths = _looked_at(clips)
    there = [number for number, row_id in enumerate(ids) if row_id not in missing]
    seconds = [lengths[number] for number in there]
    partial = Partial(output, _answered_by(system, seconds), system.name)
    asked_again = partial.earlier(clips)
    done = partial.answers
    earlier = len(done)
    skipped = Skipped(missing)
    batches = [[there[i] for i in indices] for indices in reversed(pack(seconds, system.batch_limits(utterances)))]
    open_batches = [batch for batch in batches if any(ids[number] not in done for number in batch)]
    with console.progress_bar() as bar:
        task = bar.add_task("answering", total=len(clips), completed=earlier, note="")
        for prepared in ahead(lambda batch: prepare(system, [clips[number] for number in batch]), open_batches):
            for name in prepared.silent:
                skipped.tell(name, "silent clip")
            asked = [clip for clip in prepared.clips if clip.row.id not in done]
            outcomes = answer(system, prepared, asked)
            fresh = []
            for clip in asked:
                outcome = outcomes[clip.row.id]
                if isinstance(outcome, Failure):
                    skipped.add(clip.row.id, outcome.sentence)
                else:
                    fresh.append(Hypothesis(**clip.row.model_dump(), **vars(outcome), system=system.name))
            _keep(partial, fresh, asked)
            bar.update(task, completed=len(done) + len(skipped.sentences))
    if not done:
        raise WavLLMError(f"No utterance of {len(clips)} could be answered; the first: {skipped.sentences[0]}")
    warnings = _written(output, clips, ids, done)
    report = Report(
        output=str(output),
        model=system.name,
        answered=len(done) - earlier,
        earlier=earlier,
        asked_again=asked_again,
        warnings=warnings,
        skipped=skipped.sentences,
        audio_seconds=sum(lengths[number] for number in there if ids[number] in done),
        seconds=time.perf_counter() - started,
    )
    partial.remove()
    return report


def _looked_at(clips: Iterable[Clip]) -> tuple[list[str], "array[float]"]:
    """The id and duration of each clip; 0 for those that will be skipped anyway."""
    ids, seconds = [], array("d")
    for clip in clips:
        ids.append(clip.row.id)
        seconds.append(_seconds(clip))
    return ids, seconds


def _written(
    output: Path, clips: Sequence[Clip], ids: Sequence[str], answers: Mapping[str, Hypothesis]
) -> dict[str, list[str]]:
    """Write the answers in the manifest's order; the ids of those that each warning is about."""
    about: dict[str, list[str]] = {}

    def rows() -> Iterator[Hypothesis]:
        for number, row_id in enumerate(ids):
            if row_id in answers:
                row = answers[row_id]
                for warning in row.warnings or ():
                    about.setdefault(warning, []).append(row_id)
                yield beside(row, clips[number].paths, output)

    write_manifest(output, rows())
    return about


def _answered_by(system: System, seconds: Sequence[float]) -> Fingerprint:
    by = system.fingerprint()
    return replace(by, settings=by.settings | system.settings_about(max(seconds, default=0.0)))


def _keep(partial: Partial, answers: list[Hypothesis], clips: list[Clip]) -> None:
    try:
        partial.add(answers, clips)
    except WavLLMError as error:
        raise WavLLMError(
            f"{error} {len(partial.answers)} answers are kept; the same command continues where it can be written."
        ) from error


class Skipped:
    """Rows without an answer: all are kept. Of what is told of rows in the same words only the first are shown."""

    def __init__(self, known: Mapping[str, str]):
        self.sentences = [f"{row_id}: {sentence}" for row_id, sentence in known.items()]
        self._seen: Counter[str] = Counter()

    def add(self, row_id: str, sentence: str) -> None:
        self.sentences.append(f"{row_id}: {sentence}")
        self.tell(f"skipped {row_id}", sentence)

    def tell(self, about: str, sentence: str) -> None:
        self._seen[sentence] += 1
        if self._seen[sentence] <= SHOWN:
            console.warn(f"{about}: {sentence}")
        elif self._seen[sentence] == SHOWN + 1:
            console.warn(f"more of them are not shown: {sentence}")


# --- a batch ---


def prepare(system: System, clips: Sequence[Clip]) -> Prepared:
    """Read a batch's audio and make the system's inputs; whatever is wrong with a clip is that clip's."""
    items: list[Item] = []
    silent: list[str] = []
    unread: dict[str, Failure] = {}
    for clip in clips:
        try:
            samples = clip.read()
            is_quiet = samples is not None and is_silent(samples)
        except Exception as error:  # of a file of unknown content, anything may come
            unread[clip.row.id] = Failure(asking.explained(error, system))
            continue
        items.append(Item.of(clip.row, samples))
        silent += [clip.row.id] if is_quiet else []
    batch = asking.prepare(system, items)
    batch.failures |= unread
    return Prepared(list(clips), batch, silent)


def answer(system: System, prepared: Prepared, asked: Sequence[Clip]) -> Mapping[str, Answer | Failure]:
    """What became of the clips asked about, by id. A batch is answered as a whole, so that answers stay what they are.

    Raises:
        SystemFailed: the system itself has failed.
    """
    failures = prepared.batch.failures
    if all(clip.row.id in failures for clip in asked):
        return failures
    try:
        return asking.answer(system, prepared.batch)
    except SystemFailed as error:
        raise SystemFailed(f"{error} The same command continues where it stopped.") from error


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
