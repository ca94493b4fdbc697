"""What `wavllm infer` does: questions about recordings to stdout or a file, or a manifest to a hypotheses file."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from wavllm_cli import console
from wavllm_cli.data.audio_paths import relative_audio
from wavllm_cli.data.batch import AWAITS_SPEECH, Clip, clips_of
from wavllm_cli.data.files import is_text, owned, require_output, require_space, shown
from wavllm_cli.data.manifest import MANIFEST_SUFFIXES, parquet_rows, read_lines, validated, write_manifest
from wavllm_cli.data.schema import Hypothesis, Utterance
from wavllm_cli.errors import ManifestError, UsageError, WavLLMError, shortened
from wavllm_cli.inference import answer_file
from wavllm_cli.inference.default import opener
from wavllm_cli.inference.inquiry import Question, Replies, answer_questions
from wavllm_cli.inference.partial import partial_of
from wavllm_cli.inference.run import Report, answer_manifest
from wavllm_cli.inference.sources import Recording, recordings_of
from wavllm_cli.systems.base import Answer, Options, System

OUTPUT_SUFFIXES = (".jsonl", ".jsonl.gz", ".parquet")
ANSWER_BYTES = 300  # of an answer on the disk, roughly
NAMED = 3  # ids in a message about many
HEADING = 200  # characters of an instruction above its answer


@dataclass(frozen=True)
class Work:
    """What `wavllm infer` is asked for, beside who answers.

    Attributes:
        channel: of recordings; None takes the mean of all.
        output: where the answers go; None: to stdout alone.
        audio_root: where the relative paths of a manifest start.
        batch_size: most utterances at once.
        live: whether somebody watches stdout: answers are shown while they are being made.
        json: whether stdout is for JSON alone.
        yes: fetch a default model that is not here without asking.
    """

    channel: int | None = None
    output: Path | None = None
    audio_root: Path | None = None
    batch_size: int = 16
    live: bool = False
    json: bool = False
    yes: bool = False


def infer(
    sources: Sequence[str], instructions: Sequence[str], work: Work, system: str | None, options: Options
) -> Replies | Report:
    """Answer about recordings or a manifest; input and output are checked before the model is loaded.

    Args:
        sources: what a user calls recordings, or one manifest.
        instructions: each is asked about every recording; an empty one where the question is in the recording.
        system: its name in `systems.registry`; None leaves it to the model, or where none is named to `default.py`.

    Raises:
        UsageError: source, output, model or option are wrong.
        WavLLMError: nothing could be answered, or another process writes the output.
    """

    opened = opener(system, options, work.yes)

    if len(sources) == 1 and sources[0].endswith(MANIFEST_SUFFIXES):
        return _manifest_answered(Path(sources[0]), instructions, work, opened)
    recordings = recordings_of(sources)
    questions = _questions(recordings, instructions, work.channel)
    if (output := work.output) is None:
        return _answered(questions, work, opened)
    require_output(output, [r.path for r in recordings if r.path], (*OUTPUT_SUFFIXES, *answer_file.SUFFIXES))
    if output.name.endswith(OUTPUT_SUFFIXES):
        require_hypotheses(output)
        _require_nameable(recordings)
    else:
        answer_file.require_writable(output, len(questions))
    if output.name.endswith(OUTPUT_SUFFIXES) and len(questions) > 1:
        return _clips_answered([_clip(question, output) for question in questions], {}, work, opened)
    with owned(output):
        replies = _answered(questions, work, opened)
        if output.name.endswith(OUTPUT_SUFFIXES):
            write_manifest(output, _hypotheses(replies, output))
        else:
            answer_file.write_answers(output, replies)
    return replace(replies, output=str(output))


# --- recordings ---


def _questions(recordings: Sequence[Recording], instructions: Sequence[str], channel: int | None) -> list[Question]:
    """Every instruction about every recording, with a heading that says what differs."""
    stems = [recording.path.stem if recording.path else recording.name for recording in recordings]
    unique = len(set(stems)) == len(stems)
    questions = []
    for recording, stem in zip(recordings, stems, strict=True):
        for number, instruction in enumerate(instructions, 1):
            name = stem if unique else recording.name
            differs = [recording.name] if len(recordings) > 1 else []
            differs += [shortened(instruction, HEADING)] if len(instructions) > 1 else []
            row_id = f"{name}#{number}" if len(instructions) > 1 else name
            heading = f"# {' – '.join(differs)}" if differs else ""
            questions.append(Question(row_id, recording, instruction, heading, channel))
    return questions


def _answered(questions: Sequence[Question], work: Work, opened: Callable[[], System]) -> Replies:
    return answer_questions(opened, questions, "never" if work.json else "streamed" if work.live else "whole")


def _clip(question: Question, output: Path) -> Clip:
    path = question.recording.path
    assert path is not None
    return Clip(_row(question, output), (path,))


def _row(question: Question, output: Path) -> Utterance:
    path = question.recording.path
    assert path is not None
    audio = relative_audio(path, output)
    return Utterance(
        id=question.id, audio=audio, channel=question.channel, task=question.task, prompt=question.instruction
    )


def _hypotheses(replies: Replies, output: Path) -> list[Hypothesis]:
    return [
        Hypothesis(**_row(reply.question, output).model_dump(), **vars(reply.outcome), system=reply.model)
        for reply in replies.replies
        if isinstance(reply.outcome, Answer)
    ]


def _require_nameable(recordings: Sequence[Recording]) -> None:
    """A hypotheses file names the recordings, in UTF-8.

    Raises:
        UsageError: one has no such name.
    """
    for recording in recordings:
        if recording.path is None:
            raise UsageError(
                f"A hypotheses file names the files that its answers are about, and {recording.name} is none: save it "
                "to a file first, or choose an output in .txt or .json."
            )
        if not is_text(recording.path):
            raise UsageError(f"The name of {recording.name} is not UTF-8, no hypotheses file can hold it: rename it.")


# --- a manifest ---


def _manifest_answered(source: Path, asked: Sequence[str], work: Work, opened: Callable[[], System]) -> Report:
    if work.output is None:
        raise UsageError(f"{source} is a manifest: say where the answers go with --output FILE.jsonl.")
    if any(asked):
        raise UsageError(f"{source} is a manifest and brings its own instructions: leave out {asked[0]!r}.")
    if work.channel is not None:
        raise UsageError(f'{source} is a manifest, whose rows name their "channel" themselves: leave out --channel.')
    require_output(work.output, [source], OUTPUT_SUFFIXES)
    require_hypotheses(work.output)
    require_output(partial_of(work.output))
    clips = clips_of(source, work.audio_root)
    return _clips_answered(clips, missing_audio(clips), work, opened)


def _clips_answered(clips: Sequence[Clip], missing: dict[str, str], work: Work, opened: Callable[[], System]) -> Report:
    output = work.output
    assert output is not None
    require_output(partial_of(output))
    require_space(output, _bytes_needed(clips))
    by = opened()
    with owned(output):
        return answer_manifest(by, clips, output, work.batch_size, missing)


# --- before the work ---


def missing_audio(clips: Sequence[Clip]) -> dict[str, str]:
    """Rows whose audio is not there or may not be looked at: their ids, and a sentence on each; one warning for all.

    Raises:
        WavLLMError: nothing else is left.
    """
    missing: dict[str, str] = {}
    for clip in clips:
        if clip.row.awaits_speech:
            missing[clip.row.id] = AWAITS_SPEECH
        elif found := clip.unreadable():
            missing[clip.row.id] = f"audio file {shown(found[0])} {found[1]}."
    if missing:
        first = next(iter(missing.items()))
        if len(missing) == len(clips):
            raise WavLLMError(f"No utterance of {len(clips)} could be answered; the first: {': '.join(first)}")
        names = ", ".join(list(missing)[:NAMED]) + (", …" if len(missing) > NAMED else "")
        count = f"{len(missing)} of {len(clips)} utterances are without their audio"
        console.warn(f"{count} ({names}); the first: {first[1]}")
    return missing


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
