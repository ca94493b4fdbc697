"""Whole Python processes, measured: what a user waits for, and what the machine must have."""

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass

from wavllm_cli.errors import WavLLMError


@dataclass(frozen=True)
class Run:
    """Medians over the rounds of one command as a process of its own: seconds, and MB of memory at most."""

    name: str
    seconds: float
    cpu_seconds: float
    megabytes: float


def run(arguments: Sequence[str]) -> tuple[float, float, float]:
    """Seconds, CPU seconds and megabytes at most of a Python process.

    Raises:
        WavLLMError: it fails.
    """
    start = time.perf_counter()
    process = subprocess.Popen([sys.executable, *arguments], stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise WavLLMError(f"python {' '.join(arguments[:3])} … failed with exit code {process.returncode}.")
    return seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1000  # Linux counts kilobytes
