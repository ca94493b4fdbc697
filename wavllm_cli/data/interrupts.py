"""Ctrl-C while C code calls back into Python: an exception cannot pass through it, is printed there, and is lost."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Deferred:
    """Signals that arrived meanwhile."""

    def __init__(self) -> None:
        self.arrived: list[int] = []


@contextmanager
def interrupts_deferred() -> Iterator[Deferred]:
    """Let the handlers of Ctrl-C and of termination run when the context ends, not within it.

    Signals are handled by the main thread alone; elsewhere this does nothing.
    """
    deferred = Deferred()
    if threading.current_thread() is not threading.main_thread():
        yield deferred
        return
    before = {number: signal.getsignal(number) for number in SIGNALS}
    handlers = {int(number): handler for number, handler in before.items() if callable(handler)}
    for number in handlers:
        signal.signal(number, lambda number, frame: deferred.arrived.append(number))
    try:
        yield deferred
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        for number in deferred.arrived:
            handlers[number](number, None)
