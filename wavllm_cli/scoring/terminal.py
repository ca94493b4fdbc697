"""Scores as tables on a terminal."""

from collections.abc import Iterable, Iterator, Sequence

from wavllm_cli import console
from wavllm_cli.scoring.published import published_for
from wavllm_cli.scoring.scores import Figure, Scores
from wavllm_cli.scoring.shown import (
    amount,
    failures,
    find,
    interval,
    label,
    metric_columns,
    percentage,
    probability,
    signatures,
    signed,
    task_names,
    unscored,
)
from wavllm_cli.scoring.significance import Comparison, Difference

SHOWN_IDS = 3  # of the rows that failed in one way

Row = Sequence[object]
Table = tuple[str, Sequence[str], Iterable[Row], int]  # title, columns, rows, columns that do not repeat themselves


def show(scores: Sequence[Scores], comparisons: Sequence[Comparison], published: bool) -> None:
    """Print figures, failures, dependence on wordings, agreement of judges, comparisons, and at the end the signatures.

    Args:
        scores: of one or more systems, the baseline first.
        comparisons: of the others with it.
        published: whether figures that others published follow.
    """
    tables = [*_of_systems(scores), *map(_comparison, comparisons), *(_published(scores) if published else ())]
    for title, columns, rows, merged in tables:
        if rows := list(rows):
            console.table(title, columns, rows, merged=merged)
            console.out.print()
    for task in task_names(scores):
        if sentence := unscored(scores, task):
            console.out.print(f"{task}: {sentence}")
    for signature in signatures(scores):
        console.out.print(signature)


def _of_systems(scores: Sequence[Scores]) -> Iterator[Table]:
    """What is known of each system; the name of a single one stands in the title and takes no column."""
    tables: list[tuple[str, list[str], Iterator[Row]]] = [
        ("Scores", ["task", "metric", "system", ">value", ">95 %\ninterval", ">rows"], _figures(scores)),
        ("Failures", ["task", "failure", "system", ">rows", ">share", "for example"], _failures(scores)),
        (
            "The same items under several wordings",
            ["task", "metric", "system", ">items", ">wordings", ">mean", ">best", ">worst", ">spread"],
            _robustness(scores),
        ),
        (
            "Judges of instruction following",
            ["judge", "compared with", "system", ">instructions", ">equal", ">kappa", ">without\nverdict", ">cost"],
            _judgings(scores),
        ),
    ]
    for title, columns, rows in tables:
        if len(scores) > 1:
            yield title, columns, rows, 2
        else:
            at = columns.index("system")
            others = columns[:at] + columns[at + 1 :]
            yield f"{title}: {scores[0].system}", others, ([*row[:at], *row[at + 1 :]] for row in rows), 2


def _figures(scores: Sequence[Scores]) -> Iterator[Row]:
    for task, head in metric_columns(scores):
        for s in scores:
            if f := find(s, task, head.metric):
                yield task, _name(f), s.system, amount(f.value, f.unit), interval(f), f.n


def _failures(scores: Sequence[Scores]) -> Iterator[Row]:
    for task in task_names(scores):
        for system, f in failures(scores, task):
            example = f.detail or ", ".join(f.ids[:SHOWN_IDS])
            rows = f"{len(f.ids)} of {f.of}"
            yield task, f.kind.replace("_", " "), system, rows, percentage(len(f.ids), f.of), example


def _robustness(scores: Sequence[Scores]) -> Iterator[Row]:
    for task in task_names(scores):
        for s in scores:
            if task in s.tasks and (r := s.tasks[task].robustness):
                figures = (amount(value, r.unit) for value in (r.mean, r.best, r.worst, r.spread))
                yield task, r.metric.replace("_", " "), s.system, r.items, r.wordings, *figures


def _judgings(scores: Sequence[Scores]) -> Iterator[Row]:
    for s in scores:
        for judging in s.judging:
            for other, a in judging.agreements.items():
                equal = "–" if a.equal is None else amount(a.equal, "fraction")
                kappa = "–" if a.kappa is None else f"{a.kappa:.2f}"
                cost = "?" if judging.usd is None else f"${judging.usd:.4f}"
                yield judging.judge, other, s.system, a.instructions, equal, kappa, len(judging.unusable), cost


def _comparison(comparison: Comparison) -> Table:
    """The p-value is that of approximate randomisation; the interval is of the paired bootstrap."""
    rows = [
        (
            d.task,
            _name(d),
            signed(d.value, d.unit),
            interval(d),
            probability(d.p),
            f"{d.wins} / {d.ties} / {d.losses}",
        )
        for d in comparison.differences
    ]
    columns = ["task", "metric", ">difference", ">95 %\ninterval", ">p", ">wins /\nties / losses"]
    return f"{comparison.b} against {comparison.a}", columns, rows, 2


def _published(scores: Sequence[Scores]) -> Iterator[Table]:
    """A table for each metric of ours that others have published; systems stand below the corpus that they were put to.

    What we call "wer/lower", where normalisers stand side by side, is "wer" to others.
    """
    ours = {(task, head.metric.partition("/")[0]): head for task, head in metric_columns(scores)}
    for (task, metric), head in ours.items():
        corpora: dict[str, list[Row]] = {}
        for p in published_for(task, metric):
            source = "; ".join(filter(None, [p.source, p.cited, p.note]))
            rows = corpora.setdefault(p.corpus, [(p.corpus, "", "")])
            rows.append((f"  {p.system}", amount(p.value, p.unit), source))
        arrow = "↓" if head.lower_is_better else "↑"
        title = f"Published: {task}, {metric.replace('_', ' ')} {arrow}"
        yield title, ["corpus, system", ">value", "source"], [row for rows in corpora.values() for row in rows], 0


def _name(figure: Figure | Difference) -> str:
    """The metric with its arrow, in words that a narrow column can be broken between."""
    return label(figure).replace("_", " ")
