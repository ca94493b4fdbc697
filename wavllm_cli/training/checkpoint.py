"""A run's folder: what makes it continuable after a kill, and what the next stage and `infer` load.

runs/NAME/stage1/
    recipe.yaml          as resolved; the same command with another recipe is refused
    log.jsonl            one line a logged step
    samples.jsonl        decoded validation answers
    tensorboard/
    state/step-00000400/ trained tensors, optimiser, position in the data (the newest only)
    config.json, model.safetensors, processor and tokenizer files: the result, once the stage has ended
"""

import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from wavllm_cli import recipe as recipes
from wavllm_cli.data.files import write_text
from wavllm_cli.errors import UsageError, WavLLMError
from wavllm_cli.recipe import Recipe

if TYPE_CHECKING:
    import torch
    from torch import nn

RESULT = "model.safetensors"


@dataclass(frozen=True)
class State:
    """Where a run stands: optimiser steps done."""

    step: int


class RunFolder:
    """The folder of one stage of one run."""

    def __init__(self, path: Path):
        self.path = path
        self.states = path / "state"

    @property
    def finished(self) -> bool:
        return (self.path / RESULT).is_file()

    def claim(self, recipe: Recipe) -> None:
        """Start or continue the run of this recipe.

        Raises:
            UsageError: the folder holds a run of another recipe.
        """
        saved = self.path / "recipe.yaml"
        if saved.is_file() and (self.finished or self.newest_state()):
            changes = list(differences(yaml.safe_load(saved.read_text()), recipe.model_dump(mode="json")))
            if changes:
                raise UsageError(
                    f"{self.path} holds a run of another recipe ({'; '.join(changes[:3])}"
                    f"{'; …' if len(changes) > 3 else ''}): choose another --output, or start over with --restart."
                )
        self.path.mkdir(parents=True, exist_ok=True)
        write_text(saved, recipes.dump(recipe))

    def clear(self) -> None:
        """Forget the run (`--restart`)."""
        if self.path.exists():
            shutil.rmtree(self.path)

    def newest_state(self) -> Path | None:
        states = sorted(self.states.glob("step-*")) if self.states.is_dir() else []
        return states[-1] if states else None

    def save_state(self, state: State, model: "nn.Module", optimizer: "torch.optim.Optimizer") -> None:
        """Write the state under a temporary name, rename it, then drop the older ones: a kill leaves a whole one."""
        import torch

        self.states.mkdir(exist_ok=True)
        target, temporary = self.states / f"step-{state.step:08d}", self.states / "writing"
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir()
        trained = {n: p.detach().cpu() for n, p in model.named_parameters() if p.requires_grad}
        torch.save(trained, temporary / "trained.pt")
        torch.save(optimizer.state_dict(), temporary / "optimizer.pt")
        (temporary / "progress.json").write_text(json.dumps(vars(state)))
        shutil.rmtree(target, ignore_errors=True)
        os.replace(temporary, target)
        for old in self.states.glob("step-*"):
            if old != target:
                shutil.rmtree(old)

    def load_state(self, path: Path, model: "nn.Module", optimizer: "torch.optim.Optimizer") -> State:
        """Restore trained tensors and optimiser in place."""
        import torch

        try:
            trained = torch.load(path / "trained.pt", map_location="cpu", weights_only=True)
            optimizer.load_state_dict(torch.load(path / "optimizer.pt", map_location="cpu", weights_only=True))
            progress = json.loads((path / "progress.json").read_text())
        except (OSError, RuntimeError, ValueError) as error:
            raise WavLLMError(f"The training state {path} is damaged ({error}): start over with --restart.") from error
        parameters = dict(model.named_parameters())
        with torch.no_grad():
            for name, tensor in trained.items():
                parameters[name].copy_(tensor)
        return State(**progress)

    def save_result(self, model: Any, processor: Any) -> None:
        """The finished stage: config, processor and tokenizer first, the tensors last, each by rename."""
        temporary = self.path / "writing"
        shutil.rmtree(temporary, ignore_errors=True)
        model.save_pretrained(temporary)
        processor.save_pretrained(temporary)
        for file in sorted(temporary.iterdir(), key=lambda f: f.name == RESULT):
            os.replace(file, self.path / file.name)
        temporary.rmdir()

    def validated_steps(self) -> set[int]:
        """After which steps the validation has been logged."""
        log = self.path / "log.jsonl"
        lines = [json.loads(line) for line in complete_lines(log)] if log.is_file() else []
        return {line["step"] for line in lines if "validation_loss" in line}

    def truncate_logs(self, step: int) -> None:
        """Drop what was logged after the step from which the run continues."""
        for name in ("log.jsonl", "samples.jsonl"):
            log = self.path / name
            if log.is_file():
                kept = [line for line in complete_lines(log) if json.loads(line)["step"] <= step]
                write_text(log, "".join(kept))


def complete_lines(path: Path) -> Iterator[str]:
    """Lines of a log, without the half one that a kill may have left at its end."""
    with path.open(encoding="utf-8") as file:
        yield from (line for line in file if line.endswith("\n"))


def differences(old: Any, new: Any, key: str = "") -> Iterator[str]:
    """The keys in which two resolved recipes differ, with both values."""
    if isinstance(old, dict) and isinstance(new, dict):
        for name in sorted(old.keys() | new.keys()):
            yield from differences(old.get(name), new.get(name), f"{key}.{name}" if key else name)
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for i, (a, b) in enumerate(zip(old, new, strict=True)):
            yield from differences(a, b, f"{key}.{i}")
    elif old != new:
        yield f"{key} was {old!r}, is {new!r}"
