"""What an interrupted run left: answers beside the output, each with what it was given by and about.

The first line of a `.partial` file describes the run. Every other line is one answer: the key of its run, the state of
its audio file, and the row. An answer is used again only if all three are what they would be now; whatever else stands
there, or is damaged, costs no more than asking again.
"""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BaseModel, BeforeValidator, ValidationError

from wavllm_cli import console
from wavllm_cli.data.batch import Clip
from wavllm_cli.data.files import append_text, replacing, write_text
from wavllm_cli.data.schema import Hypothesis
from wavllm_cli.data.shards import file_of
from wavllm_cli.errors import UsageError, WavLLMError, reason

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
    """What a partial file holds.

    Attributes:
        good: where the line begins of each answer that this run would give too, by id.
        others: answers of another run.
        changed: answers about rows or audio that are not the same now.
        unknown: answers that do not say by what they were given.
        damaged: lines that cannot be read.
    """

    header: Header | None = None
    good: dict[str, int] = field(default_factory=dict)
    others: int = 0
    changed: int = 0
    unknown: int = 0
    damaged: int = 0

    @property
    def unused(self) -> int:
        return self.others + self.changed + self.unknown + self.damaged


class Answers(Mapping[str, Hypothesis]):
    """The answers in a partial file by id: each is read when it is asked for.

    Args:
        system: how the run that reads them names its model.
    """

    def __init__(self, path: Path, system: str):
        self._path, self._system = path, system
        self.places: dict[str, int] = {}  # where the line of each begins

    def __len__(self) -> int:
        return len(self.places)

    def __iter__(self) -> Iterator[str]:
        return iter(self.places)

    def __contains__(self, row_id: object) -> bool:
        return row_id in self.places

    def __getitem__(self, row_id: str) -> Hypothesis:
        place = self.places[row_id]
        try:
            with self._path.open("rb") as file:
                file.seek(place)
                line = _parsed(file.readline(), Line)
        except OSError as error:
            raise WavLLMError(f"{self._path} can no longer be read: {reason(error)}.") from error
        if not line or line.row.id != row_id:
            raise WavLLMError(f"{self._path} was written to while it was in use: give the same command again.")
        return line.row.model_copy(update={"system": self._system})


def partial_of(output: Path) -> Path:
    return output.with_name(output.name + ".partial")


class Partial:
    """The partial file of one output.

    Args:
        output: the hypotheses file that it will become.
        run: by what this run answers.
        system: how this run names its model.

    Attributes:
        answers: those that are there.
    """

    def __init__(self, output: Path, run: "Fingerprint", system: str):
        self.path = partial_of(output)
        self.run = run
        self.answers = Answers(self.path, system)

    def earlier(self, clips: Sequence[Clip]) -> int:
        """Keep the answers of an earlier run that this one would give too; the number of those to be asked again.

        The file is left with the good ones alone. What is not used is said in a warning.

        Raises:
            UsageError: the file is not ours.
            WavLLMError: it cannot be written.
        """
        if not self.path.exists():
            return 0
        found = self._read(clips)
        self._explain(found)
        self._keep(found.good)
        return found.unused

    def add(self, answers: Iterable[Hypothesis], clips: Iterable[Clip]) -> None:
        """Put answers on the disk, there to stay whatever happens to the process or the machine."""
        clip_of = {clip.row.id: clip for clip in clips}
        lines = {row.id: self._line(row, clip_of[row.id]) for row in answers}
        if not lines:
            return
        if self.path.exists():
            end = self.path.stat().st_size
            append_text(self.path, "".join(lines.values()))
        else:
            header = self._header()
            end = len(header.encode())
            write_text(self.path, header + "".join(lines.values()))
        for row_id, line in lines.items():
            self.answers.places[row_id] = end
            end += len(line.encode())

    def remove(self) -> None:
        self.path.unlink(missing_ok=True)

    def _header(self) -> str:
        return Header(run=self.run.key, model=self.run.model, settings=self.run.settings).model_dump_json() + "\n"

    def _line(self, row: Hypothesis, clip: Clip) -> str:
        return Line(run=self.run.key, audio=audio_state(clip), row=row).model_dump_json() + "\n"

    def _keep(self, good: Mapping[str, int]) -> None:
        """Write the file anew, with these of its lines alone."""
        self.answers.places.clear()
        if not good:
            self.remove()
            return
        with replacing(self.path) as draft, self.path.open("rb") as old, draft.open("wb") as new:
            new.write(self._header().encode())
            for row_id, place in good.items():
                self.answers.places[row_id] = new.tell()
                old.seek(place)
                new.write(old.readline())

    def _read(self, clips: Sequence[Clip]) -> Found:
        if not self.path.is_file():
            raise UsageError(f"{self.path} is in the way: the answers of an unfinished run would be kept there.")
        numbers = {clip.row.id: number for number, clip in enumerate(clips)}
        found, is_empty, is_ours = Found(), True, False
        with self.path.open("rb") as file:
            place = 0
            for text in file:
                is_empty = is_empty and not text.strip(NOTHING)
                if place == 0 and (header := _parsed(text, Header)):
                    found.header = header
                elif line := _parsed(text, Line):
                    is_ours = True
                    number = numbers.get(line.row.id)
                    if line.run != self.run.key:
                        found.others += 1
                    elif number is None or not _answers(line, clips[number]):
                        found.changed += 1
                    else:
                        found.good[line.row.id] = place
                elif _parsed(text, Hypothesis):
                    found.unknown += 1
                else:
                    found.damaged += 1
                place += len(text)
        if not (is_empty or is_ours or found.header or found.unknown):
            raise UsageError(
                f"{self.path} is in the way: the answers of an unfinished run would be kept there, and it holds "
                "something else. Move it, or choose another --output."
            )
        return found

    def _explain(self, found: Found) -> None:
        """Say which of the earlier answers are not used, and why."""
        if found.others:
            header = found.header
            told = header is not None and header.run != self.run.key
            by = self.run.since(type(self.run)(header.model, header.settings)) if told and header else "another run"
            self._warn(found.others, f"given by another run ({by})" if told else "given by another run")
        if found.unknown:
            self._warn(found.unknown, "given nobody knows by what model and options")
        if found.changed:
            self._warn(found.changed, "about rows or audio that have changed since")
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
