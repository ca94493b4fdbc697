"""How much a system depends on the wording of its instruction: the same items under several wordings."""

import math
from collections.abc import Hashable
from dataclasses import replace

from wavllm_cli.data.clips import clip_key
from wavllm_cli.data.schema import Hypothesis
from wavllm_cli.scoring.measure import Measure
from wavllm_cli.scoring.scores import Robustness
from wavllm_cli.scoring.tasks import Group
from wavllm_cli.tasks.answers.choice import parse_choices
from wavllm_cli.tasks.registry import TASKS


def robustness(group: Group) -> Robustness | None:
    """The first metric of a group with each item's best and worst wording; None where no item has two wordings."""
    if not group.measures:
        return None
    measure = group.measures[0]
    items: dict[Hashable, list[int]] = {}
    for index, row in enumerate(group.scored):
        if (key := _item(row)) is not None and not math.isnan(measure.rows[index]):
            items.setdefault(key, []).append(index)
    several = [rows for rows in items.values() if len({group.scored[i].prompt for i in rows}) > 1]
    if not several:
        return None
    all_rows = [i for rows in several for i in rows]
    best, worst = _chosen(measure, several, best=True), _chosen(measure, several, best=False)
    return Robustness(
        metric=measure.metric,
        items=len(several),
        wordings=len({group.scored[i].prompt for i in all_rows}),
        mean=_figure(measure, all_rows),
        best=best,
        worst=worst,
        spread=abs(best - worst),
        unit=measure.unit,
    )


def _item(row: Hypothesis) -> Hashable | None:
    """What is the same under every wording: the clip and the right answer, and of a question its choices."""
    if row.audio is None or not TASKS[row.task].needs_audio:  # there the instruction is the item
        return None
    choices = tuple(row.choices or parse_choices(row.prompt))
    if TASKS[row.task].form == "letter" and not choices:  # a question without choices is known by its words alone
        return None
    parts = tuple((part.task, part.target, *(part.references or ())) for part in row.parts or ())
    return row.task, clip_key(row), tuple(row.accepted), row.target_language, choices, parts


def _chosen(measure: Measure, items: list[list[int]], best: bool) -> float:
    pick = min if measure.lower_is_better == best else max
    return _figure(measure, [pick(rows, key=lambda i: measure.rows[i]) for rows in items])


def _figure(measure: Measure, rows: list[int]) -> float:
    return replace(measure, statistics=measure.statistics[rows]).value
