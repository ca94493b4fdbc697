"""Kaldi's extended file names, read as data: nothing is ever run."""

import re
import shlex
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml

from wavllm_cli.errors import shortened

PIPE = "pipe"  # the reason why a recording that a command makes is left out
OUTPUTS = ("-", "pipe:1", "pipe:", "/dev/stdout")
PLACE = re.compile(r"(.+):(\d+)")  # a byte in an archive


@dataclass(frozen=True)
class Source:
    """Where a recording comes from.

    Args:
        file: as it is written.
        channel: from 0; None: all that there are.
        offset: bytes before it in an archive; None: the file is the recording.
    """

    file: str
    channel: int | None = None
    offset: int | None = None


def source(text: str) -> Source:
    """Of an extended file name.

    Raises:
        ValueError: a command that does more than pick a file and a channel; the message is a part of a sentence.
    """
    text = text.strip()
    if text.endswith("|"):
        return _piped(text.removesuffix("|"))
    if place := PLACE.fullmatch(text):
        return Source(place[1], offset=int(place[2]))
    return Source(text)


def _piped(command: str) -> Source:
    refused = f"its command is not run, and does not only pick a file and a channel: {shortened(command.strip())}"
    try:
        program, *words = shlex.split(command)
        form = _forms()[Path(program).name]
    except (ValueError, KeyError):
        raise ValueError(refused) from None
    found: list[str] = []
    channel = None
    rest = iter(words)
    for word in rest:
        if word in form.get("flags", ()) or word in OUTPUTS:
            continue
        value = next(rest, "") if any(word in form.get(kind, ()) for kind in ("valued", "channel", "file")) else None
        if word in form.get("channel", ()) and value is not None and value.isdecimal() and channel is None:
            channel = int(value) - 1
        elif word in form.get("file", ()) or (value is None and not word.startswith("-") and "file" not in form):
            found.append(word if value is None else value)
        elif word not in form.get("valued", ()):
            raise ValueError(refused)
    if len(found) != 1 or (channel is not None and channel < 0):
        raise ValueError(refused)
    return Source(found[0], channel)


@cache
def _forms() -> dict[str, Any]:
    return yaml.safe_load(files(__package__).joinpath("pipes.yaml").read_text(encoding="utf-8"))
