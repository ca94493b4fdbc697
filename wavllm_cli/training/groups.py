"""Which parameters a stage trains; everything else is frozen (after loading: `from_pretrained` would undo it)."""

from collections.abc import Collection
from typing import Any

import torch
from torch import nn

from wavllm_cli.model.groups import group_of
from wavllm_cli.model.modeling_wavllm import WavLLMForConditionalGeneration
from wavllm_cli.recipe import Optimizer

BIASLIKE = 1  # tensors of at most one dimension (biases, norms, layer weights) are not decayed


def set_trainable(model: WavLLMForConditionalGeneration, groups: Collection[str]) -> list[nn.Parameter]:
    """Freeze all but `groups`; what is trained is float32 whatever the frozen part is.

    A backbone that is trained is no longer the published one, so the checkpoint stops referring to it and stores it.
    """
    trained = []
    for name, parameter in model.named_parameters():
        # Whisper's positions are fixed sinusoids, never trained, not even from scratch.
        parameter.requires_grad_(group_of(name) in groups and "embed_positions" not in name)
        if parameter.requires_grad:
            parameter.data = parameter.data.to(torch.float32)
            trained.append(parameter)
    kept = {part: source for part, source in (model.config.backbones or {}).items() if part not in groups}
    model.config.backbones = kept or None
    return trained


def optimizer_groups(model: nn.Module, optimizer: Optimizer) -> list[dict[str, Any]]:
    """What AdamW is given of the parameters that are trained: matrices are decayed, vectors are not.

    `peak` of each is its highest learning rate.
    """
    rates = {str(group): rate for group, rate in optimizer.group_rates.items()}
    peaks = {name: rates.get(group_of(name), optimizer.learning_rate) for name, _ in _trained(model)}
    groups = []
    for peak in dict.fromkeys([optimizer.learning_rate, *rates.values()]):
        own = [parameter for name, parameter in _trained(model) if peaks[name] == peak]
        matrices = [p for p in own if p.ndim > BIASLIKE]
        vectors = [p for p in own if p.ndim <= BIASLIKE]
        for parameters, decay in ((matrices, optimizer.weight_decay), (vectors, 0.0)):
            groups.append({"params": parameters, "weight_decay": decay, "peak": peak, "lr": peak})
    return groups


def _trained(model: nn.Module) -> list[tuple[str, nn.Parameter]]:
    return [(name, parameter) for name, parameter in model.named_parameters() if parameter.requires_grad]


def count_parameters(model: nn.Module) -> dict[str, int]:
    """Parameters by group, in the order of the network; a shared tensor is counted once."""
    counts: dict[str, int] = {}
    for name, parameter in model.named_parameters():
        counts[group_of(name)] = counts.get(group_of(name), 0) + parameter.numel()
    return counts
