"""Where the audio of a manifest lies. What is missing is looked for elsewhere only by a rule that holds for all rows,
and never in a file that two of them would share.
"""

import os
import unicodedata
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Located:
    """Paths by the names in the manifest.

    Attributes:
        paths: a path for each name, also where nothing lies there.
        moved: the names that are read without their first `dropped` folders.
        ambiguous: names that are not, because files would be read for several of them.
    """

    paths: dict[str, Path]
    moved: list[str] = field(default_factory=list)
    ambiguous: list[str] = field(default_factory=list)
    dropped: int = 0


def locate(names: Iterable[str], root: Path) -> Located:
    """Find the files of all rows together.

    Names that lead nowhere are tried in the other form of Unicode (NFC, NFD), then without their leading folders: as
    many for all of them as finds the most, and only if each file is then read for one name.

    Args:
        names: relative to `root`, or absolute.
    """
    found = {name: _in_any_form(root / name) for name in dict.fromkeys(names)}
    paths = {name: path or root / name for name, path in found.items()}
    missing = {name: Path(name).parts for name, path in found.items() if path is None}
    hits: dict[str, Path] = {}
    dropped = 0
    for count in range(1, max(map(len, missing.values()), default=0)):
        tails = {name: root.joinpath(*parts[count:]) for name, parts in missing.items() if len(parts) > count}
        here = {name: path for name, tail in tails.items() if (path := _in_any_form(tail)) and path.is_file()}
        if len(here) > len(hits):
            hits, dropped = here, count
    if not hits:
        return Located(paths)
    readers = Counter([*hits.values(), *(path for path in found.values() if path)])
    if any(readers[path] > 1 for path in hits.values()):
        return Located(paths, ambiguous=list(hits), dropped=dropped)
    return Located(paths | hits, moved=list(hits), dropped=dropped)


def _in_any_form(path: Path) -> Path | None:
    """The path as the file system spells it, None if nothing is there.

    What may not be looked at is there: whoever reads it is told why it cannot be read.
    """
    if _is_there(path):
        return path
    if str(path).isascii():
        return None
    found = Path(path.anchor)
    for part in path.relative_to(path.anchor).parts:
        forms = (part, *(unicodedata.normalize(form, part) for form in ("NFC", "NFD")))
        known = next((found / form for form in forms if _is_there(found / form)), None)
        if known is None:
            return None
        found = known
    return found


def _is_there(path: Path) -> bool:
    try:
        os.lstat(path)
    except (FileNotFoundError, NotADirectoryError, ValueError):  # ValueError: a NUL in the name
        return False
    except OSError:
        pass
    return True
