"""What an interrupted run left: answers beside the output, each with what it was given by and about.

The first line of a `.partial` file describes the run. Every other line is one answer: the key of its run, the state of
its audio file, and the row. An answer is used again only if all three are what they would be now; whatever else stands
there, or is damaged, costs no more than asking again.
"""

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BaseModel, BeforeValidator, ValidationError

from wavllm_cli import console
from wavllm_cli.data.batch import Clip
from wavllm_cli.data.files import append_text, write_text
from wavllm_cli.data.schema import Hypothesis
from wavllm_cli.data.shards import file_of
from wavllm_cli.errors import UsageError

if TYPE_CHECKING:
    from wavllm_cli.systems.fingerprint import Fingerprint

AudioState = tuple[str, int, int]  # absolute path, bytes, nanoseconds of its last change
NOTHING = b" \t\r\n\0"  # what a power cut may leave of a line


def _states(audio: Any) -> Any:
    """Of a clip of one file, or of text, older lines hold no list."""
    return [] if audio is None else [audio] if audio and isinstance(audio[0], str) else audio


class Header(BaseModel):
    """The first line."""

    run: str
    model: str
    settings: dict[str, Any]


class Line(BaseModel):
    """Every other line."""

    run: str
    audio: Annotated[list[AudioState | None], BeforeValidator(_states)]
    row: Hypothesis


@dataclass
class Found:
    """What a partial file holds."""

    header: Header | None
    lines: list[Line]
    unknown: int  # answers that do not say by what they were given
    damaged: int  # lines that cannot be read
    empty: bool


def partial_of(output: Path) -> Path:
    return output.with_name(output.name + ".partial")


class Partial:
    """The partial file of one output.

    Args:
        output: the hypotheses file that it will become.
        run: by what this run answers.
        system: how this run names its model.
    """

    def __init__(self, output: Path, run: "Fingerprint", system: str):
        self.path = partial_of(output)
        self.run, self.system = run, system

    def earlier(self, clips: Sequence[Clip]) -> tuple[dict[str, Hypothesis], int]:
        """Answers of an earlier run that this one would give too, by id, and the number of those to be asked again.

        The file is left with the good ones alone. What is not used is said in a warning.

        Raises:
            UsageError: the file is not ours.
            WavLLMError: it cannot be written.
        """
        if not self.path.exists():
            return {}, 0
        found = self._read()
        wanted = {clip.row.id: clip for clip in clips}
        good: dict[str, Line] = {}
        others = foreign = 0
        for line in found.lines:
            if line.run != self.run.key:
                others += 1
            elif line.row.id not in wanted or not _answers(line, wanted[line.row.id]):
                foreign += 1
            else:
                good[line.row.id] = line
        self._explain(found, others, foreign)
        kept = {i: line.row.model_copy(update={"system": self.system}) for i, line in good.items()}
        self._rewrite(good.values())
        return kept, others + foreign + found.unknown + found.damaged

    def add(self, answers: Iterable[Hypothesis], clips: Iterable[Clip]) -> None:
        """Put answers on the disk, there to stay whatever happens to the process or the machine."""
        clip_of = {clip.row.id: clip for clip in clips}
        lines = [Line(run=self.run.key, audio=audio_state(clip_of[row.id]), row=row) for row in answers]
        if not lines:
            return
        if self.path.exists():
            append_text(self.path, "".join(map(_written, lines)))
        else:
            self._rewrite(lines)

    def remove(self) -> None:
        self.path.unlink(missing_ok=True)

    def _rewrite(self, lines: Iterable[Line]) -> None:
        text = "".join(map(_written, lines))
        if text:
            header = Header(run=self.run.key, model=self.run.model, settings=self.run.settings)
            write_text(self.path, header.model_dump_json() + "\n" + text)
        else:
            self.remove()

    def _read(self) -> Found:
        if not self.path.is_file():
            raise UsageError(f"{self.path} is in the way: the answers of an unfinished run would be kept there.")
        found = Found(None, [], 0, 0, empty=True)
        with self.path.open("rb") as file:
            for number, text in enumerate(file):
                found.empty = found.empty and not text.strip(NOTHING)
                if number == 0 and (header := _parsed(text, Header)):
                    found.header = header
                elif line := _parsed(text, Line):
                    found.lines.append(line)
                elif _parsed(text, Hypothesis):
                    found.unknown += 1
                else:
                    found.damaged += 1
        if not (found.empty or found.header or found.lines or found.unknown):
            raise UsageError(
                f"{self.path} is in the way: the answers of an unfinished run would be kept there, and it holds "
                "something else. Move it, or choose another --output."
            )
        return found

    def _explain(self, found: Found, others: int, changed: int) -> None:
        """Say which of the earlier answers are not used, and why."""
        if others:
            header = found.header
            told = header is not None and header.run != self.run.key
            by = self.run.since(type(self.run)(header.model, header.settings)) if told and header else "another run"
            self._warn(others, f"given by another run ({by})" if told else "given by another run")
        if found.unknown:
            self._warn(found.unknown, "given nobody knows by what model and options")
        if changed:
            self._warn(changed, "about rows or audio that have changed since")
        if found.damaged:
            console.warn(f"{self.path}: {found.damaged} damaged lines are left out; their rows are asked again.")

    def _warn(self, count: int, why: str) -> None:
        what = "1 earlier answer is" if count == 1 else f"{count} earlier answers are"
        console.warn(f"{self.path}: {what} not used, {why}: asking again.")


def audio_state(clip: Clip) -> list[AudioState | None]:
    """What shows that one of a clip's files has been replaced; None for a file that cannot be looked at."""
    return [_file_state(path) for path in clip.paths]


def _file_state(path: Path) -> AudioState | None:
    try:
        state = os.stat(file_of(path))
    except (OSError, ValueError):
        return None
    return os.path.abspath(path), state.st_size, state.st_mtime_ns


def _answers(line: Line, clip: Clip) -> bool:
    """Whether an answer is about this very row and this state of its audio."""
    row = {name: getattr(line.row, name) for name in type(clip.row).model_fields}
    return row == dict(clip.row) and line.audio == audio_state(clip)


def _parsed(text: bytes, model: type[Any]) -> Any:
    try:
        return model.model_validate_json(text) if text.endswith(b"\n") else None
    except ValidationError:
        return None


def _written(line: Line) -> str:
    return line.model_dump_json() + "\n"
