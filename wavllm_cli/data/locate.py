"""Where the audio of a manifest lies. What is missing is looked for elsewhere only by a rule that holds for all rows,
and never in a file that two of them would share.
"""

import os
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from wavllm_cli.data.shards import address_of


@dataclass(frozen=True)
class Located:
    """Which file each name in a manifest leads to.

    Attributes:
        root: where names start.
        moved: the names that are read without their first `dropped` folders, in their order; values mean nothing.
        ambiguous: names that are not, because files would be read for several of them.
    """

    root: Path
    moved: dict[str, None] = field(default_factory=dict)
    ambiguous: dict[str, None] = field(default_factory=dict)
    dropped: int = 0

    def path(self, name: str) -> Path:
        """The path for one of the names, also where nothing lies there; an address stays one."""
        if address_of(name):
            return Path(name)
        asked = _tail(self.root, name, self.dropped) if name in self.moved else self.root / name
        return asked if str(asked).isascii() else _in_any_form(asked) or asked


def locate(names: Iterable[str], root: Path) -> Located:
    """Find the files of all rows together.

    Names that lead nowhere are tried in the other form of Unicode (NFC, NFD), then without their leading folders: as
    many for all of them as finds the most, and only if each file is then read for one name.

    Args:
        names: relative to `root`, or absolute; they are gone through once more where some have moved.
    """
    leads_somewhere = lru_cache(1024)(_leads_somewhere)  # the segments of a file stand together
    missing = dict.fromkeys(
        name for name in names if not address_of(name) and not leads_somewhere(os.path.join(root, name))
    )
    hits: dict[str, str] = {}
    dropped = 0
    for count in range(1, max((len(Path(name).parts) for name in missing), default=0)):
        here = {name: path for name in missing if (path := _file(_tail(root, name, count)))}
        if len(here) > len(hits):
            hits, dropped = here, count
    if not hits:
        return Located(root)
    files = set(hits.values())
    others = (str(_in_any_form(root / name)) for name in names if name not in missing and not address_of(name))
    if len(files) < len(hits) or any(path in files for path in others):
        return Located(root, ambiguous=dict.fromkeys(hits), dropped=dropped)
    return Located(root, moved=dict.fromkeys(hits), dropped=dropped)


def _tail(root: Path, name: str, dropped: int) -> Path:
    return root.joinpath(*Path(name).parts[dropped:])


def _file(path: Path) -> str | None:
    """A file's path as the file system spells it."""
    found = _in_any_form(path)
    return str(found) if found and found.is_file() else None


def _leads_somewhere(path: str) -> bool:
    return _is_there(path) or _in_any_form(Path(path)) is not None


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


def _is_there(path: str | Path) -> bool:
    try:
        os.lstat(path)
    except (FileNotFoundError, NotADirectoryError, ValueError):  # ValueError: a NUL in the name
        return False
    except OSError:
        pass
    return True
