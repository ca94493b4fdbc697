"""Writes an ordinary Hugging Face folder, when the tensors are exactly those of its class."""

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor
from transformers import GenerationConfig, PreTrainedConfig, PreTrainedModel

from wavllm_cli.model.stored import on_meta, require_all


def write_model(
    kind: type[PreTrainedModel],
    config: PreTrainedConfig,
    tensors: Mapping[str, Tensor],
    generation: GenerationConfig,
    folder: Path,
) -> None:
    """`config.json`, `generation_config.json` and `model.safetensors`.

    Args:
        kind: class of the model.
        tensors: by their names in it; one that is tied to another may be left out.

    Raises:
        WavLLMError: one is missing, surplus or of another shape; the end of a sentence.
    """
    shapes = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    with torch.device("meta"):
        model = on_meta(lambda: kind(config), [config], shapes)
    require_all(model, shapes, lambda name: True)
    model.load_state_dict(tensors, strict=False, assign=True)  # not strict: a tied tensor has two names
    model.tie_weights()
    model.generation_config = generation
    model.save_pretrained(folder)
