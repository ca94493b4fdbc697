"""Fresh weights of what a WavLLM adds to its backbones. Tensors that were loaded stay as they are."""

from typing import TYPE_CHECKING

import torch
from torch import nn
from transformers import initialization as init

from wavllm_cli.model.prompt_lora import LoRALinear

if TYPE_CHECKING:
    from wavllm_cli.model.modeling_wavllm import WavLLMForConditionalGeneration

HEARD = 2.0  # variance of what fresh adapters hand to the fusion: a residual and a norm, each of about one
GLU_GAIN = 1.8  # a gated linear unit shrinks its input's standard deviation by about this factor


@torch.no_grad()
def initialize(model: "WavLLMForConditionalGeneration") -> None:
    """Initialise all that is not loaded outside the backbones.

    Stage 1 begins with the bare LLM (LoRA's B is zero), stage 2 exactly where stage 1 ended: whatever the prompt, the
    prompt adapter gives s = alpha / rank.
    """
    for part in (model.semantic_adapter, model.acoustic_adapter):
        part.apply(default_init)
    fusion = model.fusion
    if not getattr(fusion.weight, "_is_hf_initialized", False):  # loaded: all words would be read for nothing
        init.normal_(fusion.weight, std=loudness(model.get_input_embeddings()) * (HEARD * fusion.in_features) ** -0.5)
    init.zeros_(fusion.bias)
    if model.prompt_adapter is not None:
        model.prompt_adapter.apply(default_init)
        init.zeros_(model.prompt_adapter.up.weight)
        init.constant_(model.prompt_adapter.up.bias, model.config.lora_factor)
    init.ones_(model.acoustic_encoder.layer_weights)
    for layer in model.modules():
        if isinstance(layer, LoRALinear):
            init.kaiming_uniform_(layer.lora_A.weight, a=5**0.5)
            init.zeros_(layer.lora_B.weight)


def loudness(words: nn.Module) -> float:
    """The root mean square of the LLM's embeddings, which fresh speech tokens get too: they stand among them.

    At unit variance they would be many times louder, and a frozen LLM learns to listen more slowly.
    """
    if words.weight.is_meta:
        return 1.0
    return float(torch.linalg.vector_norm(words.weight, dtype=torch.float32)) * words.weight.numel() ** -0.5


def default_init(layer: nn.Module) -> None:
    """Weights that keep the signal's variance, through functions that leave loaded tensors alone."""
    if isinstance(layer, nn.Linear | nn.Conv1d):
        gain = GLU_GAIN if isinstance(layer, nn.Conv1d) else 1.0
        init.normal_(layer.weight, std=gain * layer.weight[0].numel() ** -0.5)
        init.zeros_(layer.bias)
    elif isinstance(layer, nn.LayerNorm):
        init.ones_(layer.weight)
        init.zeros_(layer.bias)
