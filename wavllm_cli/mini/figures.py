"""The figures of the miniature, read from the scores.json of its tests and from nowhere else."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from wavllm_cli import strict_json
from wavllm_cli.data.files import shown
from wavllm_cli.errors import WavLLMError
from wavllm_cli.scoring.metrics.registry import spelled_out
from wavllm_cli.scoring.report.table import Value
from wavllm_cli.scoring.report.tables import FEW
from wavllm_cli.tasks.registry import spelled_out as task_name


@dataclass(frozen=True)
class Figure:
    """One figure of a system, or several of them as one: their mean, weighted by rows, which has no interval."""

    value: Value
    n: int
    lower_is_better: bool

    def reaches(self, target: float) -> bool:
        return self.value.value <= target if self.lower_is_better else self.value.value >= target


@dataclass(frozen=True)
class Scores:
    """What `wavllm score` found in one test; systems by their names."""

    test: str
    content: Mapping[str, Any]

    @classmethod
    def read(cls, path: Path) -> "Scores":
        """A scores.json of one or several systems.

        Raises:
            WavLLMError: it is none.
        """
        try:
            content = strict_json.loads(path.read_bytes())
            scores = cls(path.stem, content)
            scores.systems  # noqa: B018  (is it one?)
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise WavLLMError(f"{shown(path)} is no file of scores: {error}.") from error
        return scores

    @cached_property
    def systems(self) -> dict[str, dict[str, Any]]:
        """The scored tasks of each system."""
        of_systems = self.content.get("systems", [self.content])  # a file about one system is that system's
        return {one["system"]: one["tasks"] for one in of_systems}

    def figure(self, system: str, names: str | Sequence[str]) -> Figure | None:
        """A figure called `TASK METRIC`; of a list of names the mean of those that there are."""
        wanted = [names] if isinstance(names, str) else names
        found = [figure for name in wanted if (figure := self._single(system, name))]
        if isinstance(names, str) or not found:
            return found[0] if found else None
        n = sum(figure.n for figure in found)
        mean = sum(figure.n * figure.value.value for figure in found) / n
        return Figure(Value(mean, found[0].value.unit, few=n < FEW), n, found[0].lower_is_better)

    def _single(self, system: str, name: str) -> Figure | None:
        task, metric = name.split()
        one = self.systems.get(system, {}).get(task, {}).get("metrics", {}).get(metric)
        if one is None or one["value"] is None:
            return None
        low, high = (math.nan if one[end] is None else one[end] for end in ("low", "high"))
        return Figure(Value(one["value"], one["unit"], low, high, few=one["n"] < FEW), one["n"], one["lower_is_better"])

    def names(self, system: str) -> list[str]:
        """All figures of a system."""
        tasks = self.systems.get(system, {})
        return [f"{task} {metric}" for task, found in tasks.items() for metric in found["metrics"]]

    def difference(self, system: str, name: str) -> Mapping[str, Any] | None:
        """How a figure differs from that of the first system, with an interval and p."""
        task, metric = name.split()
        for comparison in self.content.get("comparisons", ()):
            for one in comparison["differences"] if comparison["b"] == system else ():
                if (one["task"], one["metric"]) == (task, metric):
                    return one
        return None

    def confusions(self, system: str) -> dict[str, dict[str, dict[str, int]]]:
        """By task: right answer -> given answer -> rows."""
        tasks = self.systems.get(system, {})
        return {task: found["confusion"] for task, found in tasks.items() if "confusion" in found}


def called(figure: str | Sequence[str], lower_is_better: bool) -> str:
    """What people read of a figure's name: `ii/asr wer` -> `word error rate ↓ (independent instructions …)`."""
    if not isinstance(figure, str):
        return "right ↑"
    _, metric = figure.split()
    return f"{spelled_out(metric)} {'↓' if lower_is_better else '↑'}"


def task_of(figure: str) -> str:
    """The task of a figure, spelled out."""
    return task_name(figure.split()[0])
