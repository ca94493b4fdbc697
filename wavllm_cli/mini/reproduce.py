"""What `wavllm reproduce mini` does: the paper's argument in one command, which continues where it was stopped.

OUT/
    log.jsonl                what was done when: commands, seconds, machine
    language/ listener/      the backbones that are trained here (language/llm is an ordinary LLaMA folder)
    stage1/                  stage 1
    prompt-S/ plain-S/       stage 2 of seed S with and without prompt adapter, at equal steps
    deaf/                    both stages behind an acoustic encoder that hears nothing
    exam/ answers/ scores/   what all were asked, what they said, how good it is
    report.html, .md         what came out
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wavllm_cli import console
from wavllm_cli.data.files import owned, require_folder
from wavllm_cli.data.known_models import catalogue
from wavllm_cli.errors import UsageError, did_you_mean
from wavllm_cli.mini import plan
from wavllm_cli.mini.request import Request
from wavllm_cli.mini.steps import Journal, run
from wavllm_cli.models.get import fetch_missing

LOG = "log.jsonl"


@dataclass(frozen=True)
class Reproduced:
    """Where the report is; None: none was asked for."""

    out: Path
    report: Path | None

    def show(self) -> None:
        console.info(f"→ {self.report or self.out}")

    def data(self) -> dict[str, Any]:
        return {"out": str(self.out), "report": str(self.report) if self.report else None}


def reproduce(request: Request, only: Sequence[str] = (), yes: bool = False) -> Reproduced:
    """Do all steps that are not done yet, and write the report.

    Args:
        only: groups of steps; none: all.
        yes: fetch backbones that are not on this machine without asking.

    Raises:
        UsageError: there is no such step, something that a step needs is missing, or backbones would be fetched and
            nobody can be asked.
        WavLLMError: a step failed; the same command goes on from there.
        KeyboardInterrupt: a step was interrupted, likewise.
    """
    for name in only:
        if name not in plan.GROUPS:
            raise UsageError(f"There is no step {name!r}{did_you_mean(name, plan.GROUPS)}: {', '.join(plan.GROUPS)}.")
    require_folder(request.out)
    _require_backbones(request, yes)
    journal = Journal(request.out / LOG)
    with owned(request.out):
        making = plan.data_step(request)
        run([making] if making else [], journal, only)
        if set(only) != {"data"}:
            run(plan.later_steps(request, only), journal, only)
        return Reproduced(request.out, _reported(request, journal) if not only or "report" in only else None)


def _require_backbones(request: Request, yes: bool) -> None:
    """The pretrained ones are on this machine, or are fetched now, before hours of work."""
    model = request.recipe().model
    named = [model.semantic_encoder.path, request.language_model]
    fetch_missing([catalogue()[name] for name in named if name in catalogue()], yes)


def _reported(request: Request, journal: Journal) -> Path:
    from wavllm_cli.mini.report import write

    return write(request, journal)
