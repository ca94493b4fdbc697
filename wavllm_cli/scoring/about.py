"""What was scored: the test set by what its rows say, the files by their content, and by which command."""

import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from wavllm_cli.data.clips import by_clip
from wavllm_cli.data.files import digest
from wavllm_cli.scoring.inputs import System


@dataclass(frozen=True)
class Source:
    """A file that was read."""

    file: str
    sha256: str | None  # None: standard input


@dataclass(frozen=True)
class About:
    """What reports say before any figure.

    Attributes:
        test_set: corpora and splits; where rows do not say theirs, the file that they come from.
        rows, recordings: how many.
        seconds: of audio, in recordings whose duration is known.
        unknown: recordings of unknown duration.
        models: who answered, as the rows say.
        sources: the files of answers, and what else they were read with.
    """

    test_set: str
    rows: int
    recordings: int
    seconds: float
    unknown: int
    models: list[str]
    date: str
    command: str
    sources: list[Source]


def about(systems: Sequence[System], reference: Path | None) -> About:
    """What is known of the rows, which are the same for all systems but for the answers.

    Args:
        systems: the answers as they were read.
        reference: what they were read with.
    """
    path, rows = systems[0].path, systems[0].rows
    files = [*(system.path for system in systems), *([reference] if reference else [])]
    sets = dict.fromkeys(" ".join(filter(None, (row.corpus, row.split))) for row in rows)
    named = [name or f"rows of {reference or path or 'standard input'}" for name in sets]
    durations = [about_clip[0].known_duration for about_clip in by_clip(rows).values()]
    return About(
        test_set=", ".join(named),
        rows=len(rows),
        recordings=len(durations),
        seconds=sum(filter(None, durations)),
        unknown=durations.count(None),
        models=list(dict.fromkeys(row.system or system.name for system in systems for row in system.rows)),
        date=date.today().isoformat(),
        command=shlex.join(["wavllm", *sys.argv[1:]]),
        sources=[Source(str(file), digest(file)) if file else Source("-", None) for file in files],
    )
