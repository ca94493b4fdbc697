"""The sections of a recipe that say what is trained."""

import math
from collections.abc import Iterator
from typing import Annotated, Any, Literal, get_args

from pydantic import AfterValidator, Field, model_validator

from wavllm_cli.recipe.ranges import (
    MAX_ALPHA,
    MAX_RANK,
    MAX_VOCABULARY,
    MIN_VOCABULARY,
    AcousticWindow,
    Amount,
    Channels,
    Count,
    Real,
    SemanticWindow,
    Text,
    Whole,
    Width,
    at_most,
)
from wavllm_cli.recipe.section import Section

ParameterGroup = Literal[
    "semantic_encoder", "acoustic_encoder", "layer_weights", "adapters", "language_model", "lora", "prompt_adapter"
]
PARAMETER_GROUPS: tuple[str, ...] = get_args(ParameterGroup)
# Rows without audio pass by them, and the language model's layers need not run for them to learn.
HEARING = ("semantic_encoder", "acoustic_encoder", "layer_weights", "adapters")


def _finite(config: dict[str, Any]) -> dict[str, Any]:
    for key, value in _floats(config):
        if not math.isfinite(value):
            raise ValueError(f"its {key} is {value}, but must be a finite number")
    return config


def _floats(value: Any, key: str = "") -> Iterator[tuple[str, float]]:
    """Every float at any depth and where it stands."""
    if isinstance(value, dict | list):
        for name, item in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _floats(item, f"{key}.{name}" if key else str(name))
    elif isinstance(value, float):
        yield key, value


class Backbone(Section):
    """Pretrained (`path`: hub id or folder) or random (`config`: the keys of its transformers configuration)."""

    path: Text | None = None
    """A pretrained model: its hub id or folder."""
    revision: Text | None = None
    """Its commit, tag or branch on the hub; without it what the hub gives today, recorded with the run."""
    config: Annotated[dict[str, Any], AfterValidator(_finite)] | None = None
    """The keys of its transformers configuration: a model of these sizes that starts from random weights."""

    @model_validator(mode="after")
    def _one_source(self) -> "Backbone":
        if (self.path is None) == (self.config is None):
            raise ValueError("give either `path` (pretrained) or `config` (random weights), not both or neither")
        return self


class TokenizerTraining(Section):
    """A byte-level BPE tokenizer learned from the texts of the recipe's manifests, up to 100,000 rows of each."""

    vocab_size: Annotated[
        Whole, Field(ge=MIN_VOCABULARY), at_most(MAX_VOCABULARY, "more than any published vocabulary")
    ]
    """Tokens, the bytes and three special ones among them."""


class LanguageModel(Backbone):
    tokenizer: TokenizerTraining | None = None
    """How the tokenizer of a model with `config` is made."""

    @model_validator(mode="after")
    def _tokenizer_of_its_own(self) -> "LanguageModel":
        if (self.config is None) != (self.tokenizer is None):
            raise ValueError("`tokenizer` belongs with `config`: a pretrained language model brings its own")
        return self


class Adapters(Section):
    """Channels are those of the two convolutions, before the gated linear unit halves them."""

    semantic_channels: tuple[Channels, Channels]
    """Of the two convolutions behind Whisper's encoder; even."""
    acoustic_channels: tuple[Channels, Channels]
    """Of the two convolutions behind WavLM; even."""
    bottleneck: Width
    """Inner width of either adapter's bottleneck."""
    width: Width
    """Of what either adapter hands on, before both are brought to the LLM's."""
    dropout: Annotated[Real, Field(ge=0, lt=1)] = 0.0
    """Share of the encoders' frames, and of what the last layer is given, that is left out in training."""


class LoRA(Section):
    rank: Annotated[Count, at_most(MAX_RANK, "beyond which nothing is low about the rank")]
    """Of the low-rank updates."""
    alpha: Annotated[Amount, at_most(MAX_ALPHA, "since it multiplies what LoRA adds")]
    """Strength: updates are multiplied by `alpha` / `rank`."""
    dropout: Annotated[Real, Field(ge=0, lt=1)]
    """Share of a LoRA layer's input that is left out in training."""


class Model(Section):
    """Clips of more seconds than `acoustic_window` go through the acoustic encoder in overlapping windows of it.

    Whisper hears windows side by side, the last one padded, and was trained with 30 s: for short clips a shorter
    `semantic_window` costs less, at a length that it has not been trained with.
    """

    semantic_encoder: Backbone
    """Hears what is said: any Whisper encoder."""
    acoustic_encoder: Backbone
    """Hears how and by whom: any WavLM encoder."""
    language_model: LanguageModel
    """Answers: any causal LLM with separate q, k, v and o projections."""
    adapters: Adapters
    """From the encoders' frames to the LLM's tokens."""
    lora: LoRA
    """Low-rank updates of the LLM."""
    semantic_window: SemanticWindow | None = None
    """Seconds that a pretrained Whisper hears at a time; absent: as many as it was trained with."""
    acoustic_window: AcousticWindow | None = 60
    """Seconds beyond which WavLM hears a clip in overlapping windows."""

    @model_validator(mode="after")
    def _window_of_a_pretrained_encoder(self) -> "Model":
        if self.semantic_window is not None and self.semantic_encoder.config is not None:
            raise ValueError(
                "`semantic_window` belongs with a pretrained semantic_encoder: of one with `config` "
                "max_source_positions says it"
            )
        return self


class PromptAdapter(Section):
    width: Width
    """Its inner width."""
