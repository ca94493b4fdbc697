"""What is written appears under its name when it is complete, or not at all."""

import glob
import os
import platform
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from wavllm_cli.errors import UsageError, WavLLMError


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a name beside `path` to write to, a file or a folder; on success it replaces `path` (a folder only an empty
    one), on failure nothing is left.

    Raises:
        WavLLMError: nothing can be written there.
    """
    draft = _draft(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield draft
        os.replace(draft, path)
    except OSError as error:
        raise WavLLMError(f"{path} cannot be written: {error.strerror or error}.") from error
    finally:
        _remove(draft)


def write_text(path: Path, text: str) -> None:
    """Write a text file (UTF-8), complete or not at all.

    Raises:
        WavLLMError: nothing can be written there.
    """
    with replacing(path) as draft:
        draft.write_text(text, encoding="utf-8")


def require_new(output: Path) -> None:
    """Make sure, before long work, that its output would not be mixed with what is there.

    What a killed run left of the same output, perhaps gigabytes, is removed.

    Raises:
        UsageError: there is such a file, or a folder with something in it.
    """
    if output.exists() and not (output.is_dir() and not any(output.iterdir())):
        raise UsageError(f"{output} exists already: delete it, or choose another --output.")
    for left in output.parent.glob(f"{glob.escape(_draft(output).stem)}.*"):
        if not Path("/proc", left.suffix[1:]).exists():
            _remove(left)


def require_space(output: Path, needed: int) -> None:
    """Find out before the work rather than after most of it that the disk is too small for so many bytes."""
    folder = next(parent for parent in output.absolute().parents if parent.exists())
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise WavLLMError(f"{output} needs {needed / 1e9:.1f} GB, but {free / 1e9:.1f} GB are free in {folder}.")


def _draft(path: Path) -> Path:
    """Its last part is the process that writes it, on this machine."""
    return path.with_name(f".{path.name}.{platform.node()}.{os.getpid()}")


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    with suppress(OSError):
        path.unlink()
