"""What `wavllm train` does: find where a stage starts, or continues, or that it is another training; then run it."""

from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from wavllm_cli import console
from wavllm_cli.errors import UsageError
from wavllm_cli.recipe import Recipe
from wavllm_cli.training.checkpoint import RunFolder
from wavllm_cli.training.launch import decided_by_first, is_first_process, join
from wavllm_cli.training.logs import LOG, log_lines
from wavllm_cli.training.opening import Opening, Request, open_stage

LAST = 20  # steps whose mean loss is shown


@dataclass(frozen=True)
class Summary:
    """How a stage ended: optimiser steps, mean loss of the last 20, last validation loss, seconds spent in steps.

    What the log does not tell (any more) is None.
    """

    folder: str
    steps: int
    loss: float | None
    validation_loss: float | None
    seconds: float

    def show(self) -> None:
        loss = "" if self.loss is None else f" in {self.seconds:.0f} s, loss {self.loss:.4f}"
        validation = "" if self.validation_loss is None else f", validation loss {self.validation_loss:.4f}"
        console.info(f"{self.steps} steps{loss}{validation} → {self.folder}")

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
        UsageError: no such stage, no result of the previous stage, another training in the folder, or a checkpoint that
            is not the model which the recipe describes.
        ManifestError: a manifest that is missing or broken.
        WavLLMError: another process trains there, the disk is too small, or the state is damaged.
    """
    launcher = join()
    if not 1 <= stage_number <= len(recipe.stages):
        raise UsageError(
            f"Recipe {recipe.name} has stages 1 to {len(recipe.stages)}, there is no stage {stage_number}."
        )
    folder = RunFolder(output / f"stage{stage_number}")
    if not is_first_process():
        console.set_quiet(True)
    elif launcher:
        console.info(f"one of the processes started by {launcher}, which train together")
    with ExitStack() as stack:
        request = Request(recipe, stage_number, start, restart, trust)
        opening = decided_by_first(lambda: open_stage(request, folder, stack))
        if not opening.finished:
            _run(opening, stage_number, folder, trust)
    folder.reread()
    return summarise(folder)


def _run(opening: Opening, stage_number: int, folder: RunFolder, trust: bool) -> None:
    # Only now the heavy libraries: whatever is wrong with the request has been said at once.
    from wavllm_cli.model.load import restore_stored
    from wavllm_cli.training.beginning import load_beginning
    from wavllm_cli.training.groups import count_parameters
    from wavllm_cli.training.loop import Trainer

    recipe, source = opening.recipe, opening.source
    stage = recipe.stages[stage_number - 1]
    model, processor = load_beginning(folder.begin, recipe, stage, source, trust)
    backbones = model.config.backbones
    trainer = Trainer(recipe, stage_number, model, processor, folder)
    if stage.precision == "bf16":
        restore_stored(model, source, stage.trainable, backbones, trust)
    counts = count_parameters(model)
    trained = sum(p.numel() for p in trainer.trained)
    decided_by_first(lambda: folder.require_space(model))
    console.info(f"stage {stage_number}: training {trained:,} of {sum(counts.values()):,} parameters → {folder.path}")
    model.generation_config.update(**recipe.generation.options())
    trainer.run()


def summarise(folder: RunFolder) -> Summary:
    """What the record and the log of a finished stage tell."""
    lines = list(log_lines(folder.path / LOG))
    losses = {line["step"]: line["loss"] for line in lines if _is_number(line.get("loss"))}
    last = [losses[step] for step in sorted(losses)[-LAST:]]
    validation = [line["validation_loss"] for line in lines if _is_number(line.get("validation_loss"))]
    seconds = sum(line["seconds"] for line in lines if _is_number(line.get("seconds")))
    record = folder.record
    return Summary(
        folder=str(folder.path),
        steps=record.result.steps if record and record.result else max(losses, default=0),
        loss=sum(last) / len(last) if last else None,
        validation_loss=validation[-1] if validation else None,
        seconds=seconds,
    )


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
