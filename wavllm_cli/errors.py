"""The errors a user can meet. Only `cli` turns them into a line on stderr and an exit code.

A message is one sentence (or one per problem): what is wrong, where (file, line, id), what was expected, what to do.
"""

import errno
import os
import shutil
from collections.abc import Iterable, Sequence

# What libraries advise to set where they refuse to run code out of a file.
PROTECTIONS = ("trust_remote_code", "weights_only", "allow_pickle", "allow_all_kernels")


def reason(error: BaseException) -> str:
    """A library's error in one line, to be the end of a sentence of ours; never its advice to do without protection."""
    if any(name in str(error) for name in PROTECTIONS):
        return "it is damaged, or holds something that can run code, which is refused"
    if isinstance(error, KeyError) and error.args:  # whose text is nothing but the key
        return f"{shortened(repr(error.args[0]))} is missing or unknown"
    if isinstance(error, IndexError):
        return f"something in it is missing ({error})"
    first, *rest = (str(error).strip() or type(error).__name__).splitlines()
    return f"{first} {rest[0].strip()}" if first.endswith(":") and rest else first


def shortened(value: object, most: int = 80) -> str:
    """What a file or a user calls something, short enough for a message."""
    text = str(value)
    return text if len(text) <= most else f"{text[:most]}… ({len(text):,} characters)"


def listed(names: Sequence[str], most: int) -> str:
    """The first of many names, and how many more there are."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def counted(count: int, what: str) -> str:
    """`1 clip`, `1,000 clips`."""
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def nearest(name: str, known: Iterable[str], likeness: float = 0.6) -> str | None:
    """Which of the known names a misspelt one means, if any is like it (0: the nearest in any case)."""
    from difflib import get_close_matches

    return next(iter(get_close_matches(name[:80], list(known), n=1, cutoff=likeness)), None)


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """An aside, to stand behind an unknown name; nothing where no known one is like it."""
    meant = nearest(name, known, 0.5)
    return f" (did you mean {meant}?)" if meant else ""


class WavLLMError(Exception):
    """The work failed although it was asked for correctly (a corrupt file, a full disk).

    Args:
        problems: a sentence for each; a user meets each of them on a line of its own.
    """

    exit_code = 1

    def __init__(self, *problems: str):
        super().__init__(*problems)

    def __str__(self) -> str:
        return "\n".join(self.args)


class UsageError(WavLLMError):
    """The request itself is wrong: an unknown key, a missing file, a stage that does not exist."""

    exit_code = 2


class RecipeError(UsageError):
    """A recipe does not describe an experiment; the message lists every problem found."""


class ManifestError(UsageError):
    """A manifest or another file of rows or lines cannot be read; the message names file and line."""


class AudioError(WavLLMError):
    """One clip cannot be used. Batch jobs catch this, skip the clip and count it."""


# --- what nobody foresaw ---

SYSTEM_ERRORS = {
    errno.EACCES: "permission denied: change its mode or owner, or use another path",
    errno.EPERM: "the system does not allow it",
    errno.EROFS: "it lies on a file system that is read-only",
    errno.ENOENT: "there is no such file or folder",
    errno.ENOTDIR: "one of the folders on its path is a file",
    errno.EISDIR: "it is a folder, and a file was expected",
    errno.ENAMETOOLONG: "its name is longer than the system allows",
    errno.ELOOP: "its symbolic links lead in a circle",
    errno.EMFILE: "too many files are open: raise the limit (ulimit -n)",
    errno.EIO: "the device cannot be read or written (input/output error)",
}


def explained(error: BaseException) -> str:
    """An error that no module foresaw, as a sentence."""
    if isinstance(error, OSError) and error.errno:
        return _of_the_system(error)
    if isinstance(error, MemoryError):
        return f"There is not enough memory{f' ({reason(error)})' if str(error) else ''}: ask for less at once."
    if isinstance(error, RecursionError):
        return "Something that was read is nested too deeply (run again with --debug to see what)."
    if isinstance(error, UnicodeEncodeError):
        return f"Text that is not UTF-8 cannot be written: {shortened(error.object)!r}."
    if isinstance(error, UnicodeDecodeError):
        return f"Something that was read is not UTF-8, from its byte {error.start + 1} on (run again with --debug)."
    name = type(error).__name__
    said = f": {reason(error)}" if str(error).strip() else ""
    return f"unexpected {name}{said} (run again with --debug for details)."


def _of_the_system(error: OSError) -> str:
    try:
        os.getcwd()
    except OSError:
        return "The working directory does not exist any more: change into another folder."
    path = os.fsdecode(error.filename) if isinstance(error.filename, str | bytes) else None
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        if path is None:
            return "Standard output or a file cannot be written to the end: no space is left there."
        return f"{shortened(path, 200)} cannot be written: {disk_full(os.path.dirname(os.path.abspath(path)))}."
    said = SYSTEM_ERRORS.get(error.errno or 0) or error.strerror or str(error)
    return f"{shortened(path, 200)}: {said}." if path else f"{said[:1].upper()}{said[1:]} (run again with --debug)."


def disk_full(folder: str | os.PathLike[str]) -> str:
    """What is wrong with a disk on which nothing more can be written, to be the end of a sentence."""
    try:
        free = f"{shutil.disk_usage(folder).free / 1e6:.1f} MB are free"
    except OSError:
        free = "how much is free cannot be told"
    return f"the disk is full, {free} in {folder}"
