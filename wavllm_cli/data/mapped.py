"""A whole file looked through, once as long as it stays the same: a manifest of segments asks for a few many times."""

import mmap
import os
from collections.abc import Callable
from functools import lru_cache
from io import BytesIO
from typing import Any, BinaryIO, TypeVar

T = TypeVar("T")
Content = mmap.mmap | bytes


def scanned(file: BinaryIO, walk: Callable[..., T], *arguments: Any) -> T:
    """What `walk(content, *arguments)` finds in an open file or a BytesIO."""
    if isinstance(file, BytesIO):
        return walk(file.getvalue(), *arguments)
    about = os.fstat(file.fileno())
    identity = (about.st_dev, about.st_ino, about.st_size, about.st_mtime_ns)
    return _scanned(walk, arguments, os.fsencode(file.name), identity)


@lru_cache(maxsize=256)
def _scanned(walk: Callable[..., T], arguments: tuple[Any, ...], path: bytes, identity: tuple[int, ...]) -> T:
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        return walk(content, *arguments)
