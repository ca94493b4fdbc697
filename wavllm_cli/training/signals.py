"""Signals that end a run wait for the end of the step, when there is a state worth saving."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager

STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)  # the last is what SLURM sends before a job's time is up


@contextmanager
def finish_step_on_interrupt() -> Iterator[list[int]]:
    """Ctrl-C and its like wait for the end of the step; a second Ctrl-C does not. Yields the signals received."""
    received: list[int] = []
    handlers = {s: signal.getsignal(s) for s in STOPPING}

    def handle(number: int, _frame: object) -> None:
        received.append(number)
        signal.signal(signal.SIGINT, handlers[signal.SIGINT])

    for number in handlers:
        signal.signal(number, handle)
    try:
        yield received
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
