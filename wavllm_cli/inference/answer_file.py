"""Answers as a file for people and programs: text, JSON, subtitles. Hypotheses are written by `run.py`."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from wavllm_cli import strict_json
from wavllm_cli.data.files import write_text
from wavllm_cli.errors import UsageError, WavLLMError
from wavllm_cli.inference.inquiry import Replies
from wavllm_cli.inference.subtitles import Cue, cues_of, srt, vtt
from wavllm_cli.systems.base import Answer

SUBTITLES: dict[str, Callable[[Sequence[Cue]], str]] = {".srt": srt, ".vtt": vtt}
SUFFIXES = (".txt", ".json", *SUBTITLES)


def require_writable(output: Path, questions: int) -> None:
    """Find out before the work that so many answers cannot be written under this name.

    Raises:
        UsageError: something is there, or these are the subtitles of one recording.
    """
    if output.is_file() and output.stat().st_size:
        raise UsageError(f"{output} exists already: delete it, or choose another --output.")
    if output.suffix in SUBTITLES and questions > 1:
        raise UsageError(f"{output} would be the subtitles of one recording, but there are {questions} questions.")


def write_answers(output: Path, replies: Replies) -> None:
    """Write what became of the questions, as the suffix says.

    Raises:
        WavLLMError: it cannot be written, or there are to be subtitles and the answer has no times.
    """
    if output.suffix in SUBTITLES:
        text = SUBTITLES[output.suffix](_cues(output, replies))
    elif output.suffix == ".json":
        text = strict_json.dumps(replies.data(), indent=2) + "\n"
    else:
        text = "\n".join(_sections(replies))
    write_text(output, text)


def _sections(replies: Replies) -> Iterator[str]:
    """Each answer below its heading, as on a terminal."""
    for reply in replies.replies:
        if isinstance(reply.outcome, Answer):
            heading = reply.question.heading
            yield f"{heading}\n{reply.outcome.text}\n" if heading else f"{reply.outcome.text}\n"


def _cues(output: Path, replies: Replies) -> Sequence[Cue]:
    (reply,) = replies.replies
    assert isinstance(reply.outcome, Answer)
    cues = cues_of(reply.outcome)
    if cues is None:
        raise WavLLMError(
            f"{output} is not written: nothing says when the words of this answer are spoken. Ask for a transcript, of "
            "a system that has times (--system cascade)."
        )
    return cues
