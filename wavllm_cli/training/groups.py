"""Which parameters a stage trains; everything else is frozen (after loading: `from_pretrained` would undo it)."""

from collections.abc import Collection

import torch
from torch import nn

from wavllm_cli.model.groups import group_of
from wavllm_cli.model.modeling_wavllm import WavLLMForConditionalGeneration

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


def decay_groups(parameters: Collection[nn.Parameter], weight_decay: float) -> list[dict]:
    """Optimiser groups: matrices are decayed, vectors are not."""
    matrices = [p for p in parameters if p.ndim > BIASLIKE]
    vectors = [p for p in parameters if p.ndim <= BIASLIKE]
    return [{"params": matrices, "weight_decay": weight_decay}, {"params": vectors, "weight_decay": 0.0}]


def count_parameters(model: nn.Module) -> dict[str, int]:
    """Parameters by group, in the order of the network; a shared tensor is counted once."""
    counts: dict[str, int] = {}
    for name, parameter in model.named_parameters():
        counts[group_of(name)] = counts.get(group_of(name), 0) + parameter.numel()
    return counts
