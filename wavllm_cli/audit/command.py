"""What `wavllm prep check` does and says."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wavllm_cli import console
from wavllm_cli.audit.check import Found, check
from wavllm_cli.audit.faults import FAULTS, Finding, Limits
from wavllm_cli.audit.mend import Mended, mend, targets
from wavllm_cli.audit.sound import Depth
from wavllm_cli.errors import WavLLMError, listed, shortened

FIRST = 3  # of each fault that are shown


@dataclass(frozen=True)
class Report:
    """What was found, and what was written of it, or why nothing was."""

    found: Found
    mended: Mended | None = None
    failure: WavLLMError | None = None

    @property
    def by_fault(self) -> dict[str, list[Finding]]:
        groups: dict[str, list[Finding]] = defaultdict(list)
        for one in self.found.findings:
            groups[one.fault].append(one)
        return groups

    @property
    def rows(self) -> int:
        return len(self.found.sources) + sum(len(source.problems) for source in self.found.sources.all)

    def show(self) -> None:
        """A table of the faults, the first of each, and what became of them."""
        groups = self.by_fault
        if not groups:
            console.say(f"Rows: {self.rows:,}. Nothing found.")
        else:
            rows = [
                (fault, f"{len(all_of):,}", FAULTS[fault], listed([shortened(one.item, 40) for one in all_of], FIRST))
                for fault, all_of in groups.items()
            ]
            console.table(f"Rows: {self.rows:,}", ["fault", ">found", "what it is", "first"], rows)
        for fault, all_of in groups.items():
            for one in all_of[:FIRST]:
                console.say(f"{fault}: {one.place}: {shortened(one.item)}: {one.detail}")
        if self.mended:
            self._show_mended(self.mended)

    def _show_mended(self, mended: Mended) -> None:
        kept = ", ".join(f"{path} {rows:,}" for path, rows in mended.kept.items())
        console.info(f"kept: {kept}; changed: {mended.changed:,}")
        if mended.skipped:
            gone = ", ".join(f"{fault} {count:,}" for fault, count in mended.dropped.most_common())
            console.info(f"left out: {gone} → {mended.skipped}")

    def data(self) -> dict[str, Any]:
        """All of it, for programs."""
        faults = {
            fault: {
                "count": len(all_of),
                "what": FAULTS[fault],
                "found": [{"item": one.item, "place": one.place, "detail": one.detail} for one in all_of],
            }
            for fault, all_of in self.by_fault.items()
        }
        data: dict[str, Any] = {
            "manifests": [str(source.path) for source in self.found.sources.all],
            "rows": self.rows,
            "faults": faults,
        }
        if self.mended:
            data["fixed"] = {
                "kept": {str(path): rows for path, rows in self.mended.kept.items()},
                "changed": self.mended.changed,
                "dropped": dict(self.mended.dropped),
                "skipped": str(self.mended.skipped) if self.mended.skipped else None,
            }
        return data


def run(
    manifests: Sequence[Path], depth: Depth, limits: Limits, wanted: frozenset[str], workers: int, fix: Path | None
) -> Report:
    """Check manifests, and write clean ones where a folder for them is named.

    Raises:
        UsageError: a manifest is missing or none, or the folder cannot be used.
    """
    names = targets(manifests, fix) if fix else {}
    found = check(manifests, depth, limits, wanted, workers)
    if not fix:
        return Report(found)
    try:
        return Report(found, mend(found, names, fix))
    except WavLLMError as error:  # hours of decoding are not to be lost for it
        return Report(found, failure=error)
