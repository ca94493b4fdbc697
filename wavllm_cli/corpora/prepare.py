"""What `wavllm prep CORPUS` does: manifests out of a corpus, and a list of what is in none of them."""

import os
from array import array
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

from wavllm_cli import console
from wavllm_cli.corpora import NO_AUDIO, NOT_IN_TABLE, UNREADABLE, Adjusted, Draft, LeftOut, Skipped
from wavllm_cli.corpora.lengths import readers
from wavllm_cli.corpora.registry import find
from wavllm_cli.data.files import shown
from wavllm_cli.data.manifest import write_manifest
from wavllm_cli.data.schema import Utterance
from wavllm_cli.data.skipped import Row, list_skipped, skipped_earlier, skipped_row
from wavllm_cli.errors import UsageError, WavLLMError, counted, listed

NAMED = 5  # skipped items named in a warning


@dataclass(frozen=True)
class Written:
    """What became of a draft.

    Args:
        path: the manifest; there is none where no utterance is left.
        skipped: what is not in it, or otherwise than the corpus lists it, in its order.
    """

    path: Path
    split: str
    utterances: int
    hours: float
    skipped: list[Skipped]

    @property
    def listed(self) -> int:
        """Items that the corpus names."""
        return self.utterances + sum(not isinstance(one, Adjusted) for one in self.skipped)

    @property
    def in_table(self) -> int:
        """Those of them that are also in the table of another corpus that this one is about."""
        return self.listed - self._count(NOT_IN_TABLE)

    @property
    def found(self) -> int:
        """Those of them that are there."""
        return self.in_table - self._count(NO_AUDIO)

    @property
    def readable(self) -> int:
        """Those of them that are what they should be."""
        return self.found - self._count(UNREADABLE)

    def _count(self, reason: str) -> int:
        return sum(one.reason == reason for one in self.skipped)

    def counts(self) -> dict[str, int]:
        """How many items were left at each step."""
        counts = {"listed": self.listed, "in_table": self.in_table, "found": self.found, "readable": self.readable}
        return counts | {"utterances": self.utterances}


@dataclass(frozen=True)
class Summary:
    """What `prepare` made."""

    corpus: str
    drafts: list[Written]
    skipped_file: Path | None  # what is in no manifest; None where everything is

    @property
    def manifests(self) -> list[Written]:
        return [draft for draft in self.drafts if draft.utterances]

    @property
    def faults(self) -> list[Skipped]:
        """What cannot be used, unlike what is left out on purpose."""
        return [one for draft in self.drafts for one in draft.skipped if _is_fault(one)]

    @property
    def reasons(self) -> dict[str, int]:
        """How many items are in no manifest, by reason, the most frequent first."""
        return self._counted(lambda one: not isinstance(one, Adjusted))

    @property
    def changes(self) -> dict[str, int]:
        """How many are in one otherwise than the corpus lists them."""
        return self._counted(lambda one: isinstance(one, Adjusted))

    def _counted(self, wanted: Callable[[Skipped], bool]) -> dict[str, int]:
        told = (one for draft in self.drafts for one in draft.skipped if wanted(one))
        return dict(Counter(one.reason for one in told).most_common())

    def show(self) -> None:
        steps = {"listed": "listed", "in_table": "in a table", "found": "found", "readable": "readable"}
        if all(m.in_table == m.listed for m in self.drafts):
            del steps["in_table"]
        steps["utterances"] = "used"
        rows = [
            (m.path.name, *(f"{m.counts()[step]:,}" for step in steps), console.hours(m.hours)) for m in self.drafts
        ]
        console.table(self.corpus, ["manifest", *steps.values(), "hours"], rows)
        console.info(f"manifests → {self.manifests[0].path.parent}")
        if self.skipped_file:
            for what, counts in (("not used", self.reasons), ("changed", self.changes)):
                if counts:
                    said = [f"{reason} {count:,}" for reason, count in counts.items()]
                    console.info(f"{what}: {listed(said, 10)} → {self.skipped_file}")
        if faults := self.faults:
            console.error(f"{counted(len(faults), 'item')} could not be used; the first: {faults[0]}")

    def data(self) -> dict[str, Any]:
        manifests = [
            {"path": str(m.path), **m.counts(), "hours": m.hours, "skipped": len(m.skipped)} for m in self.manifests
        ]
        return {
            "corpus": self.corpus,
            "manifests": manifests,
            "skipped": [str(one) for one in self.faults],
            "reasons": self.reasons,
            "changes": self.changes,
            "skipped_file": str(self.skipped_file) if self.skipped_file else None,
        }


def prepare(
    name: str,
    root: str | Path | None = None,
    out: str | Path | None = None,
    workers: int | None = None,
    **options: Any,
) -> Summary:
    """Write a corpus's manifests, each complete or not at all; the same arguments give the same bytes.

    Args:
        name: of the corpus, as `registry.names` has it.
        root: the corpus as its owner ships it; None for one that is made here.
        out: folder for manifests and new audio; by default the corpus's own.
        workers: threads that read headers; None for a number that suits most disks.
        options: fields of the corpus's `Options`.

    Raises:
        UsageError: no such corpus or root, or an option out of range.
        WavLLMError: not one item can be used.
    """
    corpus = find(name)
    about = corpus.ABOUT
    if (about.root is None) != (root is None):
        raise UsageError(f"{name} needs the path of the corpus." if about.root else f"{name} takes no path.")
    out = Path(out or about.out)
    if out.exists() and not out.is_dir():
        raise UsageError(f"{shown(out)} is a file: --out names a folder for manifests.")
    earlier = skipped_earlier(out)
    drafts = corpus.manifests(None if root is None else Path(root), out, corpus.Options(**options))
    with readers(workers):
        written = [_write(draft, out) for draft in drafts]
    listed_in = _list_skipped(name, written, out, earlier)
    if not any(draft.utterances for draft in written):
        skipped = [one for draft in written for one in draft.skipped]
        first = f"; the first: {skipped[0]} → {listed_in}" if skipped else ""
        raise WavLLMError(f"{root or name} has no usable clip; skipped: {len(skipped):,}{first}.")
    return Summary(name, written, listed_in)


def _write(draft: Draft, out: Path) -> Written:
    """Write a manifest while its rows are read or made: they need not fit into memory."""
    skipped: list[Skipped] = []
    seconds = array("d")

    def used() -> Iterator[Utterance]:
        for row in console.track(draft.rows, draft.name, draft.total):
            if isinstance(row, Skipped):
                skipped.append(row)
            else:
                seconds.append(row.duration or 0)
                yield row
        os.sync()  # new audio reaches the disk before the manifest that names it

    path, rows = out / draft.name, used()
    for first in rows:  # without one there is no manifest
        write_manifest(path, chain([first], rows))
    if faults := [one for one in skipped if _is_fault(one)]:
        names = "; ".join(map(str, faults[:NAMED]))
        more = f"; and {len(faults) - NAMED} more" if len(faults) > NAMED else ""
        console.warn(f"{draft.name}: {counted(len(faults), 'clip')} skipped: {names}{more}.")
    return Written(path, draft.split, len(seconds), sum(seconds) / 3600, skipped)


def _is_fault(one: Skipped) -> bool:
    return not isinstance(one, LeftOut | Adjusted)


def _list_skipped(corpus: str, drafts: list[Written], out: Path, earlier: list[Row]) -> Path | None:
    """Write what is in no manifest; rows about manifests that are left as they were stay."""
    names = {draft.path.name for draft in drafts}
    own = [
        skipped_row(corpus, draft.split, one.item, one.reason, one.detail) | {"manifest": draft.path.name}
        for draft in drafts
        for one in draft.skipped
    ]
    return list_skipped(out, earlier, lambda row: row.get("manifest", f"{row['split']}.jsonl") in names, own)
