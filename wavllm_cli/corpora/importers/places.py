"""Where the audio of a table lies: beside it, where it says, or where the folders of its paths have moved to."""

from collections.abc import Iterable
from pathlib import Path, PureWindowsPath
from unicodedata import normalize
from urllib.parse import unquote, urlsplit

from wavllm_cli import console
from wavllm_cli.corpora import Skipped
from wavllm_cli.corpora.folders import walk
from wavllm_cli.data.audio import SUFFIXES
from wavllm_cli.data.files import shown
from wavllm_cli.data.locate import locate

TRIED = 50  # names that tell where all of them start
LEVELS = 5  # folders above


def found(names: Iterable[str], root: Path, below: Path | None = None) -> dict[str, Path]:
    """A path for each name, also where nothing lies there.

    A name that leads nowhere is looked for without its first folders, as manifests do, and then by its last part alone
    in all folders below, with and without a suffix; it is taken where there is just one such file and no other name
    means it. One warning says so.

    Args:
        names: paths, relative to `root` or absolute, also with `\\` or as `file://…`.
        root: the folder.
        below: where what is missing is looked for by its last part; None: in `root`.
    """
    root = root.absolute()
    as_written = {name: cleaned(name) for name in dict.fromkeys(names)}
    located = locate(as_written.values(), root)
    paths = {name: located.path(clean) for name, clean in as_written.items()}
    missing = [name for name, path in paths.items() if not path.is_file()]
    if missing:
        paths |= _by_last_part({name: as_written[name] for name in missing}, below or root, set(paths.values()))
    elsewhere = [name for name, path in paths.items() if path != root / as_written[name]]
    if elsewhere:
        first = f"{shown(elsewhere[0])} is read from {shown(paths[elsewhere[0]])}"
        console.warn(f"The audio of {len(elsewhere)} of {len(paths)} names is not where they say: {first}.")
    return paths


def _by_last_part(missing: dict[str, str], root: Path, taken: set[Path]) -> dict[str, Path]:
    there: dict[str, set[Path]] = {}
    for path in walk(root, SUFFIXES):
        if not isinstance(path, Skipped):
            for name in (path.name, path.stem):
                there.setdefault(normalize("NFC", name), set()).add(path)
    wanted: dict[Path, list[str]] = {}
    for name, clean in missing.items():
        candidates = there.get(normalize("NFC", Path(clean).name), set())
        if len(candidates) == 1:
            wanted.setdefault(next(iter(candidates)), []).append(name)
    return {names[0]: path for path, names in wanted.items() if len(names) == 1 and path not in taken}


def is_address(name: str) -> bool:
    return "://" in name and not name.startswith("file:")


def cleaned(name: str) -> str:
    """A path as this system writes it."""
    if name.startswith("file:"):
        name = unquote(urlsplit(name).path)
    return PureWindowsPath(name).as_posix() if "\\" in name and "/" not in name else name


def base(names: Iterable[str], folder: Path) -> Path:
    """The folder in which relative names start that were written by a program which ran somewhere above or here.

    Args:
        names: some of which may be absolute.
        folder: in which they are written.
    """
    relative = [name for name in dict.fromkeys(names) if not Path(name).is_absolute()][:TRIED]
    above = [folder.resolve(), *list(folder.resolve().parents)[:LEVELS], Path.cwd()]
    return max(above, key=lambda one: sum((one / name).is_file() for name in relative))
