"""What `wavllm train` does: find where a stage starts, then run it."""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from wavllm_cli import console
from wavllm_cli.data.manifest import read_manifest
from wavllm_cli.errors import UsageError
from wavllm_cli.prompts import shipped_texts
from wavllm_cli.recipe import Recipe
from wavllm_cli.training.checkpoint import RunFolder, complete_lines
from wavllm_cli.training.inventory import manifests_of, missing_manifests
from wavllm_cli.training.launch import is_first_process, join


@dataclass(frozen=True)
class Summary:
    """How a stage ended: optimiser steps, mean loss of the last 20, last validation loss, seconds spent in steps."""

    folder: str
    steps: int
    loss: float
    validation_loss: float | None
    seconds: float

    def show(self) -> None:
        validation = "" if self.validation_loss is None else f", validation loss {self.validation_loss:.4f}"
        console.info(f"{self.steps} steps in {self.seconds:.0f} s, loss {self.loss:.4f}{validation} → {self.folder}")

    def data(self) -> dict[str, Any]:
        return asdict(self)


def train(
    recipe: Recipe,
    stage_number: int,
    output: Path,
    start: str | None = None,
    restart: bool = False,
    trust: bool = False,
) -> Summary:
    """Run one stage, or continue it where it was stopped; a finished stage is left as it is.

    Args:
        stage_number: counted from 1.
        output: the run's folder; the stage's own is `output/stageN`.
        start: checkpoint to start from instead of the previous stage's result.
        restart: forget what an earlier run of this stage left.
        trust: run code that the files of backbones or of `start` bring along.

    Raises:
        UsageError: no such stage, no result of the previous stage, or a run of another recipe in the folder.
        ManifestError: a manifest that is missing or broken.
    """
    launcher = join()
    if not 1 <= stage_number <= len(recipe.stages):
        raise UsageError(
            f"Recipe {recipe.name} has stages 1 to {len(recipe.stages)}, there is no stage {stage_number}."
        )
    folder = RunFolder(output / f"stage{stage_number}")
    if folder.finished and not restart:
        console.info(f"Stage {stage_number} is finished: {folder.path} (--restart trains it again).")
        return summarise(folder)
    source = start or _previous_result(output, stage_number)
    require_manifests(recipe, stage_number)
    if is_first_process():
        from wavllm_cli.training.plan import require_sound

        require_sound(recipe, stage_number, output, start, trust)
        if launcher:
            console.info(f"one of the processes started by {launcher}, which train together")
        if restart:
            folder.clear()
        folder.claim(recipe)
    else:
        console.set_quiet(True)

    # Only now the heavy libraries: whatever is wrong with the request has been said at once.
    import torch

    from wavllm_cli.model.build import build
    from wavllm_cli.model.load import load_model
    from wavllm_cli.training.groups import count_parameters
    from wavllm_cli.training.loop import Trainer

    stage = recipe.stages[stage_number - 1]
    torch.manual_seed(recipe.seed)
    if source:
        options = {"prompt_adapter_width": stage.prompt_adapter.width} if stage.prompt_adapter else {}
        dtype = torch.bfloat16 if stage.precision == "bf16" else torch.float32
        model, processor = load_model(source, dtype, trust, **options)
    else:
        model, processor = build(recipe, _texts(recipe), trust)
    trainer = Trainer(recipe, stage_number, model, processor, folder)
    counts = count_parameters(model)
    trained = sum(p.numel() for p in trainer.trained)
    console.info(f"stage {stage_number}: training {trained:,} of {sum(counts.values()):,} parameters → {folder.path}")
    model.generation_config.update(**recipe.generation.options())
    trainer.run()
    return summarise(folder)


def summarise(folder: RunFolder) -> Summary:
    """Read a stage's log back."""
    lines = [json.loads(line) for line in complete_lines(folder.path / "log.jsonl")]
    losses = [line["loss"] for line in lines if "loss" in line]
    validation = [line["validation_loss"] for line in lines if "validation_loss" in line]
    seconds = sum(line.get("seconds", 0.0) for line in lines)
    mean = sum(losses[-20:]) / max(1, len(losses[-20:]))
    return Summary(str(folder.path), len(losses), mean, validation[-1] if validation else None, seconds)


def require_manifests(recipe: Recipe, stage_number: int) -> None:
    """All manifests of a stage exist, or one error names all that don't: said at once, before torch is imported."""
    if problem := missing_manifests(recipe, manifests_of(recipe.stages[stage_number - 1])):
        raise UsageError(problem)


def _previous_result(output: Path, stage_number: int) -> str | None:
    """The folder that stage N starts from: the result of stage N - 1; stage 1 starts from the recipe's backbones."""
    if stage_number == 1:
        return None
    previous = RunFolder(output / f"stage{stage_number - 1}")
    if not previous.finished:
        state = "is not finished" if previous.newest_state() else "has not been trained"
        raise UsageError(
            f"Stage {stage_number} starts from stage {stage_number - 1}, which {state} in {previous.path}: run "
            f"`wavllm train --stage {stage_number - 1}` with the same recipe first, or give a checkpoint with --start."
        )
    return str(previous.path)


def _texts(recipe: Recipe) -> Iterator[str]:
    """What a tokenizer is trained on: the texts of stage 1, and the shipped wordings that stage 2 will meet."""
    for manifest in recipe.stages[0].manifests:
        for row in read_manifest(recipe.manifest(manifest)):
            yield from (row.prompt, row.target or "")
    yield from shipped_texts()
