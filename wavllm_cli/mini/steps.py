"""Steps of a long piece of work, one after the other: what is done is not done again unless something of it changed.

A step is a whole `wavllm` process or a call of a core function, and each can be stopped and continued by itself. What
has been done stands in a journal: by which command, from what, on which machine, in how many seconds.
"""

import hashlib
import json
import os
import platform
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, is_dataclass
from functools import cache
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import wavllm_cli
from wavllm_cli import console
from wavllm_cli.data.files import digest
from wavllm_cli.errors import UsageError, WavLLMError
from wavllm_cli.training.logs import append_line

INTERRUPTED = 130
SOFTWARE = ("torch", "transformers")
GO_ON = "Once that is mended, the same command goes on from there: what is done is not done again."


@dataclass(frozen=True)
class Call:
    """A core function by its full name, and what it is given; what is imported for it waits for its turn."""

    function: str
    arguments: Mapping[str, Any]

    def __str__(self) -> str:
        return f"{self.function}({', '.join(f'{name}={_plain(value)!r}' for name, value in self.arguments.items())})"

    def __call__(self) -> object:
        module, _, name = self.function.rpartition(".")
        return getattr(import_module(module), name)(**self.arguments)


def _plain(value: Any) -> Any:
    """Paths as text, also within."""
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if is_dataclass(value):
        return {name: _plain(part) for name, part in vars(value).items()}
    return str(value) if isinstance(value, Path) else value


@dataclass(frozen=True)
class Command:
    """Arguments of `wavllm`, which runs as a process of its own.

    Attributes:
        may_skip: it exits with 1 after it has left out single rows and done the others.
    """

    arguments: tuple[str, ...]
    may_skip: bool = False

    def __str__(self) -> str:
        return shlex.join(["wavllm", *self.arguments])


@dataclass(frozen=True)
class Step:
    """One step.

    Attributes:
        name: no two steps share it.
        group: what a user calls it together with its like.
        work: what is done.
        reads: files that it depends on; their content decides whether it is to be done again.
        writes: files that are there when it is done.
    """

    name: str
    group: str
    work: Command | Call
    reads: tuple[Path, ...]
    writes: tuple[Path, ...]

    @property
    def key(self) -> str:
        """One text for all that decides what the step writes.

        Raises:
            UsageError: something that it reads is not there.
        """
        if missing := [str(path) for path in self.reads if not path.is_file()]:
            raise UsageError(
                f"Step {self.name} needs {', '.join(missing)}, which earlier steps make: leave out --only."
            )
        content = [wavllm_cli.__version__, str(self.work), _digests(self.reads)]
        return hashlib.sha256(json.dumps(content).encode()).hexdigest()


def _digests(paths: Iterable[Path]) -> dict[str, str]:
    return {str(path): digest(path) for path in paths}


# --- the journal ---


class Journal:
    """What has been done, a line of JSON for each time that a step was begun."""

    def __init__(self, path: Path):
        self.path = path

    def lines(self) -> Iterator[dict[str, Any]]:
        """All that can be read; a kill may have left half a line."""
        if not self.path.is_file():
            return
        for text in self.path.read_text(encoding="utf-8", errors="replace").splitlines():
            try:
                line = json.loads(text)
            except ValueError:
                continue
            if isinstance(line, dict) and isinstance(line.get("step"), str):
                yield line

    def is_done(self, step: Step, key: str) -> bool:
        """Whether the step, which has this key now, has been finished, and what it wrote is still there."""
        last = [line for line in self.lines() if line["step"] == step.name and line.get("state") == "done"][-1:]
        if not last or not all(path.is_file() for path in step.writes):
            return False
        return last[0].get("key") == key and last[0].get("files") == _digests(step.writes)

    def add(self, step: Step, state: str, began: float, **more: Any) -> None:
        line = {
            "step": step.name,
            "state": state,
            "command": str(step.work),
            "began": time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(began)),
            "seconds": round(time.time() - began, 1),
            "machine": machine(),
        }
        append_line(self.path, line | more)


@cache
def machine() -> dict[str, Any]:
    """What it is computed on, and by which software."""
    return {
        "cpu": _named("/proc/cpuinfo", "model name") or platform.processor() or platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "gpu": next((name for path in _gpus() if (name := _named(path, "Model"))), None),
        "python": platform.python_version(),
        "wavllm": wavllm_cli.__version__,
    } | {name: _version(name) for name in SOFTWARE}


def _gpus() -> list[Path]:
    return sorted(Path("/proc/driver/nvidia/gpus").glob("*/information"))


def _named(path: str | Path, key: str) -> str | None:
    """A value of a file of `key : value` lines."""
    try:
        lines = Path(path).read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return None
    pairs = (line.partition(":") for line in lines)
    return next((value.strip() for name, _, value in pairs if name.strip() == key), None)


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


# --- the work ---


def run(steps: Iterable[Step], journal: Journal, only: Collection[str] = ()) -> None:
    """Do what is not done, in order.

    Args:
        only: groups of steps; none: all.

    Raises:
        UsageError: something is not there that a step needs, or a step was asked for wrongly.
        WavLLMError: a step failed.
        KeyboardInterrupt: it was interrupted, and so was this.
    """
    for step in steps:
        if only and step.group not in only:
            continue
        key = step.key  # reads all that the step depends on
        if journal.is_done(step, key):
            console.info(f"{step.name}: done")
            continue
        began = time.time()
        console.info(f"{step.name}: {step.work}" if isinstance(step.work, Command) else step.name)
        try:
            _do(step)
        except KeyboardInterrupt:
            journal.add(step, "interrupted", began)
            raise
        except WavLLMError as error:
            journal.add(step, "failed", began)
            raise type(error)(*error.args, f"Step {step.name} has failed. {GO_ON}") from error
        journal.add(step, "done", began, key=key, files=_digests(step.writes))


def _do(step: Step) -> None:
    if isinstance(step.work, Call):
        step.work()
    else:
        _run_process(step.work, step.writes)
    if missing := [str(path) for path in step.writes if not path.is_file()]:
        raise WavLLMError(f"{', '.join(missing)} should be there now, but is not.")


def _run_process(command: Command, writes: Iterable[Path]) -> None:
    began = time.time()
    quiet = ["--quiet"] if console.err.quiet else []
    code = _exit_code([sys.executable, "-m", "wavllm_cli", *quiet, *command.arguments])
    has_written = all(path.is_file() and path.stat().st_mtime >= began for path in writes)
    if code == 0 or (code == 1 and command.may_skip and has_written):
        return
    how = f"was killed by signal {-code}" if code < 0 else f"has said above what is wrong (exit code {code})"
    raise (UsageError if code == UsageError.exit_code else WavLLMError)(f"`{command}` {how}.")


def _exit_code(arguments: Sequence[str]) -> int:
    """Of a process that hears of Ctrl-C from here alone: a terminal would tell both, and twice means at once.

    It hears of it by SIGTERM, since where a shell has begun all this in the background, SIGINT is ignored in both.

    Raises:
        KeyboardInterrupt: this process was interrupted; the other has ended in its own way.
    """
    process = subprocess.Popen(arguments, stdout=subprocess.DEVNULL, process_group=0)
    interrupted = False
    while True:
        try:
            code = process.wait()
            break
        except KeyboardInterrupt:
            interrupted = True
            process.send_signal(signal.SIGTERM)
    if interrupted or code == INTERRUPTED:
        raise KeyboardInterrupt
    return code
