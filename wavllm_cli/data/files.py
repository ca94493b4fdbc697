"""Outputs to rely on: found wrong before the work, one writer at a time, complete under their name or absent.

Complete holds for a power cut too: content reaches the disk before the name does.
"""

import errno
import fcntl
import hashlib
import os
import platform
import re
import shutil
import stat
import time
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from zlib import crc32

from wavllm_cli.errors import UsageError, WavLLMError, disk_full

FULL = 1_000_000  # bytes free, at most, on a disk that is taken for full when a library only says that it failed
KINDS = {stat.S_IFDIR: "a folder", stat.S_IFIFO: "a named pipe", stat.S_IFSOCK: "a socket"}
LFS_POINTER = b"version https://git-lfs.github.com/spec/"
IS_LFS_POINTER = "is only a Git LFS pointer, not the file itself: run `git lfs pull` in its folder"


@contextmanager
def replacing(path: Path, durable: bool = True, private: bool = False) -> Iterator[Path]:
    """Give a hidden name beside `path` to write to, a file or a folder; on success it replaces `path` (a folder only an
    empty one), on failure nothing is left. A kill leaves the draft, which the next writer in the folder removes.

    A symbolic link is followed, and a file that is replaced keeps its mode; new ones get the umask's, whatever the
    library that wrote them thinks.

    Args:
        durable: bring the content to the disk first. One of many files goes without, and `os.sync()` before the file
            that names them all.
        private: only the owner may read it, and the folders that are made for it.

    Raises:
        WavLLMError: nothing can be written there.
    """
    target = Path(os.path.realpath(path))
    draft = _draft(target)
    try:
        _make_folder(target.parent, private)
        _sweep(target.parent)
        yield draft
        _set_modes(draft, target, private)
        if durable:
            _to_disk(draft)
        os.replace(draft, target)
        if durable:
            _sync(target.parent)
    except OSError as error:
        raise WavLLMError(f"{path} cannot be written: {_why(error, target)}.") from error
    except WavLLMError:
        raise
    except Exception as error:  # torch, safetensors and Arrow raise their own when the disk is full
        if _free(target) < FULL:
            raise WavLLMError(f"{path} cannot be written: {disk_full(_nearest_folder(target))}.") from error
        raise
    finally:
        _remove(draft)


def write_text(path: Path, text: str, private: bool = False) -> None:
    """Write a text file (UTF-8), complete or not at all.

    Raises:
        WavLLMError: nothing can be written there.
    """
    with replacing(path, private=private) as draft:
        draft.write_text(text, encoding="utf-8")


def append_text(path: Path, text: str) -> None:
    """Add lines to a text file (UTF-8) and bring them to the disk; on failure none of them stays.

    Raises:
        WavLLMError: nothing can be written there.
    """
    try:
        _make_folder(path.parent)
        with path.open("ab", buffering=0) as file:
            size = file.seek(0, os.SEEK_END)
            try:
                rest = memoryview(text.encode())
                while rest:
                    rest = rest[file.write(rest) :]
                os.fsync(file.fileno())
            except OSError:
                file.truncate(size)
                raise
    except OSError as error:
        raise WavLLMError(f"{path} cannot be written: {_why(error, path)}.") from error


# --- before the work ---


def require_output(path: Path, inputs: Iterable[Path] = (), suffixes: Collection[str] = ()) -> None:
    """Find out before the work that a file cannot be written under this name, or must not be.

    Args:
        inputs: what the work reads; none of them may be its output.
        suffixes: what the name must end in, where that matters.

    Raises:
        UsageError: says which of these it is.
    """
    try:
        with suppress(FileNotFoundError, NotADirectoryError):
            os.stat(path)  # unlike `Path.exists`, it says what is wrong with a name
        if str(path) == "." or path.is_dir():  # an empty option becomes "."
            raise UsageError(f"{shown(path)} is a folder: the output must be a file.")
        if suffixes and not path.name.endswith(tuple(suffixes)):
            raise UsageError(f"{shown(path)} cannot be the output: its name must end in {', '.join(suffixes)}.")
        if path.exists() and not path.is_file():
            raise UsageError(f"{shown(path)} cannot be the output: it is neither a file nor a free name.")
        _require_place(path, _nearest_folder(path))
        for source in inputs:
            if path.exists() and source.exists() and path.samefile(source):
                raise UsageError(f"{shown(path)} is an input: writing the output there would destroy it.")
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        raise UsageError(f"{shown(path)} cannot be the output: {getattr(error, 'strerror', None) or error}.") from error


def require_folder(path: Path) -> None:
    """Find out before the work that no folder can have this name, or that nothing can be written in it.

    Raises:
        UsageError: says why.
    """
    try:
        with suppress(FileNotFoundError, NotADirectoryError):
            os.stat(path)
        if path.exists() and not path.is_dir():
            raise UsageError(f"{shown(path)} cannot be the output: it is a file, not a folder.")
        _require_place(path, path if path.is_dir() else _nearest_folder(path))
    except (OSError, ValueError) as error:
        raise UsageError(f"{shown(path)} cannot be the output: {getattr(error, 'strerror', None) or error}.") from error


def _require_place(path: Path, folder: Path) -> None:
    if not folder.is_dir():
        raise UsageError(f"{shown(path)} cannot be the output: {folder} is a file, not a folder.")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise UsageError(f"{shown(path)} cannot be the output: {folder} may not be written to.")


def require_new(output: Path) -> None:
    """Make sure, before long work, that its output would not be mixed with what is there.

    What a killed run left of the same output, perhaps gigabytes, is removed.

    Raises:
        UsageError: there is such a file, or a folder with something in it.
    """
    if output.exists() and not (output.is_dir() and not any(output.iterdir())):
        raise UsageError(f"{output} exists already: delete it, or choose another --output.")
    if output.parent.is_dir():
        _sweep(output.parent)


def require_space(output: Path, needed: int) -> None:
    """Find out before the work rather than after most of it that the disk is too small for so many bytes."""
    free = _free(output)
    if needed > free:
        folder = _nearest_folder(output)
        raise WavLLMError(f"{output} needs {_amount(needed)}, but {_amount(free)} are free in {folder}.")


class BeingWritten(WavLLMError):
    """Another process writes this output."""


@contextmanager
def owned(path: Path) -> Iterator[None]:
    """Be the only process that writes this output, a file or a folder, for as long as the context lasts.

    The lock is the process's own: a killed process holds nothing, and neither do its forked children.

    Raises:
        BeingWritten: another process writes it; the message says which.
        WavLLMError: nothing can be written there.
    """
    lock = _hidden(Path(os.path.realpath(path)), "lock")
    try:
        _make_folder(lock.parent)
        file = _locked(lock)
    except BlockingIOError as error:
        raise BeingWritten(
            f"{path} is being written by {_holder(lock)}: wait until it has ended, or choose another output."
        ) from error
    except OSError as error:
        raise WavLLMError(f"{path} cannot be written: {_why(error, lock)}.") from error
    with file:
        file.write(f"process {os.getpid()} on {platform.node()} since {time.strftime('%Y-%m-%d %H:%M:%S')}")
        file.flush()
        try:
            yield
        finally:
            _remove(lock)


def _locked(lock: Path):
    """The lock file, opened and locked; opened again where its last holder removed it in between."""
    while True:
        file = lock.open("a+")
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.fstat(file.fileno()).st_ino == lock.stat().st_ino:
                file.truncate(0)
                return file
        except FileNotFoundError:
            pass
        except OSError as error:
            file.close()
            raise BlockingIOError(*error.args) if error.errno in (errno.EACCES, errno.EAGAIN) else error from error
        file.close()


def _holder(lock: Path) -> str:
    with suppress(OSError):
        return lock.read_text() or "another process"
    return "another process"


# --- what is there ---


def shown(path: Path | str) -> str:
    """A path as it can be printed: bytes that are no text are escaped, and a long one is cut."""
    name = os.fsencode(path).decode("utf-8", "backslashreplace")
    return name if len(name) <= 200 else f"{name[:200]}…"


def is_text(path: Path | str) -> bool:
    """Whether a path is UTF-8, so that JSON can hold it."""
    name = str(path)
    return name.isascii() or not any("\ud800" <= character <= "\udfff" for character in name)


def why_unreadable(path: Path) -> str | None:
    """What is wrong with the path of a file that is to be read, to stand behind its name; None if nothing is.

    It is not opened: that would wait for the other end of a pipe.
    """
    try:
        mode = os.stat(path).st_mode
    except PermissionError:
        return "may not be read: permission denied"
    except (FileNotFoundError, NotADirectoryError):
        return "is a link that leads nowhere" if path.is_symlink() else "does not exist"
    except ValueError:
        return "does not exist: its name has a NUL in it"
    except OSError as error:  # the name is too long, links lead in a circle
        return f"cannot be found: {error.strerror}"
    if not stat.S_ISREG(mode):
        return f"is {KINDS.get(stat.S_IFMT(mode), 'a device')}"
    return None if os.access(path, os.R_OK) else "may not be read: permission denied"


def is_readable(path: str) -> bool:
    """Whether nothing is wrong with the path of a file, found out for many of them; `why_unreadable` says what is."""
    try:
        return stat.S_ISREG(os.stat(path).st_mode) and os.access(path, os.R_OK)
    except (OSError, ValueError):
        return False


def digest(path: Path) -> str:
    """SHA-256 of a file's content, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def is_lfs_pointer(path: Path) -> bool:
    """Whether the file is only what Git LFS keeps in the place of a large one until `git lfs pull`."""
    with path.open("rb") as file:
        return file.read(len(LFS_POINTER)) == LFS_POINTER


# --- drafts ---

_swept: set[Path] = set()  # folders in which nothing of dead processes is left


def _hidden(path: Path, suffix: str) -> Path:
    """A hidden neighbour, short enough for any file system and different for each name."""
    return path.with_name(f".{path.name[:40]}-{crc32(os.fsencode(path.name)):08x}.{suffix}")


def _draft(path: Path) -> Path:
    """Its name says which process writes it, on which machine."""
    return _hidden(path, f"{platform.node()}.{os.getpid()}.draft")


def _sweep(folder: Path) -> None:
    """Remove the drafts that processes of this machine left in a folder when they were killed."""
    if folder in _swept:
        return
    pattern = re.compile(rf"\..*-[0-9a-f]{{8}}\.{re.escape(platform.node())}\.(\d+)\.draft")
    for entry in os.scandir(folder):
        draft = pattern.fullmatch(entry.name)
        if draft and not Path("/proc", draft[1]).exists():
            _remove(Path(entry.path))
    _swept.add(folder)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    with suppress(OSError):
        path.unlink()


# --- modes, disk and folders ---


def _make_folder(folder: Path, private: bool = False) -> None:
    missing = [parent for parent in (folder, *folder.parents) if not parent.exists()]
    for parent in reversed(missing):
        parent.mkdir(mode=0o700 if private else 0o777, exist_ok=True)


def _set_modes(draft: Path, target: Path, private: bool) -> None:
    if private:
        draft.chmod(0o600)
    elif target.is_file():
        draft.chmod(target.stat().st_mode & 0o777)
    else:
        give_umask_modes(draft)


def give_umask_modes(path: Path) -> None:
    """Let the umask decide who may read a file or all files of a folder (safetensors writes for the owner alone)."""
    mask = int(re.search(r"^Umask:\s*(\d+)", Path("/proc/self/status").read_text(), re.MULTILINE)[1], 8)  # type: ignore[index]
    for file in _files(path):
        file.chmod(0o666 & ~mask)


def _to_disk(path: Path) -> None:
    for file in _files(path):
        _sync(file)
    for folder in (path, *path.rglob("*/")) if path.is_dir() else ():
        _sync(folder)


def _files(path: Path) -> Iterator[Path]:
    yield from (file for file in path.rglob("*") if file.is_file()) if path.is_dir() else (path,)


def _sync(path: Path) -> None:
    """Bring a file's content, or a folder's names, to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _nearest_folder(path: Path) -> Path:
    """The nearest of the names above a path that exists."""
    return next(parent for parent in path.absolute().parents if parent.exists())


def _free(path: Path) -> int:
    return shutil.disk_usage(_nearest_folder(path)).free


def _amount(size: int) -> str:
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.1f} MB"


def _why(error: OSError, target: Path) -> str:
    full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    return disk_full(_nearest_folder(target)) if full else error.strerror or str(error)
