"""How long the recordings of a corpus are as they are decoded, and segments held against that."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from wavllm_cli.corpora import CUT, NO_AUDIO, OUTSIDE, UNREADABLE, Adjusted, Skipped
from wavllm_cli.data.audio import AudioInfo, audio_info
from wavllm_cli.data.files import shown
from wavllm_cli.errors import UsageError, WavLLMError

READERS = 8  # threads: reading headers is waiting for the disk
AHEAD = 64 * READERS  # recordings that are asked for before their turn
ROUNDING = 0.02  # seconds: less than this over the end is how times are written, not a fault

Item = TypeVar("Item")


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
    pool = ThreadPoolExecutor(READERS)
    waiting: deque[tuple[Item, Future[AudioInfo | Skipped]]] = deque()
    last: tuple[Path, Future[AudioInfo | Skipped]] | None = None
    try:
        for path, item in items:
            if isinstance(path, Skipped):
                waiting.append((item, _known(path)))
            else:
                if last is None or last[0] != path:
                    last = path, pool.submit(read, path)
                waiting.append((item, last[1]))
            if len(waiting) > AHEAD:
                first, future = waiting.popleft()
                yield first, future.result()
        for item, future in waiting:
            yield item, future.result()
    finally:
        pool.shutdown(cancel_futures=True)  # who stops early does not wait for what was asked for ahead


def _known(skipped: Skipped) -> Future[AudioInfo | Skipped]:
    future: Future[AudioInfo | Skipped] = Future()
    future.set_result(skipped)
    return future


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
