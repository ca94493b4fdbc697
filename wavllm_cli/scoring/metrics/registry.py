"""All metrics in their order; a new one is a module with `METRICS` and its place in this list."""

from collections.abc import Iterable, Iterator
from typing import Any

from wavllm_cli.errors import UsageError, nearest
from wavllm_cli.scoring.measure import Measure
from wavllm_cli.scoring.metrics import bertscore, bleu, classes, ifeval, ifr, rouge, wer
from wavllm_cli.scoring.metrics.metric import Metric

_LISTS: list[Iterable[Metric[Any]]] = [
    wer.METRICS,
    bleu.METRICS,
    rouge.METRICS,
    bertscore.METRICS,
    classes.METRICS,
    ifr.METRICS,
    ifeval.METRICS,
]
METRICS = {metric.code: metric for metrics in _LISTS for metric in metrics}


def require_metric(code: str) -> None:
    """Refuse a code that no metric has.

    Raises:
        UsageError: the message names the nearest one and all others.
    """
    if code not in METRICS:
        meant = nearest(code, METRICS, 0)
        raise UsageError(f"unknown metric '{code}': did you mean '{meant}'? There are {', '.join(METRICS)}.")


def metrics_of(kind: type) -> list[str]:
    """The codes of all metrics of one kind of answers."""
    return [metric.code for metric in METRICS.values() if metric.kind is kind]


def measures(codes: Iterable[str], given: object) -> Iterator[Measure]:
    """The figures of metrics, one after another.

    Args:
        codes: of metrics.
        given: answers of the kind that they measure.
    """
    for code in codes:
        yield from METRICS[code].apply(given)


def spelled_out(figure: str) -> str:
    """What people read of a figure: "wer/lower" -> "word error rate (lower)"; what no metric has stays as it is."""
    code, _, variant = figure.partition("/")
    name = METRICS[code].name if code in METRICS else code
    return f"{name} ({variant})" if variant else name
