"""Clips of lines: each has the name of what it is made of, so that none is made twice."""

import ctypes
import json
import os
import signal
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from hashlib import sha256
from itertools import islice
from multiprocessing import get_context
from pathlib import Path

from wavllm_cli.data.audio import SAMPLE_RATE, audio_info, is_silent, write_wav
from wavllm_cli.errors import WavLLMError
from wavllm_cli.speech.engine import Engine, Line, Unspoken

AHEAD = 4  # batches under way for each process

PR_SET_PDEATHSIG = 1  # from linux/prctl.h

Job = tuple[Line, Path]
Made = tuple[Line, float | Unspoken]  # seconds of the clip


def clip_name(engine: Engine, line: Line) -> str:
    """`ab/abcd….wav`: by the content of the line and all that its clip depends on."""
    facts = [engine.name, engine.settings(line.voice), line.voice, line.text]
    name = sha256(json.dumps(facts, sort_keys=True, ensure_ascii=False).encode()).hexdigest()[:32]
    return f"{name[:2]}/{name}.wav"


def seconds_of(path: Path) -> float | None:
    """Of a clip that an earlier run has made; None where there is none, or one that lost its content with the power."""
    try:
        return audio_info(path).duration
    except WavLLMError:
        return None


def make(engine: Engine, lines: Mapping[Line, Path], workers: int) -> Iterator[Made]:
    """Speak lines into files, in any order: complete under their name or not there.

    Raises:
        WavLLMError: the engine fails, or a file cannot be written.
    """
    batches = _batches(lines.items(), engine.at_once)
    if engine.in_processes and workers > 1 and len(lines) > 1:
        yield from _by_processes(engine, batches, workers)
    else:
        for batch in batches:
            yield from _spoken(engine, batch)


def _batches(jobs: Iterable[Job], size: int) -> Iterator[list[Job]]:
    remaining = iter(jobs)
    while batch := list(islice(remaining, size)):
        yield batch


def _spoken(engine: Engine, jobs: Sequence[Job]) -> list[Made]:
    results = engine.speak([line for line, _ in jobs])
    made: list[Made] = []
    for (line, path), samples in zip(jobs, results, strict=True):
        if isinstance(samples, Unspoken):
            made.append((line, samples))
        elif not len(samples) or is_silent(samples):
            made.append((line, Unspoken("the voice stayed silent")))
        else:
            write_wav(path, samples)
            made.append((line, len(samples) / SAMPLE_RATE))
    return made


# --- several processes ---


_engine: Engine  # of a process of the pool


def _by_processes(engine: Engine, batches: Iterator[list[Job]], workers: int) -> Iterator[Made]:
    """A line that ends its process is tried once more, alone, and then given up; no other line is lost with it."""
    while lost := (yield from _pooled(engine, batches, workers, AHEAD * workers)):
        alone = iter([[job] for job in lost])
        while culprit := (yield from _pooled(engine, alone, workers=1, ahead=1)):
            yield culprit[0][0], Unspoken(f"{engine.name} crashed on it")


def _pooled(engine: Engine, batches: Iterator[list[Job]], workers: int, ahead: int) -> Generator[Made, None, list[Job]]:
    """Speak batches, so many of them under way at once.

    Returns:
        The jobs that were under way when a process died, after which no batch is begun any more.
    """
    pool = ProcessPoolExecutor(workers, get_context("spawn"), _begin, (engine, os.getpid()))
    under_way: dict[Future[list[Made]], list[Job]] = {}
    lost: list[Job] = []
    try:
        while True:
            for batch in islice(batches, 0 if lost else ahead - len(under_way)):
                try:
                    under_way[_submitted(pool, batch)] = batch
                except BrokenProcessPool:
                    lost += batch
                    break
            if not under_way:
                return lost
            for future in wait(under_way, return_when=FIRST_COMPLETED).done:
                batch = under_way.pop(future)
                try:
                    yield from future.result()
                except BrokenProcessPool:
                    lost += batch
    finally:
        pool.shutdown(cancel_futures=True)


def _submitted(pool: ProcessPoolExecutor, batch: list[Job]) -> "Future[list[Made]]":
    """Ctrl-C, which reaches all processes of a terminal, is nothing to one that is only just starting."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        return pool.submit(_in_worker, batch)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _begin(engine: Engine, parent: int) -> None:
    """In a process of the pool: it dies with its parent, even if that is killed."""
    global _engine
    _engine = engine
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def _in_worker(jobs: list[Job]) -> list[Made]:
    return _spoken(_engine, jobs)
