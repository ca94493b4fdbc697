"""How figures are shown, whatever the medium: numbers as text, what there is to list, and how it all was made."""

import math
from collections.abc import Sequence

from wavllm_cli.scoring.measure import RESAMPLES
from wavllm_cli.scoring.scores import Confusion, Failure, Figure, Scores
from wavllm_cli.scoring.significance import Difference

# --- numbers ---


def show_value(value: float, unit: str) -> str:
    """A figure as tables print it: fractions in per cent, points as they are, two decimals."""
    if not math.isfinite(value):
        return "n/a"
    return f"{100 * value if unit == 'fraction' else value:.2f}"


def amount(value: float, unit: str) -> str:
    """A figure with its unit: "4.80 %", "23.60", "n/a"."""
    return show_value(value, unit) + (" %" if unit == "fraction" and math.isfinite(value) else "")


def percentage(part: int, whole: int) -> str:
    """A share: "2.50 %"; "n/a" if there is nothing to have a share of."""
    return amount(part / whole if whole else math.nan, "fraction")


def signed(value: float, unit: str) -> str:
    """A difference with its sign; differences of fractions are in percentage points."""
    return ("+" if value > 0 else "") + show_value(value, unit)


def interval(figure: Figure | Difference) -> str:
    """Both ends of an interval in the unit of its figure; "–" where there is none."""
    if not (math.isfinite(figure.low) and math.isfinite(figure.high)):
        return "–"
    return f"{show_value(figure.low, figure.unit)} … {show_value(figure.high, figure.unit)}"


def probability(p: float) -> str:
    """A p-value: "0.042", "< 0.001", "n/a"."""
    if not math.isfinite(p):
        return "n/a"
    return f"{p:.3f}" if p >= 0.001 else "< 0.001"


# --- figures ---


def label(figure: Figure | Difference) -> str:
    """The metric with an arrow that points to where it is better."""
    return f"{figure.metric} {'↓' if figure.lower_is_better else '↑'}"


def task_names(scores: Sequence[Scores]) -> list[str]:
    """Every task of any system, in the order in which they appear."""
    return list(dict.fromkeys(task for s in scores for task in s.tasks))


def metric_columns(scores: Sequence[Scores]) -> list[tuple[str, Figure]]:
    """Every task and metric of any system, with one figure of it."""
    found: dict[tuple[str, str], Figure] = {}
    for task in task_names(scores):
        for s in scores:
            for figure in s.tasks[task].figures if task in s.tasks else ():
                found.setdefault((task, figure.metric), figure)
    return [(task, figure) for (task, _), figure in found.items()]


def find(scores: Scores, task: str, metric: str) -> Figure | None:
    """A system's figure, if it has one."""
    figures = scores.tasks[task].figures if task in scores.tasks else []
    return next((f for f in figures if f.metric == metric), None)


def is_best(figure: Figure, scores: Sequence[Scores], task: str) -> bool:
    """Whether no other system is better, and some are worse."""
    values = {f.value for s in scores if (f := find(s, task, figure.metric)) and math.isfinite(f.value)}
    return len(values) > 1 and figure.value == (min if figure.lower_is_better else max)(values)


# --- failures and answers ---


def failures(scores: Sequence[Scores], task: str) -> list[tuple[str, Failure]]:
    """The failures that happened, those of one kind together: (system, failure)."""
    found = [(s.system, f) for s in scores if task in s.tasks for f in s.tasks[task].failures]
    kinds = list(dict.fromkeys(f.kind for _, f in found))
    return sorted(((system, f) for system, f in found if f.ids), key=lambda pair: kinds.index(pair[1].kind))


def never_failed(scores: Sequence[Scores], task: str) -> list[str]:
    """The kinds of failure that were looked for and never found."""
    looked_for = dict.fromkeys(f.kind for s in scores if task in s.tasks for f in s.tasks[task].failures)
    return [kind for kind in looked_for if kind not in {f.kind for _, f in failures(scores, task)}]


def unscored(scores: Sequence[Scores], task: str) -> str:
    """A sentence on the rows that are in no figure; "" if there are none."""
    counts = [f"{s.system} {n}" for s in scores if task in s.tasks and (n := s.tasks[task].not_scored)]
    return f"Rows without a score: {', '.join(counts)}." if counts else ""


def given_answers(confusion: Confusion) -> list[str]:
    """The columns of a confusion matrix: the right answers in their order, then what else was given."""
    return list(dict.fromkeys([*confusion, *(given for row in confusion.values() for given in row)]))


# --- how the figures were made ---


def method(scores: Sequence[Scores]) -> str:
    """How the figures were made, in one sentence."""
    seeds = ", ".join(dict.fromkeys(str(s.seed) for s in scores))
    normalizers = ", ".join(dict.fromkeys(s.normalizer for s in scores))
    return f"95 % intervals from {RESAMPLES} bootstrap resamples (seed {seeds}); normaliser: {normalizers}."


def signatures(scores: Sequence[Scores]) -> list[str]:
    """What makes the figures reproducible, each once."""
    return list(dict.fromkeys(f.signature for s in scores for task in s.tasks.values() for f in task.figures))
