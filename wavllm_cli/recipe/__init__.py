"""Recipes: `schema`, with `network` and `augmentation`, is the format, `reader` reads and writes it."""

from wavllm_cli.recipe.augmentation import Augmentation, SpecAugment
from wavllm_cli.recipe.network import (
    HEARING,
    PARAMETER_GROUPS,
    Adapters,
    Backbone,
    LanguageModel,
    LoRA,
    Model,
    PromptAdapter,
    TokenizerTraining,
)
from wavllm_cli.recipe.ranges import MAX_BEAMS, MAX_NEW_TOKENS, MAX_TEMPERATURE, MAX_VOCABULARY, MIN_TEMPERATURE
from wavllm_cli.recipe.reader import dump, find, load, shipped
from wavllm_cli.recipe.schema import (
    CTC,
    Batch,
    Generation,
    Minimised,
    Optimizer,
    Phase,
    Recipe,
    Source,
    Stage,
    Validation,
    sampling,
)

__all__ = [
    "CTC",
    "HEARING",
    "MAX_BEAMS",
    "MAX_NEW_TOKENS",
    "MAX_TEMPERATURE",
    "MAX_VOCABULARY",
    "MIN_TEMPERATURE",
    "PARAMETER_GROUPS",
    "Adapters",
    "Augmentation",
    "Backbone",
    "Batch",
    "Generation",
    "LanguageModel",
    "LoRA",
    "Minimised",
    "Model",
    "Optimizer",
    "Phase",
    "PromptAdapter",
    "Recipe",
    "Source",
    "SpecAugment",
    "Stage",
    "TokenizerTraining",
    "Validation",
    "dump",
    "find",
    "load",
    "sampling",
    "shipped",
]
