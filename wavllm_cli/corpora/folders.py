"""What lies in a corpus's folders."""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from wavllm_cli.corpora import UNREADABLE, Skipped
from wavllm_cli.data.files import shown, why_unreadable
from wavllm_cli.errors import UsageError, WavLLMError


def require_folder(root: Path) -> None:
    """Find out before the work that nothing can be read.

    Raises:
        UsageError: there is no such folder.
        WavLLMError: it may not be opened.
    """
    problem = why_unreadable(root)
    if problem and problem.startswith("may not"):
        raise WavLLMError(f"{shown(root)} {problem}.")
    if problem != "is a folder":
        raise UsageError(f"There is no folder {shown(root)}.")


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
    """What a row of a manifest in the folder `out` calls a file: relative where it lies below it, else absolute."""
    path, out = path.absolute(), out.resolve()
    return str(path.relative_to(out) if path.is_relative_to(out) else path)
