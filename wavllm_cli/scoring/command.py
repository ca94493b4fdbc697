"""What `wavllm score` does: hypotheses in, a table and scores.json out."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wavllm_cli import console
from wavllm_cli.data.manifest import Hypothesis, read_manifest
from wavllm_cli.scoring.normalize import get_normalizer
from wavllm_cli.scoring.report import Scores, score


@dataclass(frozen=True)
class Scored:
    """The scores of one hypotheses file and where they were written."""

    scores: Scores
    output: Path

    def show(self) -> None:
        console.table("Scores", *self.scores.table())
        for signature in self.scores.signatures():
            console.out.print(signature, markup=False)
        console.info(f"→ {self.output}")

    def data(self) -> dict[str, Any]:
        return self.scores.as_dict()


def score_file(hypotheses: Path, output: Path | None, normalizer: str, seed: int) -> Scored:
    """Score a hypotheses file; by default scores.json lies beside it.

    Raises:
        UsageError: unknown normaliser.
        ManifestError: the file cannot be read.
    """
    get_normalizer(normalizer)  # a wrong name is said before a large file is read
    scored = Scored(
        score(read_manifest(hypotheses, Hypothesis), normalizer, seed), output or hypotheses.with_name("scores.json")
    )
    scored.scores.write(scored.output)
    return scored
