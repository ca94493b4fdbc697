"""Where the audio of rows lies, and what rows call it in another manifest."""

import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from wavllm_cli import console
from wavllm_cli.data.files import is_readable, shown
from wavllm_cli.data.lazy import Lazy
from wavllm_cli.data.locate import Located, locate
from wavllm_cli.data.schema import Row, Utterance
from wavllm_cli.data.shards import address_of, split_place, why_unheard

_moved: set[Path] = set()  # manifests whose paths have been warned about


class AudioFiles:
    """Where the audio of a manifest's rows lies.

    Whether there are such files shows when they are read. Paths that lead nowhere are tried again without their leading
    folders (`SpeechT5/…/audio/asr.flac` is found as `audio/asr.flac` or `asr.flac`), as many for all rows and never so
    that two of them share a file; one warning a manifest says so.

    Args:
        rows: of a manifest, all of them: what a path may mean depends on the others.
        manifest: the file the rows come from.
        root: where relative paths start, if not at the manifest's folder.
        files: what each row calls its files, where that is known without the rows.
    """

    def __init__(
        self,
        rows: Iterable[Utterance],
        manifest: str | Path,
        root: str | Path | None = None,
        files: Iterable[Sequence[str]] | None = None,
    ):
        manifest = Path(manifest)
        files = files or _Files(rows)
        self._located = locate(_Names(files), manifest.parent if root is None else Path(root))
        elsewhere = self._located.moved or self._located.ambiguous
        if elsewhere and manifest not in _moved:
            _moved.add(manifest)
            about = [any(split_place(name)[0] in elsewhere for name in names) for names in files if names]
            console.warn(f"{shown(manifest)}: {_moved_sentence(self._located, sum(about), len(about))}")

    def paths(self, row: Utterance) -> tuple[Path, ...]:
        """A path for each piece of one of the rows, none for text."""
        return tuple(Path(f"{self._located.path(name)}{place}") for name, place in map(split_place, row.files))

    def is_sound(self, file: str) -> bool:
        """Whether what one of the rows calls a file can be opened; if not, `shards.why_unheard` tells why."""
        name, place = split_place(file)
        if name in self._located.moved or place or not name.isascii() or address_of(name):
            return not why_unheard(Path(f"{self._located.path(name)}{place}"))
        return is_readable(os.path.join(self._located.root, name))


class _Files:
    """What each row calls its files, as often as somebody asks."""

    def __init__(self, rows: Iterable[Utterance]):
        self._rows = rows

    def __iter__(self) -> Iterator[tuple[str, ...]]:
        return (row.files for row in self._rows)


class _Names:
    """The files on the disk that rows are about, as often as somebody asks."""

    def __init__(self, files: Iterable[Sequence[str]]):
        self._files = files

    def __iter__(self) -> Iterator[str]:
        return (split_place(name)[0] for names in self._files for name in names)


def audio_paths(
    rows: Sequence[Utterance], manifest: str | Path, audio_root: str | Path | None = None
) -> list[tuple[Path, ...]]:
    """`AudioFiles.paths` of each row."""
    audio = AudioFiles(rows, manifest, audio_root)
    return [audio.paths(row) for row in rows]


def _moved_sentence(located: Located, count: int, total: int) -> str:
    folders = "folder" if located.dropped == 1 else f"{located.dropped} folders"
    if located.moved:
        name = next(iter(located.moved))
        return (
            f"the audio of {count} of {total} rows has moved, it is read without the first {folders} of its path "
            f"({shown(name)} from {shown(located.path(name))})."
        )
    return (
        f"the audio of {count} of {total} rows is missing; without the first {folders} of their paths several rows "
        f"would share a file, so none is read elsewhere (the first: {shown(next(iter(located.ambiguous)))})."
    )


def resolve_audio(row: Utterance, manifest: str | Path, audio_root: str | Path | None = None) -> Path:
    """As `audio_paths`, for a row that stands alone and whose audio is one file."""
    ((path,),) = audio_paths([row], manifest, audio_root)
    return path


def relocated(rows: Sequence[Row], manifest: Path, target: Path) -> Sequence[Row]:
    """The rows of a manifest as they must stand in another, where relative audio paths start from its folder.

    Each is made when it is asked for.
    """
    return rows if manifest.parent == target.parent else _Relocated(rows, manifest, target)


class _Relocated(Lazy[Row]):
    def __init__(self, rows: Sequence[Row], manifest: Path, target: Path):
        self._rows, self._audio, self._target = rows, AudioFiles(rows, manifest), target

    def __len__(self) -> int:
        return len(self._rows)

    def _made(self, index: int) -> Row:
        row = self._rows[index]
        return beside(row, self._audio.paths(row), self._target)


def beside(row: Row, paths: Sequence[Path], target: Path) -> Row:
    """A row whose pieces of audio lie at `paths`, as it must stand in the manifest `target`."""
    if all(target.parent / piece.audio == path for piece, path in zip(row.pieces, paths, strict=True)):
        return row
    return with_audio(row, [relative_audio(path, target) for path in paths])


def with_audio(row: Row, names: Sequence[str]) -> Row:
    """A row whose pieces of audio are called otherwise."""
    if row.audio is None or isinstance(row.audio, str):
        return row.model_copy(update={"audio": names[0]}) if row.audio else row
    moved = [piece.model_copy(update={"audio": name}) for piece, name in zip(row.pieces, names, strict=True)]
    return row.model_copy(update={"audio": tuple(moved)})


def relative_audio(path: Path, manifest: Path) -> str:
    """What a row of a manifest calls a file; where folders are links, `..` leads out of what they stand for."""
    if address := address_of(path):
        return address
    real = os.path.join(os.path.realpath(path.parent), path.name)
    return os.path.relpath(real, os.path.realpath(manifest.parent))
