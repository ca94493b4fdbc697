"""What lies in a corpus's folders."""

import os
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import NoReturn
from unicodedata import normalize

from wavllm_cli.corpora import UNREADABLE, Skipped
from wavllm_cli.data.files import digest, is_text, shown, why_unreadable
from wavllm_cli.errors import UsageError, WavLLMError

DEEP = 5  # levels of folders below ROOT among which a corpus is looked for
ARCHIVES = (".tar", ".tar.gz", ".tgz", ".zip")


def require_folder(root: Path) -> None:
    """Find out before the work that nothing can be read.

    Raises:
        UsageError: there is no such folder.
        WavLLMError: it may not be opened.
    """
    problem = why_unreadable(root)
    if problem and problem.startswith("may not"):
        raise WavLLMError(f"{shown(root)} {problem}.")
    if problem is None:
        packed = root.name.lower().endswith(ARCHIVES)
        cure = "unpack it and name the folder" if packed else "name the folder that the corpus lies in"
        raise UsageError(f"{shown(root)} is a file: {cure}.")
    if problem != "is a folder":
        raise UsageError(f"There is no folder {shown(root)}.")


def holding(root: Path, test: Callable[[Path], bool], past: Collection[str] = ()) -> tuple[list[Path], list[Skipped]]:
    """The folders that a test recognises, ROOT or up to `DEEP` below it, and folders that cannot be read.

    What lies in a folder that is recognised is not looked through. Links are followed, those in a circle once.

    Args:
        root: the folder ROOT.
        test: recognises a folder.
        past: names of folders that are full of audio, which are not looked into.

    Raises:
        UsageError: ROOT is no folder, or the path of a folder that is recognised is not UTF-8.
        WavLLMError: ROOT may not be opened.
    """
    require_folder(root)
    found: list[Path] = []
    skipped: list[Skipped] = []
    level, seen = [root.resolve()], set()
    for _ in range(DEEP + 1):
        below: list[Path] = []
        for folder in level:
            if (real := os.path.realpath(folder)) in seen:
                continue
            seen.add(real)
            if test(folder):
                found.append(folder)
                continue
            paths, unreadable = listed(folder)
            skipped += unreadable
            below += (path for path in paths if path.name not in past and path.is_dir())
        level = below
    if odd := next((folder for folder in found if not is_text(folder)), None):
        raise UsageError(f"The path {shown(odd)} is not UTF-8, which a manifest is: rename it.")
    return found, skipped


def not_found(
    root: Path, corpus: str, layout: str, test: Callable[[Path], bool], skipped: Sequence[Skipped]
) -> NoReturn:
    """Say that ROOT is not what it should be, and what is, where that can be seen.

    Args:
        root: the folder.
        corpus: its name for people.
        layout: what was looked for.
        test: recognises a folder of the corpus, see `holding`.
        skipped: folders that could not be read.

    Raises:
        UsageError: always, unless …
        WavLLMError: … it may be there, in a folder that cannot be read.
    """
    for one in skipped:
        raise WavLLMError(f"Nothing of {shown(root)} can be read: {one.item} {one.detail}.")
    says = f"{shown(root)} is not {corpus}: there is no {layout} in it"
    parents = [folder for folder in root.resolve().parents[:2] if folder.parent != folder]
    if above := next(filter(test, parents), None):
        raise UsageError(f"{says}. Name {shown(above)} instead.")
    packed = [path for path in listed(root)[0] if path.name.lower().endswith(ARCHIVES)]
    if packed:
        raise UsageError(f"{says}, but {packed[0].name}: unpack it.")
    raise UsageError(f"{says}.")


def one_of_copies(files: Sequence[Path], what: str) -> Path:
    """The first of files that hold the same, as unpacking twice leaves them.

    Args:
        files: at least one.
        what: they are, for people.

    Raises:
        UsageError: they differ.
    """
    first, *others = files
    for other in others:
        if digest(first) != digest(other):
            raise UsageError(f"{what} is there twice, and not the same: name {first.parent} or {other.parent}.")
    return first


def named(folder: Path, name: str) -> Path:
    """A file by its owner's name, whichever way the letters of its name are composed on this disk."""
    path = folder / name
    if name.isascii() or path.exists():
        return path
    return folder / _names(folder).get(normalize("NFC", name), name)


@lru_cache(maxsize=8)
def _names(folder: Path) -> dict[str, str]:
    """The names in a folder that are not ASCII, by their composed form."""
    return {normalize("NFC", path.name): path.name for path in listed(folder)[0] if not path.name.isascii()}


def listed(folder: Path) -> tuple[list[Path], list[Skipped]]:
    """What is in a folder, sorted, without hidden files (macOS leaves `._` ones); or why it cannot be read."""
    try:
        return sorted(folder / name for name in os.listdir(folder) if not name.startswith(".")), []
    except OSError as error:
        return [], [Skipped(shown(folder), UNREADABLE, f"may not be read: {(error.strerror or str(error)).lower()}")]


def walk(root: Path, suffixes: Iterable[str] | None = None) -> Iterator[Path | Skipped]:
    """All files below a folder, a folder after the other, in one order everywhere; folders that cannot be read too.

    Links to folders are followed, those in a circle once.

    Args:
        root: the folder.
        suffixes: in lower case, such as `.wav`; None for every file.
    """
    wanted = None if suffixes is None else tuple(suffixes)
    yield from _walk(root, wanted, {os.path.realpath(root)})


def _walk(folder: Path, suffixes: tuple[str, ...] | None, above: set[str]) -> Iterator[Path | Skipped]:
    paths, unreadable = listed(folder)
    yield from unreadable
    for path in paths:
        if not path.is_dir():
            if suffixes is None or path.name.lower().endswith(suffixes):
                yield path
            continue
        real = os.path.realpath(path)
        if real not in above:
            yield from _walk(path, suffixes, above | {real})


def audio_name(path: Path, out: Path) -> str:
    """What a row of a manifest in the folder `out` calls a file: relative where it lies below it, else absolute.

    Raises:
        UsageError: a manifest, which is UTF-8, cannot say that.
    """
    return audio_below(path, _resolved(out))


def audio_below(path: Path, resolved: Path) -> str:
    """As `audio_name`, for one of many files: `out` is resolved once."""
    name = str(path.absolute()).removeprefix(f"{resolved}{os.sep}")
    if not is_text(name):
        raise UsageError(f"The path {shown(name)} is not UTF-8, which a manifest is: rename it.")
    return name


@lru_cache(16)
def _resolved(folder: Path) -> Path:
    return folder.resolve()
