"""A recipe is a whole experiment in one YAML file: model, data, both training stages.

The pydantic models below *are* the format. Every key is checked, a missing one has no silent default unless its
absence means something, and presence is the switch: a stage has a prompt adapter because it has a
`prompt_adapter` section. The recipe as resolved is saved with every run and is itself a valid recipe.
"""

from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, PositiveFloat, PositiveInt, model_validator

ParameterGroup = Literal[
    "semantic_encoder", "acoustic_encoder", "layer_weights", "adapters", "language_model", "lora", "prompt_adapter"
]
PARAMETER_GROUPS: tuple[str, ...] = get_args(ParameterGroup)


class Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Backbone(Section):
    """Pretrained (`path`: hub id or folder) or random (`config`: the keys of its transformers configuration)."""

    path: str | None = None
    revision: str | None = None
    config: dict[str, Any] | None = None

    @model_validator(mode="after")
    def _one_source(self) -> "Backbone":
        if (self.path is None) == (self.config is None):
            raise ValueError("give either `path` (pretrained) or `config` (random weights), not both or neither")
        return self


class TokenizerTraining(Section):
    """A byte-level BPE tokenizer learned from the texts of the recipe's manifests."""

    vocab_size: PositiveInt


class LanguageModel(Backbone):
    tokenizer: TokenizerTraining | None = None

    @model_validator(mode="after")
    def _tokenizer_of_its_own(self) -> "LanguageModel":
        if (self.config is None) != (self.tokenizer is None):
            raise ValueError("`tokenizer` belongs with `config`: a pretrained language model brings its own")
        return self


class Adapters(Section):
    """Channels are those of the two convolutions, before the gated linear unit halves them."""

    semantic_channels: tuple[PositiveInt, PositiveInt]
    acoustic_channels: tuple[PositiveInt, PositiveInt]
    bottleneck: PositiveInt
    width: PositiveInt


class LoRA(Section):
    rank: PositiveInt
    alpha: PositiveFloat
    dropout: Annotated[float, Field(ge=0, lt=1)]


class Model(Section):
    semantic_encoder: Backbone
    acoustic_encoder: Backbone
    language_model: LanguageModel
    adapters: Adapters
    lora: LoRA


class PromptAdapter(Section):
    width: PositiveInt


class Source(Section):
    """One manifest of the mixture; an utterance is drawn from it `weight` / (sum of weights) of the time."""

    manifest: str
    weight: PositiveFloat


class Phase(Section):
    """A beginning of a stage that draws from a mixture of its own: text before speech, short before long."""

    steps: PositiveInt
    mixture: Annotated[tuple[Source, ...], Field(min_length=1)]


class Batch(Section):
    """A batch is full at either limit; padding counts towards the seconds."""

    max_seconds: PositiveFloat
    max_utterances: PositiveInt
    accumulate: PositiveInt = 1


class Optimizer(Section):
    """AdamW; the rate rises linearly over `warmup_steps`, then falls to zero along the schedule."""

    learning_rate: PositiveFloat
    warmup_steps: Annotated[int, Field(ge=0)]
    schedule: Literal["linear", "cosine", "constant"]
    weight_decay: Annotated[float, Field(ge=0)]
    betas: tuple[float, float] = (0.9, 0.98)
    max_grad_norm: PositiveFloat = 1.0


class CTC(Section):
    """An auxiliary CTC loss on the speech tokens of asr rows, for encoders that are trained from nothing."""

    weight: PositiveFloat


class Validation(Section):
    """Every `every` steps: the loss on the whole manifest, and `samples` decoded answers beside their references."""

    manifest: str
    every: PositiveInt
    samples: PositiveInt = 4


class Stage(Section):
    trainable: Annotated[tuple[ParameterGroup, ...], Field(min_length=1)]
    prompt_adapter: PromptAdapter | None = None
    mixture: Annotated[tuple[Source, ...], Field(min_length=1)]
    curriculum: tuple[Phase, ...] = ()
    max_audio_seconds: PositiveFloat
    steps: PositiveInt
    batch: Batch
    optimizer: Optimizer
    ctc: CTC | None = None
    precision: Literal["fp32", "bf16"]
    gradient_checkpointing: bool = False
    validation: Validation | None = None
    checkpoint_every: PositiveInt
    workers: Annotated[int, Field(ge=0)] = 0

    @property
    def manifests(self) -> tuple[str, ...]:
        """Every manifest that the stage draws from, once."""
        mixtures = [*(phase.mixture for phase in self.curriculum), self.mixture]
        return tuple(dict.fromkeys(source.manifest for mixture in mixtures for source in mixture))

    @model_validator(mode="after")
    def _prompt_adapter_exists(self) -> "Stage":
        if "prompt_adapter" in self.trainable and self.prompt_adapter is None:
            raise ValueError("`trainable` names prompt_adapter, but the stage has no `prompt_adapter` section")
        return self


class Generation(Section):
    """Decoding; `temperature` 0 is greedy."""

    max_new_tokens: PositiveInt = 512
    temperature: Annotated[float, Field(ge=0)] = 0.0
    num_beams: PositiveInt = 1

    def options(self) -> dict[str, Any]:
        """As keywords of transformers' `generate`."""
        return {"max_new_tokens": self.max_new_tokens, "num_beams": self.num_beams, **sampling(self.temperature)}


def sampling(temperature: float) -> dict[str, Any]:
    """A temperature as keywords of transformers' `generate`: drawn from all tokens, not from its default of 50."""
    if temperature > 0:
        return {"do_sample": True, "temperature": temperature, "top_k": 0}
    return {"do_sample": False, "temperature": None, "top_k": None, "top_p": None}


class Recipe(Section):
    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
    seed: Annotated[int, Field(ge=0, lt=2**31)]
    data: str
    model: Model
    stages: Annotated[tuple[Stage, ...], Field(min_length=1)]
    generation: Generation = Generation()

    def manifest(self, name: str) -> Path:
        """A manifest's path; relative ones lie in the recipe's `data` folder."""
        return Path(self.data) / name
