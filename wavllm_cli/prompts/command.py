"""What `wavllm gen-prompts` does: manifests in, a manifest out."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from wavllm_cli import console
from wavllm_cli.data.manifest import Utterance, read_manifest, relocate, write_manifest
from wavllm_cli.prompts import multitask
from wavllm_cli.prompts.multitask import Kind
from wavllm_cli.prompts.pools import ATTACH_TASKS, POOL_TASKS, Split, read_pools
from wavllm_cli.prompts.pools import attach as attach_wordings


@dataclass(frozen=True)
class Written:
    """How many rows were written, and where."""

    rows: int
    out: str

    def show(self) -> None:
        console.info(f"{self.rows} rows → {self.out}")

    def data(self) -> dict[str, Any]:
        return asdict(self)


def attach(
    manifest: Path, out: Path, split: Split, seed: int, pools: Sequence[str], tasks: Sequence[str] | None
) -> Written:
    """Give rows of a manifest an instruction from the shipped pools, or from the user's where those have the task.

    Without `tasks` these are the tasks whose rows bring none of their own, and those of the user's pools.
    """
    own = read_pools(pools)
    tasks = tasks or [*POOL_TASKS, *(task for task in own if task in ATTACH_TASKS and task not in POOL_TASKS)]
    unused = [task for task in own if task not in tasks]
    if unused:
        console.warn(f"wordings for {', '.join(unused)} are not used: only {', '.join(tasks)} rows are given one.")
    return _write(out, attach_wordings(_rows([manifest], out), seed, split, own, tasks))


def multi(manifests: Sequence[Path], out: Path, kind: Kind, n: int, seed: int) -> Written:
    """Compose multi-task rows from the rows of several manifests."""
    return _write(out, multitask.compose(_rows(manifests, out), kind=kind, n=n, seed=seed))


def _rows(manifests: Sequence[Path], out: Path) -> list[Utterance]:
    """All rows, their audio paths as seen from the new manifest: rows about one clip have one path there."""
    return [relocate(row, manifest, out) for manifest in manifests for row in read_manifest(manifest)]


def _write(out: Path, rows: list[Utterance]) -> Written:
    write_manifest(out, rows)
    return Written(len(rows), str(out))
