"""A checkpoint to start from and a recipe's `model` both describe a network: they must agree, or one must give way.

A checkpoint that a recipe made has that recipe beside it, and another one is refused. A checkpoint that no recipe made,
a converted one or one of the hub, brings its own model: the recipe takes it over, and says so.
"""

from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from transformers import PreTrainedConfig

from wavllm_cli import recipe as recipes
from wavllm_cli.data.origin import entry_of, locate, stored_origin
from wavllm_cli.errors import UsageError, WavLLMError
from wavllm_cli.model.backbones import backbone_config
from wavllm_cli.model.configuration_wavllm import POSITIONS_PER_SECOND, WavLLMConfig
from wavllm_cli.model.load import load_config
from wavllm_cli.recipe import Backbone, Model, PromptAdapter, Recipe
from wavllm_cli.recipe.changes import Change, section_changes
from wavllm_cli.training.checkpoint import RECIPE, RunFolder
from wavllm_cli.training.comparison import in_one_sentence
from wavllm_cli.training.record import PARTS, backbone_content

SUB_CONFIGS = dict(zip(PARTS, ("semantic_config", "acoustic_config", "text_config"), strict=True))


@dataclass(frozen=True)
class Settled:
    """A recipe whose `model` is the checkpoint's, and what had to be changed for that (None: nothing may be)."""

    recipe: Recipe
    adopted: bool
    taken_over: list[str]


def settle(recipe: Recipe, stage_number: int, source: str, trust: bool = False) -> Settled:
    """Make sure that the recipe describes the checkpoint.

    Raises:
        UsageError: it describes another one than the recipe that made the checkpoint; names keys and values.
        WavLLMError: the checkpoint's configuration cannot be read.
    """
    config = load_config(source, trust)
    recipe, problems = _prompt_adapter(recipe, stage_number, source, config)
    made_by = _recipe_of(source)
    if made_by is None:
        model = _model_of(config, source)
        taken_over = [*_differences(_shown(model, config, recipe.model), recipe.model), *problems]
        return Settled(recipe.model_copy(update={"model": model}), True, taken_over)
    truly = made_by.model_copy(update=_own_layers(config))  # whatever is written there
    problems = [*_differences(truly, recipe.model), *problems]
    if problems:
        raise UsageError(
            f"Recipe {recipe.name} describes another model than {source} is: {in_one_sentence(problems)}. Take the "
            f"recipe that it was made with ({Path(source, RECIPE)}), change these keys with --set, or start from "
            "another checkpoint with --start."
        )
    return Settled(recipe, False, [])


def _recipe_of(source: str) -> Model | None:
    """The `model` section that a training of ours made this checkpoint with."""
    origin = locate(source)
    if not origin.local:
        return None
    try:
        record = RunFolder(Path(origin.path)).record
        if record is not None:
            return None if record.start and record.start.adopted else record.recipe.model
        return recipes.load(str(Path(origin.path, RECIPE))).model
    except WavLLMError:
        return None


# --- what a checkpoint is ---


def _model_of(config: WavLLMConfig, source: str) -> Model:
    """A checkpoint as a recipe's `model` section."""
    origin = locate(source)
    parts: dict[str, Any] = {}
    for part in PARTS:
        entry = (config.backbones or {}).get(part)
        if entry:
            found = entry_of(stored_origin(entry, origin.path))
            parts[part] = {"path": found["path"], "revision": found.get("revision")}
        else:
            parts[part] = {"config": _sizes(getattr(config, SUB_CONFIGS[part]))}
    if "config" in parts["language_model"]:
        parts["language_model"]["tokenizer"] = {"vocab_size": config.text_config.vocab_size}
    window = _semantic_window(config, parts["semantic_encoder"])
    return Model.model_validate({**parts, **_own_layers(config), "semantic_window": window})


def _semantic_window(config: WavLLMConfig, whisper: dict[str, Any]) -> int | None:
    """Seconds, where they are fewer than those of the pretrained Whisper that is meant."""
    positions = config.semantic_config.max_source_positions
    if "path" not in whisper:
        return None
    own = backbone_config("semantic_encoder", locate(whisper["path"], whisper["revision"])).max_source_positions
    return positions // POSITIONS_PER_SECOND if positions < own else None


def _own_layers(config: WavLLMConfig) -> dict[str, Any]:
    """The keys on what is neither encoder nor LLM."""
    adapters = {
        "semantic_channels": config.semantic_channels,
        "acoustic_channels": config.acoustic_channels,
        "bottleneck": config.adapter_bottleneck,
        "width": config.adapter_width,
        "dropout": config.adapter_dropout,
    }
    lora = {"rank": config.lora_rank, "alpha": config.lora_alpha, "dropout": config.lora_dropout}
    return {
        "adapters": recipes.Adapters.model_validate(adapters),
        "lora": recipes.LoRA.model_validate(lora),
        "acoustic_window": config.acoustic_window,
    }


def _sizes(config: PreTrainedConfig) -> dict[str, Any]:
    """What the configuration of an encoder or LLM says of its network, as a recipe may say it."""
    common = {field.name for field in fields(PreTrainedConfig)}
    own = {field.name for field in fields(type(config))} - common | {"model_type"}
    return {key: value for key, value in config.to_diff_dict().items() if key in own}


def _shown(model: Model, config: WavLLMConfig, asked: Model) -> Model:
    """The checkpoint's model with no more keys of its backbones than the recipe speaks of."""
    parts = {}
    for part in PARTS:
        section, wanted = getattr(model, part), getattr(asked, part)
        if section.config is not None and wanted.config is not None:
            own = getattr(config, SUB_CONFIGS[part]).to_dict()
            parts[part] = section.model_copy(update={"config": {key: own.get(key) for key in wanted.config}})
    return model.model_copy(update=parts)


def _prompt_adapter(recipe: Recipe, stage_number: int, source: str, config: WavLLMConfig) -> tuple[Recipe, list[str]]:
    """The recipe with the checkpoint's prompt adapter, and how it speaks of another one."""
    stage, width = recipe.stages[stage_number - 1], config.prompt_adapter_width
    if width is None or (stage.prompt_adapter and stage.prompt_adapter.width == width):
        return recipe, []
    if stage.prompt_adapter:
        raise UsageError(
            f"The model {source} has prompt_adapter_width {width}, it cannot become {stage.prompt_adapter.width}: give "
            f"--set stages.{stage_number - 1}.prompt_adapter.width={width}, or start from another checkpoint."
        )
    stages = list(recipe.stages)
    stages[stage_number - 1] = stage.model_copy(update={"prompt_adapter": PromptAdapter(width=width)})
    said = f"stages.{stage_number - 1}.prompt_adapter.width is {width} there, and not in the recipe"
    return recipe.model_copy(update={"stages": tuple(stages)}), [said]


# --- how two descriptions differ ---


def _differences(there: Model, here: Model) -> Iterator[str]:
    """Of a checkpoint and a recipe."""
    for part in PARTS:
        yield from _part_differences(f"model.{part}", getattr(there, part), getattr(here, part))
    for part in ("adapters", "lora"):
        yield from map(_said, section_changes(getattr(there, part), getattr(here, part), f"model.{part}"))
    for key in ("semantic_window", "acoustic_window"):
        if getattr(there, key) != getattr(here, key):
            yield f"model.{key} is {getattr(there, key)} there, {getattr(here, key)} in the recipe"


def _part_differences(key: str, there: Backbone, here: Backbone) -> Iterator[str]:
    if there.path and here.path:
        if there != here and backbone_content(there) != backbone_content(here):
            yield f"{key} is {there.path} there, {here.path} in the recipe"
    elif there.path or here.path:
        yield f"{key} is {there.path or 'its own'} there, {here.path or 'one without a path'} in the recipe"
    else:
        yield from map(_said, section_changes(there, here, key))


def _said(change: Change) -> str:
    return f"{change.key} is {change.old!r} there, {change.new!r} in the recipe"
