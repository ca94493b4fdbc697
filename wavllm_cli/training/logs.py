"""The logs of a stage: for people to read, and never a reason why a training cannot go on."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from wavllm_cli import console
from wavllm_cli.data.files import append_text, write_text

LOG, SAMPLES, BOARD = "log.jsonl", "samples.jsonl", "tensorboard"


def log_lines(path: Path) -> Iterator[dict[str, Any]]:
    """The lines of a log that tell something of a step; what a kill or a bad disk left between them is passed over."""
    if not path.is_file():
        return
    with path.open("rb") as file:
        for text in file:
            line = _parsed(text)
            if line is not None:
                yield line


def _parsed(text: bytes) -> dict[str, Any] | None:
    try:
        line = json.loads(text) if text.endswith(b"\n") else None
    except (ValueError, RecursionError):
        return None
    if isinstance(line, dict) and isinstance(line.get("step"), int):
        return line
    return None


def truncate_log(path: Path, step: int) -> None:
    """Drop what was logged after a step, and, with a warning, what cannot be read.

    The half line that a kill leaves at the end is dropped without a word.
    """
    make_way(path, path.is_file())
    if not path.is_file():
        return
    texts = path.read_bytes().splitlines(keepends=True)
    lines = [(text, _parsed(text)) for text in texts]
    unreadable = sum(line is None for text, line in lines if text.endswith(b"\n"))
    if unreadable:
        console.warn(f"{path}: {unreadable} lines cannot be read and are dropped.")
    kept = b"".join(text for text, line in lines if line is not None and line["step"] <= step)
    if kept != b"".join(texts):
        write_text(path, kept.decode("utf-8", errors="replace"))


def append_line(path: Path, line: dict[str, Any]) -> None:
    """Add a line to a log, on a line of its own whatever the file ends in."""
    broken = path.is_file() and path.stat().st_size > 0 and not path.read_bytes().endswith(b"\n")
    append_text(path, ("\n" if broken else "") + json.dumps(line, ensure_ascii=False) + "\n")


def make_way(path: Path, is_right: bool) -> None:
    """Put aside what stands where a log has to be, a file in the place of a folder or the reverse."""
    if is_right or not path.exists():
        return
    aside = next(name for i in range(1, 1000) if not (name := path.with_name(f"{path.name}.old{i}")).exists())
    path.rename(aside)
    console.warn(f"{path} is not what a training writes there: it is {aside.name} now.")
