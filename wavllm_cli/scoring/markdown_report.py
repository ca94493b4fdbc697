"""Scores as Markdown for repositories: all figures, failures and comparisons."""

import re
from collections.abc import Iterable, Iterator, Sequence

from wavllm_cli.console import visible
from wavllm_cli.errors import listed
from wavllm_cli.scoring.published import SOURCES, published_for
from wavllm_cli.scoring.scores import Scores
from wavllm_cli.scoring.shown import (
    amount,
    failures,
    find,
    given_answers,
    interval,
    label,
    method,
    metric_columns,
    never_failed,
    percentage,
    probability,
    signatures,
    signed,
    task_names,
    unscored,
)
from wavllm_cli.scoring.significance import Comparison

SHOWN_IDS = 5  # of the rows that failed in one way

Row = Sequence[str]


def markdown(scores: Sequence[Scores], comparisons: Sequence[Comparison], published: bool) -> str:
    """All figures, failures and comparisons as GitHub-flavoured Markdown.

    Args:
        scores: of one or more systems, the baseline first.
        comparisons: of the others with it.
        published: whether figures that others published stand beside ours.
    """
    parts = ["# Scores", method(scores)]
    for task in task_names(scores):
        parts += [f"## {_plain(task)}", _figures(scores, task, published), _plain(unscored(scores, task))]
        parts += [*_failures(scores, task), *_confusions(scores, task), _robustness(scores, task)]
    parts += [text for comparison in comparisons for text in _comparison(comparison)]
    if published:
        parts.append("Published figures: " + "; ".join(f"*{key}* – {text}" for key, text in SOURCES.items()) + ".")
    if made := signatures(scores):
        parts += ["## Signatures", "\n".join(f"- `{visible(signature, keep='')}`" for signature in made)]
    return "\n\n".join(filter(None, parts)) + "\n"


def _figures(scores: Sequence[Scores], task: str, published: bool) -> str:
    rows: list[Row] = []
    for metric in (figure.metric for name, figure in metric_columns(scores) if name == task):
        for s in scores:
            if f := find(s, task, metric):
                rows.append((label(f), s.system, amount(f.value, f.unit), interval(f), str(f.n), "ours"))
        if published:
            rows += [(metric, p.system, amount(p.value, p.unit), "", "", p.origin) for p in published_for(task, metric)]
    if not rows:
        return ""
    heads = ["metric", "system", ">value", ">95 % interval", ">rows", "source"]
    return _table(heads, rows) if published else _table(heads[:-1], [row[:-1] for row in rows])


def _failures(scores: Sequence[Scores], task: str) -> list[str]:
    rows = [
        (f.kind, name, f"{len(f.ids)} of {f.of}", percentage(len(f.ids), f.of), f.detail, listed(f.ids, SHOWN_IDS))
        for name, f in failures(scores, task)
    ]
    parts = [_table(["failure", "system", ">rows", ">share", "detail", "ids"], rows)] if rows else []
    absent = never_failed(scores, task)
    return parts + ([f"Looked for and found in no row: {_plain(', '.join(absent))}."] if absent else [])


def _confusions(scores: Sequence[Scores], task: str) -> Iterator[str]:
    for s in scores:
        if task in s.tasks and (confusion := s.tasks[task].confusion):
            given = given_answers(confusion)
            rows = [(right, *(str(counts.get(g, 0)) for g in given)) for right, counts in confusion.items()]
            yield f"Right answers (rows of the table) and those of {_plain(s.system)} (columns):"
            yield _table(["", *(f">{g}" for g in given)], rows)


def _robustness(scores: Sequence[Scores], task: str) -> str:
    rows = []
    for s in scores:
        if task in s.tasks and (r := s.tasks[task].robustness):
            figures = (amount(value, r.unit) for value in (r.mean, r.best, r.worst, r.spread))
            rows.append((r.metric, s.system, str(r.items), str(r.wordings), *figures))
    heads = ["over wordings", "system", ">items", ">wordings", ">mean", ">best", ">worst", ">spread"]
    return _table(heads, rows) if rows else ""


def _comparison(comparison: Comparison) -> list[str]:
    rows = [
        (
            d.task,
            label(d),
            amount(d.a, d.unit),
            amount(d.b, d.unit),
            signed(d.value, d.unit),
            interval(d),
            probability(d.p),
            probability(d.p_bootstrap),
            f"{d.wins} / {d.ties} / {d.losses}",
        )
        for d in comparison.differences
    ]
    heads = ["task", "metric", f">{comparison.a}", f">{comparison.b}", ">difference", ">95 % interval"]
    heads += [">p", ">p (bootstrap)", ">wins / ties / losses"]
    return [f"## {_plain(comparison.b)} against {_plain(comparison.a)}", _table(heads, rows)]


def _table(heads: Row, rows: Iterable[Row]) -> str:
    """A Markdown table; a head that begins with ">" has its column to the right."""
    rule = ["---:" if head.startswith(">") else "---" for head in heads]
    lines = [[_plain(head.removeprefix(">")) for head in heads], rule, *([*map(_plain, row)] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _plain(text: str) -> str:
    """Text in which nothing is markup, on one line."""
    return re.sub(r"([\\`*_\[\]<>|&~#])", r"\\\1", visible(" ".join(text.split())))
