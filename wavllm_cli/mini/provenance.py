"""How the miniature was made: sources, commands, machine, time, and how the losses fell."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from wavllm_cli import strict_json
from wavllm_cli.console import duration
from wavllm_cli.mini.plan import systems
from wavllm_cli.mini.request import SOURCES, Request
from wavllm_cli.scoring.report.pictures import LineChart, line_chart
from wavllm_cli.scoring.report.table import Cell, Column, Table
from wavllm_cli.training.logs import LOG, log_lines

POINTS = 100  # of a curve

Run = Mapping[str, Any]  # a line of the journal


def facts(request: Request, runs: Sequence[Run]) -> Iterator[tuple[str, str]]:
    """Names and what there is to say."""
    model = request.recipe().model
    words, voices = model.semantic_encoder.path or "random weights", request.acoustic_encoder or "a WavLM trained here"
    yield "Hears", f"{words} (what is said), {voices} (how)"
    yield "Answers", request.language_model or "a LLaMA trained here on the closed world's text"
    if request.rows:
        yield "Tests", f"at most {request.rows} rows of each, drawn by their ids"
    yield "Seeds", f"{', '.join(map(str, request.seeds))} of stage 2, {request.recipe().seed} of stage 1"
    for machine in dict.fromkeys(_machine(run["machine"]) for run in runs if "machine" in run):
        yield "Machine", machine
    yield "Time", f"{duration(sum(run.get('seconds', 0) for run in runs))} in all"
    yield "Date", max((run["began"] for run in runs if "began" in run), default="–")


def _machine(about: Mapping[str, Any]) -> str:
    parts = [f"{about['cores']} cores of {about['cpu']}", about.get("gpu"), f"Python {about['python']}"]
    software = [f"{name} {about[name]}" for name in ("torch", "transformers", "wavllm") if about.get(name)]
    return ", ".join(filter(None, [*parts, *software]))


def sources(request: Request) -> Table:
    """What the data are made of, as their `sources.json` says."""
    file = request.data / SOURCES
    rows: list[list[Cell]] = []
    for one in strict_json.loads(file.read_bytes()).get("sources", []) if file.is_file() else []:
        licence = one.get("licence", one.get("why", "unknown"))
        rows.append([one["name"], licence if isinstance(licence, str) else "; ".join(licence), _rest(one)])
    notes = [f"All of it, with the voices of each split: {file}."] if rows else []
    return Table("Sources", [Column("source"), Column("licence"), Column("what else is known")], rows, notes)


def _rest(source: Mapping[str, Any]) -> str:
    known = {key: value for key, value in source.items() if key not in ("name", "licence", "why", "sha256")}
    digests = source.get("sha256") or {}
    names = digests if isinstance(digests, Mapping) else {}
    shown = [f"{key}: {value}" for key, value in known.items()]
    return ", ".join([*shown, *(f"{name} {digest[:12]}…" for name, digest in names.items())])


def work(runs: Iterable[Run]) -> Table:
    """Each step with its command and all the time that it took, interruptions included."""
    seconds: dict[str, float] = {}
    latest: dict[str, Run] = {}
    for run in runs:
        seconds[run["step"]] = seconds.get(run["step"], 0.0) + run.get("seconds", 0.0)
        latest[run["step"]] = run
    rows: list[list[Cell]] = [
        [name, run["state"], duration(seconds[name]), run["began"], run["command"]] for name, run in latest.items()
    ]
    columns = [Column("step"), Column("state"), Column("time", True), Column("last begun"), Column("command")]
    return Table("What was done", columns, rows)


# --- curves ---


def charts(request: Request) -> Iterator[tuple[str, LineChart]]:
    """The loss of each training, by its log; those of stage 2 in one picture."""
    single = {"Language model": request.language / "stage1", "Stage 1": request.out / "stage1"}
    for title, folder in single.items():
        if lines := dict(_curves(folder)):
            yield f"{title}: loss", line_chart(lines)
    losses = {system.title: _curve(system.folder, "loss") for system in systems(request) if system.seed is not None}
    if lines := {title: points for title, points in losses.items() if points}:
        yield "Stage 2: loss", line_chart(lines)


def _curves(folder: Path) -> Iterator[tuple[str, list[tuple[float, float]]]]:
    for name, key in (("training", "loss"), ("validation", "validation_loss")):
        if points := _curve(folder, key):
            yield name, points


def _curve(folder: Path, key: str) -> list[tuple[float, float]]:
    """(step, value), of many steps the means of spans of equal length."""
    points = [(line["step"], line[key]) for line in log_lines(folder / LOG) if isinstance(line.get(key), int | float)]
    span = -(-len(points) // POINTS)
    spans = [points[i : i + span] for i in range(0, len(points), span or 1)]
    return [(fmean(step for step, _ in part), fmean(value for _, value in part)) for part in spans]
