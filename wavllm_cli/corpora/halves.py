"""Speech and transcripts that their owner gives out apart: found at any depth below one folder, by their names."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from wavllm_cli.corpora import DUPLICATE, NO_AUDIO, NO_TEXT, LeftOut, Skipped
from wavllm_cli.corpora.folders import listed, not_found, require_folder, walk
from wavllm_cli.data import sphere
from wavllm_cli.data.files import shown
from wavllm_cli.errors import UsageError

AUDIO = "(?:sph|wav|flac|ogg|opus|mp3|aiff|au)"  # suffixes of recordings, also converted ones


@dataclass(frozen=True)
class Layout:
    """How an owner names files, as regular expressions for whole names, case ignored.

    Args:
        corpus: its name for people.
        audio: the first group is what the recording is called.
        text: the first group is what the transcript is called.
        table: files that tell of the recordings.
        part: folders that the owner ships.
        audio_example: of the names, for people.
        text_example: likewise.
        ignored: folders with files of the same names that are something else.
    """

    corpus: str
    audio: str
    text: str
    table: str
    part: str
    audio_example: str
    text_example: str
    ignored: str = ""


@dataclass
class Copies:
    """Files by what they are called; of several copies one that can be read is used, the others are left out."""

    files: dict[str, Path] = field(default_factory=dict)
    left_out: list[LeftOut] = field(default_factory=list)

    def add(self, name: str, path: Path) -> None:
        used = self.files.setdefault(name, path)
        if used == path:
            return
        if sphere.is_compressed(used) and not sphere.is_compressed(path):
            self.files[name], path, used = path, used, path
        self.left_out.append(LeftOut(shown(path), DUPLICATE, f"{shown(used)} is used"))


@dataclass(frozen=True)
class Halves:
    """The files of a corpus."""

    audio: Copies = field(default_factory=Copies)
    texts: Copies = field(default_factory=Copies)
    tables: list[Path] = field(default_factory=list)
    unreadable: list[Skipped] = field(default_factory=list)

    def unused(self, texts: Iterable[str]) -> list[Skipped]:
        """What cannot be used as it lacks its other half, cannot be read or is a copy.

        Args:
            texts: the names of the recordings of which there is a transcript.
        """
        texts = set(texts)
        silent = [Skipped(name, NO_AUDIO, "no audio") for name in sorted(texts - self.audio.files.keys())]
        # Owners ship some recordings without a transcript.
        bare = [LeftOut(name, NO_TEXT, "no transcript") for name in sorted(self.audio.files.keys() - texts)]
        return [*self.unreadable, *silent, *bare, *self.audio.left_out, *self.texts.left_out]


def find(root: Path, layout: Layout) -> Halves:
    """The files of a corpus below a folder.

    Raises:
        UsageError: there is no such folder, or one half of the corpus is not in it, or both.
        WavLLMError: the folder cannot be read.
    """
    require_folder(root)
    halves = Halves()
    for path in walk(root):
        if isinstance(path, Skipped):
            halves.unreadable.append(path)
        elif layout.ignored and layout.ignored in path.relative_to(root).parts:
            continue
        elif match := re.fullmatch(layout.audio, path.name, re.IGNORECASE):
            halves.audio.add(match[1].lower(), path)
        elif match := re.fullmatch(layout.text, path.name, re.IGNORECASE):
            halves.texts.add(match[1].lower(), path)
        elif re.fullmatch(layout.table, path.name, re.IGNORECASE):
            halves.tables.append(path)
    _require_both(root, layout, halves)
    return halves


def _require_both(root: Path, layout: Layout, halves: Halves) -> None:
    def has_parts(folder: Path) -> bool:
        return any(re.fullmatch(layout.part, path.name, re.IGNORECASE) for path in listed(folder)[0])

    if not halves.audio.files and not halves.texts.files:
        not_found(root, layout.corpus, layout.text_example, has_parts, halves.unreadable)
    for what, half in ((layout.audio_example, halves.audio), (layout.text_example, halves.texts)):
        if not half.files:
            above = [*filter(has_parts, root.resolve().parents)]
            example = f", such as {shown(above[-1])}" if above else ""  # the highest: others hold one part
            raise UsageError(
                f"{shown(root)} holds one half of {layout.corpus}: there is no {what} in it. Name a folder that holds "
                f"both speech and transcripts{example}; links to other folders are followed."
            )
