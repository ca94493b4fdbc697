"""What the command's process owes to whoever started it: sound streams, an orderly end on SIGTERM."""

import _thread
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Timer
from typing import NoReturn

AGAIN = 0.02  # seconds after which a Ctrl-C that was dropped arrives again


def prepare_streams() -> None:
    """Make standard output and error take every text, and keep the places of those that are closed taken.

    Otherwise the number of a closed stream goes to the next file that is opened, and into that a library that writes
    to standard error would write.
    """
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass
    os.close(descriptor)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def sleep_while_waiting() -> None:
    """Let threads that compute together sleep while they wait for each other, unless the user has said otherwise.

    By default they turn in circles. The steps of a decoder are so short that they wait for most of the time: where
    others compute too, that takes several times as long. OpenMP reads this once, when torch is imported.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


def flush_streams() -> bool:
    """Write what is left; False where standard output does not take it. Python itself would complain at its exit."""
    complete = True
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None:
                stream.flush()
        except (OSError, ValueError):
            complete = complete and stream is not sys.stdout
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    return complete


@contextmanager
def interrupts_kept() -> Iterator[None]:
    """Let Ctrl-C arrive again where Python had to drop it: in a callback from C code, in a finaliser.

    Otherwise the command goes on to its end after a traceback.
    """
    before = sys.unraisablehook

    def hook(dropped: "sys.UnraisableHookArgs") -> None:
        if issubclass(dropped.exc_type, KeyboardInterrupt):
            Timer(AGAIN, _thread.interrupt_main).start()  # within the hook it would be dropped once more
        else:
            before(dropped)

    sys.unraisablehook = hook
    try:
        yield
    finally:
        sys.unraisablehook = before


@contextmanager
def interrupted_by_sigterm() -> Iterator[None]:
    """Let SIGTERM do what Ctrl-C does, in this process alone: not in those that are forked from it."""
    process = os.getpid()

    def interrupt(number: int, _frame: object) -> NoReturn:
        if os.getpid() != process:
            os._exit(128 + number)
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
