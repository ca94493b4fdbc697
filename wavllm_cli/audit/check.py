"""What `wavllm prep check` looks for: everything that is wrong with the manifests of one data set."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np

from wavllm_cli import console
from wavllm_cli.audit.facts import Facts
from wavllm_cli.audit.faults import FAULTS, Finding, Limits
from wavllm_cli.audit.letter_case import Cases
from wavllm_cli.audit.rows import CHECKS
from wavllm_cli.audit.sound import Depth, Verdict, judge
from wavllm_cli.audit.source import Sources, described
from wavllm_cli.audit.twins import Name, Shared, crossings, repeats
from wavllm_cli.data.batch import Clip
from wavllm_cli.data.files import shown
from wavllm_cli.data.parallel import in_order
from wavllm_cli.errors import UsageError


@dataclass
class Found:
    """What was found.

    Attributes:
        wanted: the faults that were looked for.
        findings: all of them, in the order of `FAULTS`, then of the rows.
        seconds: the right duration by row, where the manifest says another.
        lower: rows whose target would be right in lower case.
        shared: by fault, the speakers and groups that are in several splits, and the split that keeps each.
    """

    sources: Sources
    facts: Facts
    wanted: frozenset[str]
    findings: list[Finding] = field(default_factory=list)
    seconds: dict[int, float] = field(default_factory=dict)
    lower: set[int] = field(default_factory=set)
    shared: dict[str, dict[Name, int]] = field(default_factory=dict)

    def add(self, fault: str, number: int, detail: str) -> None:
        """Take in what is wrong with a row, if anybody wants to know."""
        if fault in self.wanted:
            source, index = self.sources.at(number)
            self.findings.append(Finding(fault, source.rows[index].id, detail, source.place(index), number))

    def sort(self) -> None:
        order = {fault: place for place, fault in enumerate(FAULTS)}
        self.findings.sort(key=lambda one: (order[one.fault], -1 if one.row is None else one.row))


def check(manifests: Sequence[Path], depth: Depth, limits: Limits, wanted: frozenset[str], workers: int) -> Found:
    """Look for faults in the manifests of one data set, whose splits they are.

    Args:
        depth: how audio is looked at: decoded, by its headers, or not at all.
        wanted: names of faults.
        workers: threads that decode.

    Raises:
        ManifestError: a file is missing, or is no manifest.
        UsageError: one is named twice, or not one row can be read.
    """
    if len({path.resolve() for path in manifests}) < len(manifests):
        raise UsageError("A manifest is named twice: each is one part of the data set.")
    sources = Sources(manifests)
    found = Found(sources, Facts(), wanted)
    _read(found)
    if len(sources):
        _look_at_rows(found, depth, limits, workers)
        _compare(found)
    elif not found.findings:
        raise UsageError(f"{', '.join(shown(path) for path in manifests)}: there are no rows.")
    found.sort()
    return found


def _read(found: Found) -> None:
    """Rows that cannot be read."""
    for source in found.sources.all if "invalid-row" in found.wanted else ():
        for line, problem in source.problems:
            item, detail = described(line, problem)
            found.findings.append(Finding("invalid-row", item, detail, f"{shown(source.path)}, line {line}", None))


# --- row by row ---


def _look_at_rows(found: Found, depth: Depth, limits: Limits, workers: int) -> None:
    cases = Cases()
    faulty: dict[int, Verdict] = {}
    begun: dict[int, Verdict] = {}  # clips after which their file goes on
    work = partial(_judge, depth=depth, limits=limits)
    threads = 1 if depth == "none" else workers  # handing work over takes longer than to look at a number
    for (number, _), verdict in in_order(work, _clips(found, cases), threads):
        found.facts.heard(number, verdict.digest)
        if verdict.faults:
            faulty[number] = verdict
        if verdict.goes_on:
            begun[number] = verdict
    faulty |= _longer(found.facts, begun)
    _tell_of_audio(found, faulty)
    for number, detail, is_lower in cases.found():
        found.add("wrong-case", number, detail)
        if is_lower and "wrong-case" in found.wanted:
            found.lower.add(number)


def _judge(item: tuple[int, Clip], depth: Depth, limits: Limits) -> Verdict:
    return judge(item[1], depth, limits)


def _clips(found: Found, cases: Cases) -> Iterator[tuple[int, Clip]]:
    """Go through all rows; yield each clip once, with its number."""
    seen: set[int] = set()
    for number, (source, row) in enumerate(console.track(found.sources, "rows", len(found.sources))):
        for fault, wrong in CHECKS.items():
            if detail := wrong(row):
                found.add(fault, number, detail)
        cases.add(row)
        clip = Clip(row, source.audio.paths(row))
        known = found.facts.add(source, row, clip)
        if known and known not in seen:
            seen.add(known)
            found.facts.add_clip(known, clip)
            yield known, clip


def _longer(facts: Facts, begun: dict[int, Verdict]) -> dict[int, Verdict]:
    """Of clips after which their file goes on, those that no other clip goes on with: their durations are wrong."""
    _, place, counts = np.unique(facts.files.values, return_inverse=True, return_counts=True)
    alone = np.array(facts.distinct)[counts[place] == 1]
    return {number: begun[number].as_whole_file() for number in begun.keys() & set(alone.tolist())}


def _tell_of_audio(found: Found, faulty: dict[int, Verdict]) -> None:
    """Every row about a clip has what is wrong with it."""
    clips = found.facts.clips.values
    for number in np.flatnonzero(np.isin(clips, list(faulty))).tolist():
        verdict = faulty[int(clips[number])]
        for fault, detail in verdict.faults:
            found.add(fault, number, detail)
            if fault == "wrong-duration" and fault in found.wanted and verdict.seconds:
                found.seconds[number] = verdict.seconds


# --- rows against rows ---


def _compare(found: Found) -> None:
    facts, name = found.facts, found.sources.name
    sides, clips, sounds, standings = facts.sides, facts.clips.values, facts.sounds, facts.splits.standings
    for row, first in repeats(facts.ids.values):
        found.add("duplicate-id", row, f"{name(first)} has it")
    for row, first in repeats(facts.asked.values, sides):
        found.add("duplicate-row", row, f"as {name(first)}")
    for row, first in repeats(sounds, sides):
        if clips[row] != clips[first]:
            found.add("same-audio", row, f"as {name(first)}")
    leaked = set()
    for row, kept in crossings(sounds, sides, standings):
        leaked.add(row)
        found.add("leaked-clip", row, f"it is {name(kept)}")
    for row, kept in crossings(facts.texts.values, sides, standings):
        if row not in leaked:
            found.add("shared-text", row, f"as in {name(kept)}")
    _share(found, "shared-speaker", facts.speakers)
    _share(found, "shared-group", facts.groups)


def _share(found: Found, fault: str, shared: Shared) -> None:
    """Speakers, or groups, that several splits have."""
    for name, keeper, where in shared.found(found.facts.splits.standings) if fault in found.wanted else ():
        found.shared.setdefault(fault, {})[name] = keeper
        parts, place = [], ""
        for rows, first in where.values():
            source, index = found.sources.at(first)
            place = place or source.place(index)
            parts.append(f"{source.split(source.rows[index])} ({rows:,}, the first {found.sources.name(first)})")
        found.findings.append(Finding(fault, name[1], f"in {', '.join(parts)}", place, None))
