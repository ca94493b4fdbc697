"""What each key of a recipe means to a run that has begun: which may change before it is continued, and which may not.

The table names every key of the schema, so that a new one has to be thought about (a test compares them).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Any

from wavllm_cli.recipe.augmentation import Augmentation, Noise, Reverb, SpecAugment, Speed
from wavllm_cli.recipe.network import Adapters, Backbone, LanguageModel, LoRA, Model, PromptAdapter, TokenizerTraining
from wavllm_cli.recipe.schema import CTC, Batch, Generation, Optimizer, Phase, Recipe, Source, Stage, Validation
from wavllm_cli.recipe.section import Section


class Meaning(Enum):
    """What another value of a key makes of a run."""

    FIXED = "another training"
    NOTED = "the same training, changed on purpose: accepted and noted"
    FREE = "the same training: it matters to nothing that is learned"
    CONTENT = "depends on what it names, which is compared instead of the name"
    PARTS = "depends on the keys in it"


FIXED, NOTED, FREE, CONTENT, PARTS = Meaning

# Where a section is optional, its own meaning says what its coming and going makes of a run.
MEANINGS: dict[type[Section], dict[str, Meaning]] = {
    Recipe: {"name": FREE, "seed": FIXED, "data": CONTENT, "model": PARTS, "stages": PARTS, "generation": PARTS},
    Model: {
        "semantic_encoder": PARTS,
        "acoustic_encoder": PARTS,
        "language_model": PARTS,
        "adapters": PARTS,
        "lora": PARTS,
        "semantic_window": FIXED,
        "acoustic_window": FIXED,
    },
    Backbone: {"path": CONTENT, "revision": CONTENT, "config": FIXED},
    LanguageModel: {"path": CONTENT, "revision": CONTENT, "config": FIXED, "tokenizer": FIXED},
    TokenizerTraining: {"vocab_size": FIXED},
    Adapters: {
        "semantic_channels": FIXED,
        "acoustic_channels": FIXED,
        "bottleneck": FIXED,
        "width": FIXED,
        "dropout": FIXED,
    },
    LoRA: {"rank": FIXED, "alpha": FIXED, "dropout": FIXED},
    Stage: {
        "trainable": FIXED,
        "prompt_adapter": FIXED,
        "mixture": FIXED,
        "curriculum": FIXED,
        "max_audio_seconds": FIXED,
        "augmentation": FIXED,
        "encoder_cache": NOTED,
        "steps": NOTED,
        "batch": FIXED,
        "optimizer": NOTED,
        "task_weights": FIXED,
        "ctc": FIXED,
        "precision": FIXED,
        "gradient_checkpointing": FREE,
        "validation": NOTED,
        "checkpoint_every": FREE,
        "workers": FREE,
    },
    PromptAdapter: {"width": FIXED},
    Source: {"manifest": CONTENT, "weight": FIXED},
    Phase: {"steps": FIXED, "mixture": FIXED, "objective": FIXED},
    Augmentation: {"speed": FIXED, "reverb": FIXED, "noise": FIXED, "spec_augment": FIXED},
    Speed: {"factors": FIXED},
    Reverb: {"source": CONTENT, "probability": FIXED},
    Noise: {"source": CONTENT, "snr": FIXED, "probability": FIXED},
    SpecAugment: {
        "time_masks": FIXED,
        "time_width": FIXED,
        "time_share": FIXED,
        "frequency_masks": FIXED,
        "frequency_width": FIXED,
    },
    Batch: {"max_seconds": FIXED, "max_tokens": FIXED, "max_utterances": FIXED, "accumulate": FIXED},
    Optimizer: {
        "learning_rate": NOTED,
        "group_rates": FIXED,  # AdamW's state is laid out by them
        "warmup_steps": NOTED,
        "schedule": NOTED,
        "weight_decay": NOTED,
        "betas": NOTED,
        "max_grad_norm": NOTED,
    },
    CTC: {"weight": FIXED, "blank": FIXED},
    Validation: {"manifest": CONTENT, "every": NOTED, "samples": NOTED},
    Generation: {"max_new_tokens": FREE, "temperature": FREE, "num_beams": FREE},
}


@dataclass(frozen=True)
class Change:
    """One key with two values, as JSON knows them."""

    key: str
    old: Any
    new: Any
    meaning: Meaning

    def __str__(self) -> str:
        return f"{self.key} was {self.old!r}, is {self.new!r}"


def changes(old: Recipe, new: Recipe, stage_number: int) -> Iterator[Change]:
    """The keys in which two recipes differ, as far as they concern one stage (counted from 1)."""
    for key, meaning in MEANINGS[Recipe].items():
        if key == "stages":
            index = stage_number - 1
            yield from _compared(old.stages[index], new.stages[index], f"stages.{index}", FIXED)
        else:
            yield from _compared(getattr(old, key), getattr(new, key), key, meaning)


def section_changes(old: Section, new: Section, key: str) -> Iterator[Change]:
    """The keys in which two sections of the same kind differ."""
    return _compared(old, new, key, PARTS)


def _compared(old: Any, new: Any, key: str, meaning: Meaning) -> Iterator[Change]:
    if isinstance(old, Section) and type(old) is type(new):
        for name, own in MEANINGS[type(old)].items():
            yield from _compared(getattr(old, name), getattr(new, name), f"{key}.{name}", own)
    elif isinstance(old, tuple) and isinstance(new, tuple) and len(old) == len(new) and _sections((*old, *new)):
        for i, (a, b) in enumerate(zip(old, new, strict=True)):
            yield from _compared(a, b, f"{key}.{i}", meaning)
    elif isinstance(old, dict) and isinstance(new, dict):
        for name in sorted(old.keys() | new.keys()):
            yield from _compared(old.get(name), new.get(name), f"{key}.{name}", meaning)
    elif _plain(old, key) != _plain(new, key):
        yield Change(key, _json(old), _json(new), meaning)


def _sections(values: tuple) -> bool:
    return bool(values) and all(isinstance(value, Section) for value in values)


def _plain(value: Any, key: str) -> Any:
    """What is compared: the order of `trainable` tells nothing."""
    plain = _json(value)
    return sorted(plain) if key.endswith(".trainable") else plain


def _json(value: Any) -> Any:
    if isinstance(value, Section):
        return value.model_dump(mode="json")
    if isinstance(value, tuple | list):
        return [_json(item) for item in value]
    return value
