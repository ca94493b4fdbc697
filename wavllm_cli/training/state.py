"""A training's state on disk, from which it continues: written durably, and trusted only if it is what was written."""

import json
import re
import shutil
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wavllm_cli.data.files import digest, replacing, require_space
from wavllm_cli.errors import WavLLMError, reason

if TYPE_CHECKING:
    import torch
    from torch import nn

TRAINED, OPTIMIZER, PROGRESS = "trained.pt", "optimizer.pt", "progress.json"
NAME = re.compile(r"step-(\d{8,})")
KEPT = 2  # states: the older one is for a disk that loses the newer


@dataclass(frozen=True)
class State:
    """Where a run stands: optimiser steps done."""

    step: int


def state_folders(folder: Path) -> list[Path]:
    """The states in a folder, the newest first; what else lies there is not looked at."""
    found = [entry for entry in folder.glob("step-*") if NAME.fullmatch(entry.name) and entry.is_dir()]
    return sorted(found, key=step_of, reverse=True)


def step_of(path: Path) -> int:
    return int(path.name.removeprefix("step-"))


def write_state(folder: Path, state: State, model: "nn.Module", optimizer: "torch.optim.Optimizer") -> None:
    """Add a state, complete or not at all, then drop all but it and the newest before it.

    Raises:
        WavLLMError: the disk is too full, or cannot be written.
    """
    import torch

    target = folder / f"step-{state.step:08d}"
    trained = {n: p.detach().cpu() for n, p in model.named_parameters() if p.requires_grad}
    optimizer_state = optimizer.state_dict()
    require_space(target, _bytes(trained) + _bytes(optimizer_state))
    with replacing(target) as draft:
        draft.mkdir()
        torch.save(trained, draft / TRAINED)
        torch.save(optimizer_state, draft / OPTIMIZER)
        digests = {name: digest(draft / name) for name in (TRAINED, OPTIMIZER)}
        (draft / PROGRESS).write_text(json.dumps({**vars(state), "sha256": digests}))
        if target.exists():  # damaged, or it would not be written again
            shutil.rmtree(target)
    states = state_folders(folder)
    older = [path for path in states if step_of(path) < state.step]
    for path in states:
        if path not in (target, *older[: KEPT - 1]):
            shutil.rmtree(path)


def _bytes(value: Any) -> int:
    """Of all tensors in a nested structure."""
    if isinstance(value, dict):
        return sum(map(_bytes, value.values()))
    return value.numel() * value.element_size() if hasattr(value, "element_size") else 0


def sound_state(folder: Path, known: Collection[Path] = ()) -> tuple[Path | None, list[str]]:
    """The newest state that is as it was written, and a clause for each newer one that is not.

    Args:
        known: to be as they were written; they are not read again.
    """
    damaged: list[str] = []
    for path in state_folders(folder):
        problem = None if path in known else damage_of(path)
        if problem is None:
            return path, damaged
        damaged.append(f"{path} is damaged ({problem})")
    return None, damaged


def damage_of(path: Path) -> str | None:
    """What is wrong with a state, as the rest of a sentence; None if it is as it was written."""
    try:
        progress = json.loads((path / PROGRESS).read_bytes())
        digests = progress["sha256"]
        if progress["step"] != step_of(path):
            return f"{PROGRESS} tells of step {progress['step']}"
        for name in (TRAINED, OPTIMIZER):
            if not (path / name).is_file():
                return f"{name} is missing"
            if not (path / name).stat().st_size:
                return f"{name} is empty"
            if digest(path / name) != digests[name]:
                return f"{name} is not what was written"
    except OSError as error:
        return f"{Path(error.filename or path).name} cannot be read: {error.strerror or error}"
    except (ValueError, KeyError, TypeError, RecursionError):
        return f"{PROGRESS} is empty or garbled"
    return None


def read_state(path: Path, model: "nn.Module", optimizer: "torch.optim.Optimizer") -> State:
    """Restore trained tensors and optimiser in place. The optimiser's settings stay those it was made with.

    Raises:
        WavLLMError: the state is another model's.
    """
    import torch

    settings = [{k: v for k, v in group.items() if k != "params"} for group in optimizer.param_groups]
    try:
        trained = torch.load(path / TRAINED, map_location="cpu", weights_only=True)
        optimizer.load_state_dict(torch.load(path / OPTIMIZER, map_location="cpu", weights_only=True))
        parameters = {name: p for name, p in model.named_parameters() if p.requires_grad}
        if trained.keys() != parameters.keys():
            raise ValueError(f"it lacks or adds {min(trained.keys() ^ parameters.keys())}")
        with torch.no_grad():
            for name, tensor in trained.items():
                parameters[name].copy_(tensor)
    except Exception as error:  # pickle, zip and torch have no common class, and EOFError means no Ctrl-C here
        raise WavLLMError(
            f"The training state {path} does not fit the model ({reason(error)}): start over with --restart."
        ) from error
    for group, own in zip(optimizer.param_groups, settings, strict=True):
        group.update(own)
    return State(step_of(path))
