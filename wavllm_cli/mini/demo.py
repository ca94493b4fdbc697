"""Answers about clips, for people who read a terminal: the question, the answer, and what is known to be right.

    python -m wavllm_cli.mini.demo answers.jsonl

`make demo` shows with it what the miniature has answered about the clips of the package.
"""

from pathlib import Path

from wavllm_cli import console, process
from wavllm_cli.data.manifest import read_manifest
from wavllm_cli.data.schema import Hypothesis
from wavllm_cli.tasks.registry import spelled_out

SPOKEN = "(it is asked in the recording)"
UNKNOWN = "(nobody has said)"
WIDTH = 8  # of what stands before a text


def show(answers: Path) -> None:
    """Print a block for each row of a file of answers, on stdout.

    Raises:
        WavLLMError: it cannot be read, or holds no answers.
    """
    for row in read_manifest(answers, Hypothesis):
        console.say(_heading(row))
        _say("asked", row.prompt or SPOKEN)
        _say("answer", row.text)
        _say("known", row.target or UNKNOWN)
        console.say("")


def _heading(row: Hypothesis) -> str:
    source = [str(value) for key in ("source", "licence") if (value := (row.extra or {}).get(key))]
    seconds = [f"{row.known_duration:.1f} s"] if row.known_duration else []
    clip = ", ".join(Path(name).name for name in row.files) or "no recording"
    return " · ".join([clip, spelled_out(row.task), *seconds, *source])


def _say(what: str, text: str) -> None:
    """A text with a name before it; its further lines stand below its first."""
    first, *more = text.splitlines() or [""]
    console.say(f"  {what:{WIDTH}}{first}")
    for line in more:
        console.say(" " * (WIDTH + 2) + line)


if __name__ == "__main__":
    process.run_alone(show)
