"""From a system's measures to its scores: intervals, failures, the worst rows, dependence on wordings."""

import math
import os
from collections.abc import Sequence
from pathlib import Path

from wavllm_cli.data.audio_paths import audio_paths
from wavllm_cli.data.files import why_unreadable
from wavllm_cli.scoring.failures import failures
from wavllm_cli.scoring.metrics import ifr
from wavllm_cli.scoring.metrics.classes import confusion
from wavllm_cli.scoring.robustness import robustness
from wavllm_cli.scoring.scores import Figure, Item, Judging, Recording, Scores, TaskScores
from wavllm_cli.scoring.tasks import Group

MAX_WORST = 20


def evaluate(
    system: str,
    groups: Sequence[Group],
    normalizer: str,
    seed: int,
    home: Path,
    judgings: Sequence[Judging] = (),
) -> Scores:
    """Everything that reports show of one system.

    Args:
        system: its name.
        groups: as `tasks.measure` returns them.
        normalizer: its name, or "all".
        seed: of the bootstrap.
        home: the file that relative audio paths start from.
        judgings: what models say of its multi-task rows.
    """
    tasks = {group.name: _task(group, seed, home) for group in groups}
    return Scores(system, tasks, normalizer, seed, list(judgings))


def _task(group: Group, seed: int, home: Path) -> TaskScores:
    return TaskScores(
        n=len(group.rows),
        figures=[Figure.of(measure, seed) for measure in group.measures],
        failures=failures(group),
        not_scored=len(group.rows) - len(group.scored) if group.measures else len(group.rows),
        worst=_worst(group, home),
        confusion=confusion(group.answers, group.keys) if group.keys else None,
        robustness=robustness(group),
        each={measure.metric: measure.rows.tolist() for measure in group.measures},
        unfollowed={
            row.id: reasons
            for row, verdicts in zip(group.scored, group.verdicts, strict=False)
            if (reasons := ifr.unfollowed(verdicts))
        },
    )


def _worst(group: Group, home: Path) -> list[Item]:
    """The rows with the worst figure in the first metric, those that are perfect left out."""
    if not group.measures:
        return []
    measure = group.measures[0]
    figures = measure.rows
    perfect = 0.0 if measure.lower_is_better else 1.0 if measure.unit == "fraction" else 100.0
    order = (-figures if measure.lower_is_better else figures).argsort(kind="stable")[:MAX_WORST]
    worst = [int(i) for i in order if not math.isnan(figures[i]) and not math.isclose(figures[i], perfect)]
    audio = audio_paths(group.scored, home) if worst else []
    return [_item(group, i, float(figures[i]), audio[i]) for i in worst]


def _item(group: Group, index: int, value: float, audio: Sequence[Path]) -> Item:
    row = group.scored[index]
    return Item(
        id=row.id,
        task=group.name,
        prompt=row.prompt,
        reference=row.target or "",
        text=row.text,
        value=value,
        audio=[
            Recording(
                _address(path), piece.start, piece.start + piece.duration if piece.duration else None, piece.channel
            )
            for piece, path in zip(row.pieces, audio, strict=True)
            if not why_unreadable(path)
        ],
        note="; ".join(ifr.unfollowed(group.verdicts[index])) if group.verdicts else "",
        references=row.references or [],
    )


def _address(audio: Path) -> str:
    """An absolute path that a browser, to which `..` undoes the name before it, follows to the same file."""
    plain = os.path.abspath(audio)
    return plain if os.path.exists(plain) else os.path.realpath(audio)
