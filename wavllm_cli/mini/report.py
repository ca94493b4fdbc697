"""The report of the miniature: what came out, with intervals, beside what was hoped for; and how it was made.

Every figure is read from a scores.json; what is missing is said to be missing.
"""

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from wavllm_cli import console
from wavllm_cli.data.files import write_text
from wavllm_cli.mini import provenance
from wavllm_cli.mini.exam import EVERYTHING, WORLD, WRONG_AUDIO, plan_of_exam
from wavllm_cli.mini.figures import Figure, Scores, called, task_of
from wavllm_cli.mini.plan import RIGHT, System, systems
from wavllm_cli.mini.request import Request
from wavllm_cli.mini.steps import Journal
from wavllm_cli.scoring.report.markdown import sections
from wavllm_cli.scoring.report.page import render
from wavllm_cli.scoring.report.table import Cell, Column, Table, amount, interval, probability, signed

TITLE = "WavLLM in miniature"
VOICES = {
    "real": "Real recordings",
    "synthetic": "Synthetic voices",
    "mixed": "Synthetic voices and some real ones",
    "none": "Text",
}
LISTENS = 0.9  # word error rate from which on wrong audio is heard to be wrong
TEST, FIGURE, INTERVAL, ROWS = Column("test"), Column("figure"), Column("95 % interval", True), Column("rows", True)


@dataclass(frozen=True)
class Found:
    """All that the report is made of."""

    request: Request
    scores: dict[str, Scores]
    runs: list[dict[str, Any]]

    @property
    def systems(self) -> list[System]:
        return systems(self.request)

    @property
    def main(self) -> System:
        """Stage 2 of the first seed."""
        return self.systems[1]

    def figure(self, test: str, system: System, names: str | Sequence[str]) -> Figure | None:
        return self.scores[test].figure(system.title, names) if test in self.scores else None


def write(request: Request, journal: Journal) -> Path:
    """Write report.html and report.md of what there is.

    Raises:
        WavLLMError: a file of scores is none, or nothing can be written.
    """
    files = [request.out / "scores" / f"{test}.json" for test in request.tests.names(EVERYTHING)]
    if missing := [file.stem for file in files if not file.is_file()]:
        console.warn(f"The report is without {', '.join(missing)}: not scored yet.")
    found = Found(request, {file.stem: Scores.read(file) for file in files if file.is_file()}, list(journal.lines()))
    tables = [table for table in _tables(found) if table.rows or table.notes]
    facts = list(provenance.facts(request, found.runs))
    page = request.out / "report.html"
    text = [f"# {TITLE}", "\n".join(f"- {name}: {fact}" for name, fact in facts), *sections(tables)]
    write_text(request.out / "report.md", "\n\n".join(text) + "\n")
    html = render(
        Path(__file__).with_name("report.html.jinja"),
        title=TITLE,
        facts=facts,
        tables=tables,
        charts=list(provenance.charts(request)),
        details=sorted(found.scores),
    )
    write_text(page, html)
    return page


def _tables(found: Found) -> Iterator[Table]:
    for voices, title in VOICES.items():
        yield headline(found, voices, title)
    yield control(found)
    yield stages(found)
    yield prompt_adapter(found)
    yield deaf(found)
    yield from confusions(found)
    yield everything(found)
    yield provenance.sources(found.request)
    yield provenance.work(found.runs)


# --- what came out ---


def headline(found: Found, voices: str, title: str) -> Table:
    """The figures that have a target."""
    rows: list[list[Cell]] = []
    for entry in plan_of_exam()["headline"]:
        test = entry["test"]
        if plan_of_exam()["tests"][test]["voices"] != voices:
            continue
        figure, target = found.figure(test, found.main, entry["figure"]), entry["target"]
        if figure is None:
            rows.append([entry["claim"], test, "–", "not measured", "–", 0, str(target), "–", "–"])
            continue
        sign = "≤" if figure.lower_is_better else "≥"
        reached = "yes" if figure.reaches(target) else "no"
        name, value = called(entry["figure"], figure.lower_is_better), figure.value
        goal = f"{sign} {amount(target, value.unit)}"
        most = found.scores[test].figure(RIGHT, entry["figure"])
        best = most.value if most else "–"
        rows.append([entry["claim"], test, name, value, value.interval, _rows(figure), goal, reached, best])
    columns = [Column("claim"), TEST, FIGURE, Column("value", True), INTERVAL, ROWS]
    columns += [Column("target", True), Column("reached"), Column(RIGHT, True)]
    notes = [
        f"Of {found.main.title}. “Right”: the mean over the kinds of sub-answers, weighted by rows. The last column is"
        " what the right answers themselves score: where that is less than all, rules are wrong about them."
    ]
    return Table(title, columns, rows, notes if rows else [])


def control(found: Found) -> Table:
    """Whether the answers come from the audio."""
    right, wrong = (found.figure(test, found.main, "asr wer") for test in (WORLD, WRONG_AUDIO))
    if right is None or wrong is None:
        return Table("Wrong audio", [], [])
    listens = wrong.value.value > LISTENS and right.value.high < wrong.value.low
    meaning = "the answers come from the audio" if listens else "this does not show that it listens"
    said = (
        f"The word error rate in the closed world is {right.value} ({right.value.interval}); where each row has the "
        f"audio of another, {wrong.value} ({wrong.value.interval}): {meaning}."
    )
    return Table("Wrong audio", [], [], [said])


def stages(found: Found) -> Table:
    """From stage 1 to stage 2, with the prompt adapter."""
    first, tuned = found.systems[0], [s for s in found.systems if s.name.startswith("prompt-")]
    rows: list[list[Cell]] = []
    for entry in plan_of_exam()["effects"]:
        before, after = (found.figure(entry["test"], system, entry["figure"]) for system in (first, found.main))
        if before is None or after is None:
            continue
        rows.append(
            [*_named(entry, before), before.value, after.value, *_gain(found, entry), _spread(found, entry, tuned)]
        )
    columns = [TEST, FIGURE, Column(first.title, True), Column(found.main.title, True), Column("difference", True)]
    columns += [INTERVAL, Column("p", True), Column("all seeds: mean (range)", True)]
    notes = ["p: approximate randomisation, two-sided, on the rows of one seed; it knows nothing of other seeds."]
    return Table("From stage 1 to stage 2", columns, rows, notes if rows else [])


def _gain(found: Found, entry: dict[str, Any]) -> list[Cell]:
    """Difference, its interval, and p."""
    names = entry["figure"]
    if isinstance(names, str) and (d := found.scores[entry["test"]].difference(found.main.title, names)):
        low, high, p = (math.nan if d[key] is None else d[key] for key in ("low", "high", "p"))
        return [signed(d["value"], d["unit"]), interval(low, high, d["unit"]), probability(p)]
    before, after = (found.figure(entry["test"], system, names) for system in (found.systems[0], found.main))
    assert before and after
    return [signed(after.value.value - before.value.value, before.value.unit), "–", "–"]


def _spread(found: Found, entry: dict[str, Any], over: Sequence[System]) -> str:
    figures = [figure for system in over if (figure := found.figure(entry["test"], system, entry["figure"]))]
    values, unit = [figure.value.value for figure in figures], figures[0].value.unit
    return f"{amount(fmean(values), unit)} ({interval(min(values), max(values), unit)})"


def prompt_adapter(found: Found) -> Table:
    """Stage 2 without and with the prompt adapter, seed by seed."""
    pairs = [
        (plain, tuned)
        for plain in found.systems
        for tuned in found.systems
        if plain.name == f"plain-{plain.seed}" and tuned.name == f"prompt-{plain.seed}"
    ]
    rows: list[list[Cell]] = []
    outcomes: Counter[str] = Counter()
    for entry in plan_of_exam()["effects"]:
        both = [tuple(found.figure(entry["test"], system, entry["figure"]) for system in pair) for pair in pairs]
        known = [(off, on) for off, on in both if off and on]
        if not known:
            continue
        gains = [on.value.value - off.value.value for off, on in known]
        better, worse = (sum(sign * gain > 0 for gain in gains) for sign in _signs(known[0][0]))
        outcomes["better" if better == len(gains) else "worse" if worse == len(gains) else "neither"] += 1
        seeds = [f"{off.value} → {on.value}" if off and on else "–" for off, on in both]
        mean = signed(fmean(gains), known[0][0].value.unit)
        rows.append([*_named(entry, known[0][0]), *seeds, mean, f"{better} of {len(gains)}"])
    columns = [TEST, FIGURE, *(Column(f"seed {plain.seed}: off → on", True) for plain, _ in pairs)]
    columns += [Column("mean difference", True), Column("better with", True)]
    notes = [
        f"At equal steps. With the prompt adapter {outcomes['better']} of {len(rows)} figures are better in every seed,"
        f" {outcomes['worse']} worse in every seed, {outcomes['neither']} neither: where the sign changes with the"
        " seed, no effect is to be seen at this budget."
    ]
    return Table("Prompt adapter on and off", columns, rows, notes if rows else [])


def _signs(figure: Figure) -> tuple[int, int]:
    """Of a difference for the better and of one for the worse."""
    return (-1, 1) if figure.lower_is_better else (1, -1)


def deaf(found: Found) -> Table:
    """The control without what the acoustic encoder hears."""
    control = found.systems[-1]
    rows: list[list[Cell]] = []
    for test, scores in found.scores.items():
        for name in scores.names(control.title):
            heard, unheard = (found.figure(test, system, name) for system in (found.main, control))
            if heard and unheard:
                label = called(name, heard.lower_is_better)
                values = [cell for figure in (heard, unheard) for cell in (figure.value, figure.value.interval)]
                rows.append([_about(test), label, *values, _rows(heard)])
    columns = [TEST, FIGURE, Column("with", True), INTERVAL, Column("deaf", True), INTERVAL, ROWS]
    notes = [
        "Deaf: both stages trained again behind an acoustic encoder of the same sizes whose projection of what it hears"
        " is zero, so that Whisper alone brings news of the clip."
    ]
    return Table("Without the acoustic encoder", columns, rows, notes if rows else [])


def confusions(found: Found) -> Iterator[Table]:
    """Right answers and those of the main system, of tests whose answers are one of a few."""
    for test, scores in found.scores.items():
        for task, right in scores.confusions(found.main.title).items():
            if "/" in task:
                continue
            given = list(dict.fromkeys([*right, *(answer for counts in right.values() for answer in counts)]))
            rows: list[list[Cell]] = [[answer, *(counts.get(g, 0) for g in given)] for answer, counts in right.items()]
            title = f"{_about(test)}: right answers (rows) and given ones (columns)"
            yield Table(title, [Column(""), *(Column(g, True) for g in given)], rows, matrix=True)


def everything(found: Found) -> Table:
    rows: list[list[Cell]] = []
    for test, scores in found.scores.items():
        for name in dict.fromkeys(name for system in found.systems for name in scores.names(system.title)):
            for system in found.systems:
                if figure := scores.figure(system.title, name):
                    label = f"{task_of(name)}, {called(name, figure.lower_is_better)}"
                    rows.append([_about(test), label, system.title, figure.value, figure.value.interval, _rows(figure)])
    return Table("All figures", [TEST, FIGURE, Column("system"), Column("value", True), INTERVAL, ROWS], rows)


def _rows(figure: Figure) -> Cell:
    return f"{figure.n} (few)" if figure.value.few else figure.n


def _named(entry: dict[str, Any], figure: Figure) -> list[Cell]:
    return [_about(entry["test"]), called(entry["figure"], figure.lower_is_better)]


def _about(test: str) -> str:
    """What a test is, in words; its name where nothing is known of it."""
    return plan_of_exam()["tests"].get(test, {}).get("about", test)
