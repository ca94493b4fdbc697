"""To which parameter group (see `recipe.PARAMETER_GROUPS`) a tensor of the network belongs, read off its name."""

from collections.abc import Iterable

from wavllm_cli.model.configuration_wavllm import BACKBONES

ADAPTERS = ("semantic_adapter", "acoustic_adapter", "fusion")


def group_of(name: str) -> str:
    """LoRA and WavLM's layer weights live inside the backbones, but are groups of their own."""
    if ".lora_" in name:
        return "lora"
    if name.endswith("layer_weights"):
        return "layer_weights"
    part = name.split(".", 1)[0]
    return "adapters" if part in ADAPTERS else part


def is_backbone_tensor(name: str, backbones: Iterable[str] = BACKBONES) -> bool:
    """Does this tensor belong to a pretrained backbone?"""
    return group_of(name) in backbones
