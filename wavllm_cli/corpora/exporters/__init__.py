"""Manifests for other toolkits: `wavllm prep export`. What a toolkit cannot say is left out, and counted.

An exporter is a module with `write(clips, folder)`, which yields why rows are left out, and none of it for the others.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from wavllm_cli import console
from wavllm_cli.data.batch import clips_of
from wavllm_cli.data.files import replacing, require_folder, require_new
from wavllm_cli.errors import WavLLMError, listed

KINDS = ("parquet", "hf", "lhotse", "kaldi")
NO_AUDIO, PIECES, NAME = "no audio", "joined of pieces", "a blank in its name"
IN_ARCHIVE = "audio within an archive"


@dataclass(frozen=True)
class Exported:
    """What was written, and how many rows were left out for which reasons."""

    out: str
    rows: int
    left_out: dict[str, int]

    def show(self) -> None:
        console.info(f"{self.rows:,} rows → {self.out}")
        if self.left_out:
            counts = [f"{count:,} {reason}" for reason, count in self.left_out.items()]
            console.warn(f"left out: {listed(counts, len(counts))}.")

    def data(self) -> dict[str, Any]:
        return asdict(self)


def export(manifest: Path, to: str, out: Path) -> Exported:
    """Write a manifest as another toolkit has it, completely or not at all.

    Args:
        to: one of `KINDS`.
        out: a new folder.

    Raises:
        UsageError: the folder has something in it.
        ManifestError: the manifest cannot be read.
        WavLLMError: no row can be exported, or audio cannot be read.
    """
    require_folder(out)
    require_new(out)
    clips = clips_of(manifest)
    exporter = import_module(f"{__name__}.{to}")
    with replacing(out) as draft:
        draft.mkdir()
        written: Iterator[str] = exporter.write(console.track(clips, to, len(clips)), draft)
        left_out = Counter(written)
        if left_out.total() == len(clips):
            raise WavLLMError(f"{manifest} has no row that {to} can say: {', '.join(left_out)}.")
    return Exported(str(out), len(clips) - left_out.total(), dict(left_out.most_common()))
