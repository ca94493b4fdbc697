"""The model that a stage begins with, and what is kept of it so that a continued run begins with the same."""

from collections.abc import Iterable
from pathlib import Path

import torch

from wavllm_cli.data.origin import locate
from wavllm_cli.model.build import design
from wavllm_cli.model.configuration_wavllm import WavLLMConfig
from wavllm_cli.model.load import explaining, load_config, load_model
from wavllm_cli.model.modeling_wavllm import WavLLMForConditionalGeneration
from wavllm_cli.model.processing_wavllm import WavLLMProcessor
from wavllm_cli.recipe import Recipe, Stage


def keep_beginning(folder: Path, recipe: Recipe, source: str | None, texts: Iterable[str], trust: bool = False) -> None:
    """Write configuration, tokenizer and processor of the model that a stage begins with.

    Args:
        source: the checkpoint that it begins from; None for the recipe's backbones.
        texts: what a tokenizer is trained on, where the recipe asks for one.
        trust: run code that the files of backbones or of the checkpoint bring along.

    Raises:
        RecipeError: a configuration that transformers rejects.
        WavLLMError: a pretrained backbone, or the checkpoint, that cannot be loaded.
    """
    if source is None:
        config, processor = design(recipe, texts, trust)
    else:
        config = load_config(source, trust)
        with explaining(source):
            processor = WavLLMProcessor.from_pretrained(locate(source).path, trust_remote_code=trust)
    config.save_pretrained(folder)
    processor.save_pretrained(folder)


def load_beginning(
    folder: Path, recipe: Recipe, stage: Stage, source: str | None, trust: bool = False
) -> tuple[WavLLMForConditionalGeneration, WavLLMProcessor]:
    """The model and processor that were kept, the same at every call, in the stage's precision.

    Raises:
        WavLLMError: something that it is made of cannot be loaded.
    """
    half = stage.precision == "bf16"
    with explaining(str(folder)):
        processor = WavLLMProcessor.from_pretrained(folder, trust_remote_code=trust)
        config = WavLLMConfig.from_pretrained(folder)
    torch.manual_seed(recipe.seed)
    if source is not None:
        options = {"prompt_adapter_width": stage.prompt_adapter.width} if stage.prompt_adapter else {}
        model, _ = load_model(source, torch.bfloat16 if half else torch.float32, trust, **options)
        return model, processor
    # Pretrained and frozen parts are held in the stage's precision; what is trained is float32 (see training.groups).
    dtype = torch.bfloat16 if half and config.backbones else torch.float32
    return WavLLMForConditionalGeneration.from_backbones(config, dtype, trust), processor
