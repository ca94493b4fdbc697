"""libmpg123 writes oddities of an MP3, good ones too, to the C library's stderr: past Python and past `--quiet`."""

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from threading import Lock

_lock = Lock()
_inside = 0  # threads
_real = None


@contextmanager
def c_stderr_silenced() -> Iterator[None]:
    """Let C code write to nowhere; Python's own stderr and the file descriptor stay as they are, in every thread.

    Without glibc nothing happens.
    """
    global _inside, _real
    stream, nowhere = _streams()
    if stream is None:
        yield
        return
    with _lock:
        _inside += 1
        if _inside == 1:
            _real, stream.value = stream.value, nowhere
    try:
        yield
    finally:
        with _lock:
            _inside -= 1
            if not _inside:
                stream.value = _real


@cache
def _streams() -> tuple[ctypes.c_void_p | None, int | None]:
    """The C library's variable `stderr`, and a stream to put there."""
    try:
        library = ctypes.CDLL(None)
        stream = ctypes.c_void_p.in_dll(library, "stderr")
        library.fopen.restype = ctypes.c_void_p
        nowhere = library.fopen(b"/dev/null", b"w")
    except (OSError, ValueError, AttributeError, TypeError):
        return None, None
    return (stream, nowhere) if stream.value and nowhere else (None, None)
