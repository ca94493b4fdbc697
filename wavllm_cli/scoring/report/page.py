"""Results as one HTML page that needs nothing else but the recordings that it plays."""

import math
import os
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

import wavllm_cli
from wavllm_cli.console import visible
from wavllm_cli.scoring.metrics.registry import spelled_out as metric_name
from wavllm_cli.scoring.metrics.wer import alignment
from wavllm_cli.scoring.report.pictures import histogram, interval_plot
from wavllm_cli.scoring.report.table import amount
from wavllm_cli.scoring.report.tables import Results, facts, label, meaning, method, signatures
from wavllm_cli.scoring.scores import Recording
from wavllm_cli.tasks.registry import spelled_out as task_name
from wavllm_cli.text.normalize import get_normalizer

if TYPE_CHECKING:
    import jinja2

HERE = Path(__file__).parent
SHOWN_IDS = 200  # of the rows that failed in one way; scores.json has them all


def page(results: Results, folder: Path, judge_prompt: str | None = None) -> str:
    """The page that shows everything scoring found.

    Args:
        results: what was found.
        folder: where the page will lie; recordings are linked from there.
        judge_prompt: what a model was told that judged answers, if one did.
    """
    return render(
        HERE / "page.html.jinja",
        results=results,
        systems=", ".join(s.system for s in results.scores),
        tables=[table.compact() for table in results.tables],
        facts=facts(results.about),
        meaning=meaning(results),
        method=method(results),
        signatures=signatures(results),
        judge_prompt=judge_prompt,
        amount=amount,
        task_name=task_name,
        metric_name=metric_name,
        label=label,
        plot=lambda task, metric: interval_plot(results, task, metric),
        histogram=histogram,
        is_plain=is_plain,
        words=lambda reference, text: alignment(reference, text, get_normalizer(results.scores[0].normalizer)),
        sort_key=sort_key,
        link=lambda recording: link(recording, folder),
    )


def render(template: Path, **context: object) -> str:
    """A page made of a template, which may use `style.css` and `parts.html.jinja` that lie here.

    Args:
        context: what the template's names mean; those of `parts.html.jinja` are there already.
    """
    return (
        _environment(template.parent)
        .get_template(template.name)
        .render(shown_ids=SHOWN_IDS, kind=lambda cell: type(cell).__name__, version=wavllm_cli.__version__, **context)
    )


@cache
def _environment(folder: Path) -> "jinja2.Environment":
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader([folder, HERE]),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=lambda value: visible(value) if type(value) is str else value,  # markup has been through it
    )
    environment.filters["capitalise"] = lambda text: text[:1].upper() + text[1:]
    return environment


def is_plain(values: Sequence[float]) -> bool:
    """Whether rows are only right or wrong, so that a histogram says no more than their mean."""
    return len({value for value in values if not math.isnan(value)}) <= 2


def sort_key(value: float) -> str:
    """A number as JavaScript reads it; NaN stands below all others."""
    return str(value) if math.isfinite(value) else "Infinity" if value > 0 else "-Infinity"


def link(recording: Recording, folder: Path) -> str:
    """The address of a recording, relative to the page's folder, with the seconds that are to be played."""
    path = Path(os.path.relpath(Path(recording.path).absolute(), folder.absolute()))
    whole = not recording.start and recording.end is None
    end = "" if recording.end is None else f",{recording.end:g}"
    return quote(os.fsencode(path.as_posix())) + ("" if whole else f"#t={recording.start:g}{end}")
