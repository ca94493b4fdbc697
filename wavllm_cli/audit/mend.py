"""What `wavllm prep check --fix` writes: the manifests without what is wrong in them."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

from wavllm_cli.audit.check import Found
from wavllm_cli.audit.facts import groups, speakers
from wavllm_cli.audit.faults import Finding
from wavllm_cli.audit.source import Source, described
from wavllm_cli.data.audio_paths import beside
from wavllm_cli.data.files import require_folder, shown
from wavllm_cli.data.manifest import write_manifest
from wavllm_cli.data.schema import Utterance
from wavllm_cli.data.skipped import Row, list_skipped, skipped_earlier, skipped_row
from wavllm_cli.errors import UsageError, WavLLMError
from wavllm_cli.text.normalize import get_normalizer

CORPUS = "prep check"  # of rows that name none
WRITABLE = (".jsonl", ".jsonl.gz", ".parquet")
KEPT = {"wrong-duration", "wrong-case"}  # where what would be right is known


class Gone(NamedTuple):
    """Why a row is not in the clean manifest."""

    fault: str
    detail: str


@dataclass
class Mended:
    """What was written.

    Attributes:
        kept: rows by clean manifest.
        dropped: rows by the first fault of each.
        changed: rows that are kept with another duration, or in lower case.
        skipped: the list of what was dropped; None where nothing was.
    """

    kept: dict[Path, int] = field(default_factory=dict)
    dropped: Counter[str] = field(default_factory=Counter)
    changed: int = 0
    skipped: Path | None = None


def targets(manifests: Sequence[Path], out: Path) -> dict[Path, Path]:
    """The clean manifest for each, found before the work.

    Raises:
        UsageError: two would have one name, one would be overwritten, or nothing can be written there.
    """
    require_folder(out)
    names = {path: out / (path.name if path.name.endswith(WRITABLE) else f"{path.stem}.jsonl") for path in manifests}
    if twice := [name for name, count in Counter(names.values()).items() if count > 1]:
        raise UsageError(f"Two manifests are called {twice[0].name}: fix them one by one, into different folders.")
    if any(path.parent.resolve() == out.resolve() for path in manifests):
        raise UsageError(f"{shown(out)} holds the manifests themselves: --fix writes into another folder.")
    return names


def mend(found: Found, names: Mapping[Path, Path], out: Path) -> Mended:
    """Write the clean manifests, and the list of what went and why.

    Where splits share something the lower one gives way, training first: what is evaluated on stays as it is.

    Raises:
        WavLLMError: nothing would be left of a manifest; none is written.
    """
    mended, earlier = Mended(), skipped_earlier(out)
    gone = {source: _gone(found, source) for source in found.sources.all}
    for source, rows in gone.items():
        _require_rest(source, rows)
    skipped: list[Row] = []
    for source, rows in gone.items():
        target = names[source.path]
        write_manifest(target, _clean(found, source, rows, target, mended))
        mended.kept[target] = len(source.rows) - len(rows)
        skipped += _listed(source, rows)
    mended.dropped.update(row["reason"] for row in skipped)
    ours = {(row["corpus"], row["split"]) for row in skipped}
    mended.skipped = list_skipped(out, earlier, lambda row: (row["corpus"], row["split"]) in ours, skipped)
    return mended


def _gone(found: Found, source: Source) -> dict[int, Gone]:
    """Which rows of a manifest go, by their number there, and why."""
    first = found.sources.first(source)
    faults: dict[int, list[Finding]] = defaultdict(list)
    for one in found.findings:
        if one.row is not None and 0 <= one.row - first < len(source.rows):
            faults[one.row - first].append(one)
    gone = {}
    for index, row in enumerate(source.rows):
        if why := _why(found, source, row, faults.get(index, ())):
            gone[index] = why
    return gone


def _why(found: Found, source: Source, row: Utterance, faults: Sequence[Finding]) -> Gone | None:
    for one in faults:
        if one.fault not in KEPT or (one.fault == "wrong-case" and one.row not in found.lower):
            return Gone(one.fault, one.detail)
    side = found.facts.splits.number(source.split(row))
    for fault, names in (("shared-speaker", speakers(row)), ("shared-group", groups(row))):
        keepers = found.shared.get(fault, {})
        for name in sorted(names & keepers.keys(), key=str):
            if keepers[name] != side:
                return Gone(fault, f"{name[1]} is in another split too")
    return None


def _require_rest(source: Source, gone: Mapping[int, Gone]) -> None:
    if len(gone) == len(source.rows):
        (fault, count), *_ = Counter(one.fault for one in gone.values()).most_common(1) or [("invalid-row", 0)]
        most = f"{count:,} of {len(gone):,} rows go for {fault}" if gone else "no row of it can be read"
        cure = f"; leave that out by --skip {fault}, or make the splits anew" if gone else ""
        raise WavLLMError(f"Nothing would be left of {shown(source.path)}: {most}{cure}.")


def _clean(found: Found, source: Source, gone: Mapping[int, Gone], target: Path, mended: Mended) -> Iterator[Utterance]:
    first = found.sources.first(source)
    for index, row in enumerate(source.rows):
        if index in gone:
            continue
        right = _right(found, row, first + index)
        mended.changed += right != row
        yield beside(right, source.audio.paths(row), target)


def _right(found: Found, row: Utterance, number: int) -> Utterance:
    """A row with the duration that its audio has, and in lower case where its corpus is."""
    changes: dict[str, object] = {}
    if number in found.seconds and isinstance(row.audio, str):
        changes["duration"] = round(found.seconds[number], 6)
    if number in found.lower:
        lower = replace(get_normalizer("lower"), language=row.target_language or row.language)
        texts = {"target": row.target, "transcript": row.transcript}
        changes |= {name: lower(text) for name, text in texts.items() if text == row.target and text}
    return row.model_copy(update=changes) if changes else row


def _listed(source: Source, gone: Mapping[int, Gone]) -> Iterator[Row]:
    for index, why in gone.items():
        row = source.rows[index]
        yield skipped_row(row.corpus or CORPUS, source.split(row), row.id, why.fault, why.detail)
    for line, problem in source.problems:
        item, detail = described(line, problem)
        yield skipped_row(CORPUS, source.name, item, "invalid-row", detail)
