"""What `wavllm gen-prompts` does: manifests in, a manifest out."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from wavllm_cli import console
from wavllm_cli.data.manifest import Utterance, read_manifest, relocate, write_manifest
from wavllm_cli.prompts import multitask, paraphrases
from wavllm_cli.prompts.multitask import Kind
from wavllm_cli.prompts.paraphrases import Split


@dataclass(frozen=True)
class Written:
    """How many rows were written, and where."""

    rows: int
    out: str

    def show(self) -> None:
        console.info(f"{self.rows} rows → {self.out}")

    def data(self) -> dict[str, Any]:
        return asdict(self)


def attach(manifest: Path, out: Path, split: Split, seed: int) -> Written:
    """Give each row of a manifest an instruction from the shipped pools."""
    return _write(out, paraphrases.attach(_rows([manifest], out), seed=seed, split=split))


def multi(manifests: Sequence[Path], out: Path, kind: Kind, n: int, seed: int) -> Written:
    """Compose multi-task rows from the rows of several manifests."""
    return _write(out, multitask.compose(_rows(manifests, out), kind=kind, n=n, seed=seed))


def _rows(manifests: Sequence[Path], out: Path) -> list[Utterance]:
    """All rows, their audio paths as seen from the new manifest: rows about one clip have one path there."""
    return [relocate(row, manifest, out) for manifest in manifests for row in read_manifest(manifest)]


def _write(out: Path, rows: list[Utterance]) -> Written:
    write_manifest(out, rows)
    return Written(len(rows), str(out))
