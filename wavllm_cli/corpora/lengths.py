"""How long the recordings of a corpus are as they are decoded, and segments held against that."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from wavllm_cli.corpora import CUT, NO_AUDIO, OUTSIDE, UNREADABLE, Adjusted, Skipped
from wavllm_cli.data.audio import AudioInfo, audio_info
from wavllm_cli.data.files import shown
from wavllm_cli.data.parallel import in_order
from wavllm_cli.errors import UsageError, WavLLMError

READERS = 8  # threads: reading headers is waiting for the disk
MOST, LONGEST = 32, 256  # files of a batch; items of one that are all about a file
ROUNDING = 0.02  # seconds: less than this over the end is how times are written, not a fault

Item = TypeVar("Item")
Batch = list[tuple[Path | Skipped, Any]]

_readers = ContextVar("readers", default=READERS)


@contextmanager
def readers(threads: int | None) -> Iterator[None]:
    """Let so many threads read; None leaves their number as it is."""
    token = _readers.set(threads or _readers.get())
    try:
        yield
    finally:
        _readers.reset(token)


def measure(path: Path) -> AudioInfo | Skipped:
    """What a file holds, or why it cannot be used."""
    try:
        return audio_info(path)
    except UsageError as error:
        return Skipped(shown(path), NO_AUDIO, str(error).rstrip("."))
    except WavLLMError as error:
        return Skipped(shown(path), UNREADABLE, str(error).rstrip("."))


def measured(
    items: Iterable[tuple[Path | Skipped, Item]], read: Callable[[Path], AudioInfo | Skipped] = measure
) -> Iterator[tuple[Item, AudioInfo | Skipped]]:
    """Each item with what its file holds, or why it cannot be used; in their order, many files read at a time.

    Args:
        items: a file, or why there is none to be read; and whatever belongs to it. A file that comes several times in a
            row is read once.
        read: called in several threads.
    """
    for batch, found in in_order(partial(_read, read), _batches(items), _readers.get()):
        for (_, item), info in zip(batch, found, strict=True):
            yield item, info


def _batches(items: Iterable[tuple[Path | Skipped, Item]]) -> Iterator[Batch]:
    """What a thread is given at a time: one file while there may be few, more when there are many."""
    batch: Batch = []
    for count, (path, item) in enumerate(items):
        size = min(MOST, 1 + count // 256)
        if len(batch) >= size and (path != batch[-1][0] or len(batch) == LONGEST):
            yield batch
            batch = []
        batch.append((path, item))
    if batch:
        yield batch


def _read(read: Callable[[Path], AudioInfo | Skipped], batch: Batch) -> list[AudioInfo | Skipped]:
    found: list[AudioInfo | Skipped] = []
    last: Path | None = None
    for path, _ in batch:
        if isinstance(path, Skipped):
            found.append(path)
        else:
            found.append(found[-1] if path == last else read(path))
        last = None if isinstance(path, Skipped) else path
    return found


@dataclass(frozen=True)
class Segment:
    """A stretch of a file that is there: seconds, and what had to be changed of it."""

    start: float
    duration: float
    adjusted: Adjusted | None = None


def segment(item: str, start: float, end: float, length: float) -> Segment | Skipped:
    """A stretch of a file as a corpus lists it, held against the file.

    Args:
        item: the segment by its owner's name.
        start: seconds.
        end: seconds.
        length: of the file, seconds as decoded.

    Returns:
        the segment, cut where it runs over the end; `Skipped` where nothing of it is there.
    """
    if start < 0 or end <= start:
        return Skipped(item, OUTSIDE, f"goes from {start:g} to {end:g} s")
    if start >= length:
        return Skipped(item, OUTSIDE, f"starts at {start:g} s, the file ends at {length:.3f} s")
    over = end - length
    if over <= 0:
        return Segment(start, round(end - start, 6))
    kept = round(length - start, 6)
    if over <= ROUNDING:
        return Segment(start, kept)
    return Segment(start, kept, Adjusted(item, CUT, f"runs {over:.3f} s over the end of the file: cut there"))
