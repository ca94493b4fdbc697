"""What a user points at – files, folders, patterns, addresses, standard input – and which word is the question."""

import os
import shutil
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from glob import glob, has_magic
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from wavllm_cli import console
from wavllm_cli.data.audio import SUFFIXES, is_silent, read_audio
from wavllm_cli.data.audio_file import require_heard
from wavllm_cli.data.download import download, is_address, shown_address
from wavllm_cli.data.files import shown
from wavllm_cli.data.foreign import refuse_foreign
from wavllm_cli.data.manifest import MANIFEST_SUFFIXES
from wavllm_cli.data.text_file import STANDARD_INPUT, text_lines
from wavllm_cli.errors import AudioError, UsageError, shortened

TABLES = (".json", ".json.gz", ".csv", ".yaml")  # which may be taken for manifests, and are no recordings


@dataclass(frozen=True)
class Recording:
    """A recording to ask about.

    Attributes:
        name: what messages call it.
        path: its file; None for one that is brought when it is read: from its address, else from standard input.
        address: on the web.
    """

    name: str
    path: Path | None
    address: str | None = None

    def read(self, channel: int | None = None) -> np.ndarray:
        """(samples,) float32 at 16 kHz; says so where they are silent.

        Args:
            channel: from 0; None takes the mean of all.

        Raises:
            UsageError: there is nothing to read.
            AudioError: it is not audio, or damaged, or cannot be had.
        """
        samples = self._samples(channel)
        if is_silent(samples):
            console.warn(f"{self.name} is silent.")
        return samples

    def _samples(self, channel: int | None) -> np.ndarray:
        if self.path is not None:
            return read_audio(self.path, channel=channel)
        with TemporaryDirectory(prefix="wavllm-") as folder:
            path = Path(folder, "recording")
            if self.address is None:
                _copy_piped_in(path)
            else:
                download(self.address, path)
            return read_audio(path, channel=channel, name=self.name)


def _copy_piped_in(path: Path) -> None:
    """
    Raises:
        UsageError: nobody pipes anything in.
    """
    if sys.stdin is None or sys.stdin.isatty():
        raise UsageError("Nothing is piped in: `-` is a recording on standard input, as in `… | wavllm infer - TEXT`.")
    with path.open("wb") as file:
        shutil.copyfileobj(sys.stdin.buffer, file)


def divided(words: Sequence[str], instructions: Sequence[str]) -> tuple[list[str], list[str]]:
    """Sources and instructions out of the words of a command.

    The last word is the instruction, unless one is given by an option, nothing stands before it, or it is a source
    itself; without an instruction the question is in the recording.

    Args:
        instructions: those given by options.
    """
    if instructions or len(words) < 2 or is_source(words[-1]):
        return list(words), list(instructions) or [""]
    return list(words[:-1]), [words[-1]]


def is_source(word: str) -> bool:
    """Whether a word names something on the disk, or can hardly be meant otherwise."""
    if word == STANDARD_INPUT or os.path.lexists(word):
        return True
    if any(character.isspace() for character in word):
        return False
    return (
        is_address(word)
        or word.lower().endswith((*SUFFIXES, *MANIFEST_SUFFIXES))
        or bool(has_magic(word) and _matching(word))
    )


def instructions_in(file: Path) -> list[str]:
    """The instructions of a file, one a line.

    Raises:
        UsageError: it cannot be read, or holds none.
    """
    lines = [line.strip() for line in text_lines(str(file))]
    if not any(lines):
        raise UsageError(f"{shown(file)} holds no instruction: it should have one a line.")
    return [line for line in lines if line]


def recordings_of(sources: Sequence[str]) -> list[Recording]:
    """The recordings that sources stand for, each once, in their order.

    Raises:
        UsageError: a source stands for none.
    """
    found: dict[str, Recording] = {}
    for source in sources:
        if source.endswith(MANIFEST_SUFFIXES) and len(sources) > 1:
            raise UsageError(f"{shown(source)} is a manifest: ask about it in a command of its own.")
        for recording in _recordings(source):
            if recording.name in found and source == STANDARD_INPUT:
                raise UsageError("Standard input (-) can be read only once: name it once.")
            found[recording.address or recording.name] = recording
    return list(found.values())


def _recordings(source: str) -> list[Recording]:
    if source == STANDARD_INPUT:
        return [Recording("standard input", None)]
    if is_address(source):
        return [Recording(shown_address(source), None, source)]
    path = Path(source)
    if path.is_dir():
        paths = _in_folder(path)
    elif not os.path.lexists(source) and has_magic(source):
        paths = _matching(source)
        if not paths:
            raise UsageError(f"No file matches {shortened(source)!r}.")
    else:
        if source.endswith(TABLES):
            refuse_foreign(path)
        with suppress(AudioError):  # one of many that may not be read costs the others nothing
            require_heard(path)
        paths = [path]
    return [Recording(shown(path), path) for path in paths]


def _in_folder(folder: Path) -> list[Path]:
    """All recordings in a folder and its folders, but for hidden ones."""
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file())
    paths = [path for path in paths if not any(part.startswith(".") for part in path.relative_to(folder).parts)]
    if not paths:
        raise UsageError(
            f"There is no recording in the folder {shown(folder)}; if that is the instruction, give it with -i."
        )
    return paths


def _matching(pattern: str) -> list[Path]:
    return sorted(Path(name) for name in glob(pattern, recursive=True) if os.path.isfile(name))
