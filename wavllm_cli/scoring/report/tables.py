"""What all reports say: one list of tables, made once from the results; each medium renders it."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from wavllm_cli import console
from wavllm_cli.scoring.about import About
from wavllm_cli.scoring.measure import RESAMPLES
from wavllm_cli.scoring.metrics.registry import METRICS
from wavllm_cli.scoring.metrics.registry import spelled_out as metric_name
from wavllm_cli.scoring.published import SOURCES, Published
from wavllm_cli.scoring.report.table import (
    Cell,
    Column,
    Ids,
    Table,
    Tally,
    Value,
    amount,
    interval,
    probability,
    share,
    signed,
)
from wavllm_cli.scoring.scores import Figure, Scores
from wavllm_cli.scoring.significance import ALPHA, Comparison, Difference
from wavllm_cli.tasks.registry import spelled_out as task_name

FEW = 20  # rows: of fewer, an interval says little


@dataclass(frozen=True)
class Results:
    """Everything that reports show.

    Attributes:
        scores: of each system, the baseline first.
        comparisons: of the others with it.
        best: (task, metric, system) of figures that are significantly better than those of all other systems.
        published: by task, what others published of the same rows; None: that was not asked for.
    """

    about: About
    scores: Sequence[Scores]
    comparisons: Sequence[Comparison] = ()
    best: frozenset[tuple[str, str, str]] = frozenset()
    published: Mapping[str, Sequence[Published]] | None = None

    @cached_property
    def tables(self) -> list[Table]:
        """All that is to be said, in the order in which it is said; what is empty is left out."""
        found = [
            figures(self),
            published(self),
            failures(self),
            *confusions(self),
            wordings(self),
            judges(self),
            *map(comparison, self.comparisons),
        ]
        return [table for table in found if table.rows or table.notes]

    @property
    def tasks(self) -> list[str]:
        """Every task of any system, in the order in which they appear."""
        return list(dict.fromkeys(task for s in self.scores for task in s.tasks))

    def figures(self, task: str) -> dict[str, list[tuple[str, Figure]]]:
        """By metric, the figure of each system that has one."""
        found: dict[str, list[tuple[str, Figure]]] = {}
        for s in self.scores:
            for figure in s.tasks[task].figures if task in s.tasks else ():
                found.setdefault(figure.metric, []).append((s.system, figure))
        return found

    def published_of(self, task: str, metric: str) -> list[Published]:
        """What we call "wer/lower", where normalisers stand side by side, is "wer" to others."""
        return [p for p in (self.published or {}).get(task, ()) if p.metric == metric.partition("/")[0]]


TASK, METRIC, SYSTEM, VALUE = Column("task"), Column("metric"), Column("system"), Column("value", True)
SOURCE = Column("source")  # of figures that are not ours


def figures(results: Results) -> Table:
    """Each metric of each task: the figures of all systems."""
    rows: list[list[Cell]] = []
    for task in results.tasks:
        for metric, of_systems in results.figures(task).items():
            for system, f in of_systems:
                best = (task, metric, system) in results.best
                value = Value(f.value, f.unit, f.low, f.high, best, f.n < FEW)
                n = f"{f.n} (few)" if value.few else f.n
                rows.append([task_name(task), label(f), system, value, value.interval, n])
    notes = []
    if any(isinstance(row[-1], str) for row in rows):
        notes.append(f"few: fewer than {FEW} rows; neither figure nor interval says much.")
    for task in results.tasks:
        unscored = {s.system: s.tasks[task].not_scored for s in results.scores if task in s.tasks}
        if counts := [f"{system} {n}" for system, n in unscored.items() if n]:
            notes.append(f"{task_name(task)}: rows without a score: {', '.join(counts)}.")
        own = [f for of_systems in results.figures(task).values() for _, f in of_systems]
        notes += dict.fromkeys(f"{task_name(task)}: {note}" for f in own for note in f.notes)
    columns = [TASK, METRIC, SYSTEM, VALUE, Column("95 % interval", True), Column("rows", True)]
    return Table("Scores", columns, rows, notes)


def published(results: Results) -> Table:
    """What others published of the same test sets."""
    rows: list[list[Cell]] = []
    for task in results.tasks:
        ours = {metric.partition("/")[0]: of_systems[0][1] for metric, of_systems in results.figures(task).items()}
        for metric, figure in ours.items():  # by which normaliser others measured is not known
            for p in results.published_of(task, metric):
                named = label(replace(figure, metric=metric))
                rows.append([task_name(task), named, p.system, Value(p.value, p.unit), p.origin])
    notes = []
    if rows:
        sources = "; ".join(f"{key}: {text}" for key, text in SOURCES.items())
        notes.append(f"Published figures are of the whole split. {sources}.")
    elif results.published is not None:
        notes.append(
            "No published figure is known to be of these rows. A figure stands only beside the same corpus and split, "
            'which all rows of a task have to say, in the keys "corpus" and "split" of their manifest.'
        )
    columns = [TASK, METRIC, SYSTEM, VALUE, SOURCE]
    return Table("Published figures of the same test set", columns, rows, notes)


def failures(results: Results) -> Table:
    """The failures that happened, those of one kind together."""
    rows: list[list[Cell]] = []
    looked_for: dict[str, bool] = {}
    for task in results.tasks:
        found = [(s.system, f) for s in results.scores if task in s.tasks for f in s.tasks[task].failures]
        for kind in dict.fromkeys(f.kind for _, f in found):
            of_kind = [(system, f) for system, f in found if f.kind == kind and f.ids]
            looked_for[kind] = looked_for.get(kind, False) or bool(of_kind)
            for system, f in of_kind:
                counts = [f"{len(f.ids)} of {f.of}", share(len(f.ids), f.of)]
                rows.append([task_name(task), words(kind), system, *counts, Ids(f.ids, f.detail)])
    never = [words(kind) for kind, happened in looked_for.items() if not happened]
    notes = [f"Looked for and found in no row: {', '.join(never)}."] if never else []
    columns = [TASK, Column("failure"), SYSTEM, Column("rows", True), Column("share", True), Column("for example")]
    return Table("Failures", columns, rows, notes)


def confusions(results: Results) -> Iterator[Table]:
    """The right answers in their order, then what else was given."""
    for task in results.tasks:
        for s in results.scores:
            if task in s.tasks and (right := s.tasks[task].confusion):
                given = list(dict.fromkeys([*right, *(answer for counts in right.values() for answer in counts)]))
                rows: list[list[Cell]] = [
                    [answer, *(counts.get(g, 0) for g in given)] for answer, counts in right.items()
                ]
                title = f"{task_name(task)}: right answers (rows) and those of {s.system} (columns)"
                yield Table(title, [Column(""), *(Column(g, True) for g in given)], rows, matrix=True)


def wordings(results: Results) -> Table:
    rows: list[list[Cell]] = []
    for task in results.tasks:
        for s in results.scores:
            if task in s.tasks and (r := s.tasks[task].robustness):
                spread = [amount(value, r.unit) for value in (r.mean, r.best, r.worst, r.spread)]
                rows.append([task_name(task), metric_name(r.metric), s.system, r.items, r.wordings, *spread])
    numbers = [Column(name, True) for name in ("items", "wordings", "mean", "best", "worst", "spread")]
    return Table("The same items under several wordings", [TASK, METRIC, SYSTEM, *numbers], rows)


def judges(results: Results) -> Table:
    rows: list[list[Cell]] = []
    for s in results.scores:
        for judging in s.judging:
            for other, a in judging.agreements.items():
                equal = "–" if a.equal is None else amount(a.equal, "fraction")
                kappa = "–" if a.kappa is None else f"{a.kappa:.2f}"
                cost = "?" if judging.usd is None else f"${judging.usd:.4f}"
                unusable = len(judging.unusable)
                rows.append([judging.judge, other, s.system, a.instructions, equal, kappa, unusable, cost])
    numbers = [Column(name, True) for name in ("instructions", "equal", "kappa", "without verdict", "cost")]
    return Table("Judges of instruction following", [Column("judge"), Column("compared with"), SYSTEM, *numbers], rows)


def comparison(c: Comparison) -> Table:
    rows: list[list[Cell]] = [
        [
            task_name(d.task),
            label(d),
            amount(d.a, d.unit),
            amount(d.b, d.unit),
            signed(d.value, d.unit),
            interval(d.low, d.high, d.unit),
            probability(d.p),
            probability(d.p_bootstrap),
            Tally(d.wins, d.ties, d.losses),
        ]
        for d in c.differences
    ]
    columns = [
        TASK,
        METRIC,
        Column(c.a, True, detail=True),
        Column(c.b, True, detail=True),
        Column("difference", True),
        Column("95 % interval", True),
        Column("p", True),
        Column("p (bootstrap)", True, detail=True),
        Column("wins / ties / losses", True),
    ]
    notes = [
        f"Difference: {c.b} minus {c.a}, in percentage points or points. p: approximate randomisation, two-sided. "
        f"Wins: rows on which {c.b} has the better figure."
    ]
    return Table(f"{c.b} against {c.a}", columns, rows, notes)


# --- words ---


def label(figure: Figure | Difference) -> str:
    """The metric's name with an arrow that points to where it is better."""
    return f"{metric_name(figure.metric)} {'↓' if figure.lower_is_better else '↑'}"


def words(kind: str) -> str:
    return kind.replace("_", " ")


def facts(about: About) -> list[tuple[str, str]]:
    """What was scored, of which files, by which command: names and what there is to say."""
    hours = console.hours(about.seconds / 3600) if about.unknown < about.recordings else "unknown"
    if 0 < about.unknown < about.recordings:
        hours += f"; {about.unknown} of {about.recordings} recordings of unknown duration"
    return [
        ("Test set", about.test_set),
        ("Hours", hours if about.recordings else "none: text alone"),
        ("Rows", str(about.rows)),
        ("Model", ", ".join(about.models)),
        ("Date", about.date),
        ("Command", about.command),
    ]


def meaning(results: Results) -> str:
    """What the first figure means, in one sentence; "" if there is none."""
    for task in results.tasks:
        for metric, ((system, f), *_) in results.figures(task).items():
            what = METRICS[metric.partition("/")[0]].meaning
            said = f"In {task_name(task)}, {system} has {amount(f.value, f.unit)} {metric_name(metric)}: {what}"
            again = f"; as many rows drawn again give {interval(f.low, f.high, f.unit)} in 95 % of cases"
            return said + (again if math.isfinite(f.low) else "") + "."
    return ""


def method(results: Results) -> str:
    """How the figures were made, and what is bold, in two sentences."""
    seeds = ", ".join(dict.fromkeys(str(s.seed) for s in results.scores))
    normalizers = ", ".join(dict.fromkeys(s.normalizer for s in results.scores))
    said = f"95 % intervals from {RESAMPLES} bootstrap resamples (seed {seeds}); normaliser: {normalizers}."
    bold = f" Bold: better than every other system, p < {ALPHA} (approximate randomisation) in each case."
    return said + (bold if len(results.scores) > 1 else "")


def signatures(results: Results) -> list[str]:
    """What makes the figures reproducible, each once."""
    found = (f.signature for s in results.scores for task in s.tasks.values() for f in task.figures)
    return list(dict.fromkeys(found))
