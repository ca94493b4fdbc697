"""Opening a checkpoint for use: the sentences that a user needs when it is not one."""

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import torch
from transformers import GenerationConfig
from transformers.generation.utils import GENERATION_MODES_MAPPING

from wavllm_cli.data.origin import anchored, locate, read_json, refuse_code
from wavllm_cli.errors import UsageError, WavLLMError, reason
from wavllm_cli.model.backbones import backbone_tensors
from wavllm_cli.model.checkpoint import require_described
from wavllm_cli.model.configuration_wavllm import WavLLMConfig
from wavllm_cli.model.extractors import require_extractors
from wavllm_cli.model.groups import group_of
from wavllm_cli.model.modeling_wavllm import WavLLMForConditionalGeneration
from wavllm_cli.model.processing_wavllm import WavLLMProcessor
from wavllm_cli.model.stored import explaining as explaining_end
from wavllm_cli.model.stored import stored_tensors, weight_files
from wavllm_cli.recipe.ranges import MAX_BEAMS
from wavllm_cli.recipe.yaml_text import TextError, parse


def load_model(
    source: str,
    dtype: torch.dtype | Literal["auto"] = torch.float32,
    trust: bool = False,
    **config_options: Any,
) -> tuple[WavLLMForConditionalGeneration, WavLLMProcessor]:
    """A trained model and its processor, from a folder or a hub id.

    Args:
        dtype: of the loaded tensors; `auto` is the checkpoint's own.
        trust: run code that the files of the model or of its backbones bring along.
        config_options: entries of `WavLLMConfig` to change, such as `prompt_adapter_width` when stage 2 begins.

    Raises:
        UsageError: there is no such model, it is another project's, an option that it has set already, or its files
            name code.
        WavLLMError: its files are damaged or do not fit together, or one of its backbones cannot be loaded.
    """
    config = load_config(source, trust)
    with explaining(source):
        require_extractors(locate(source))
        for name, value in config_options.items():
            if getattr(config, name) not in (None, value):
                raise UsageError(f"The model {source} has {name} {getattr(config, name)}, it cannot become {value}.")
            setattr(config, name, value)
        # A stage may add a fresh prompt adapter; anything else that is missing would be noise in its place.
        model = WavLLMForConditionalGeneration.from_pretrained(
            source,
            config=config,
            dtype=dtype,
            fresh="prompt_adapter." if config_options else "",
            trust_remote_code=trust,
        )
    processor = load_processor(source, trust)
    _require_fitting(source, config, processor)
    _refuse_decoding(source, model.generation_config)
    return model.eval(), processor


def load_processor(source: str, trust: bool = False) -> WavLLMProcessor:
    """A model's processor, without its weights.

    Raises:
        UsageError, WavLLMError: as of `load_model`.
    """
    with explaining(source):
        origin = locate(source)
        refuse_code(origin, trust)
        require_extractors(origin)
        return WavLLMProcessor.from_pretrained(origin.path, trust_remote_code=trust)


def new_tokens(source: str) -> int | None:
    """The most tokens of an answer, by the model's own generation settings; None where they do not say it."""
    with explaining(source):
        settings = locate(source).file("generation_config.json")
        return read_json(settings).get("max_new_tokens") if settings else None


def taught_seconds(source: str) -> float | None:
    """The longest clip that a model was taught with, by the recipe beside it or its configuration; None if unknown."""
    with explaining(source):
        origin = locate(source)
        file = origin.file("recipe.yaml")
        config = origin.file("config.json")
        own = read_json(config).get("taught_seconds") if config else None
    try:
        recipe: Any = parse(file.read_text(encoding="utf-8"))[0] if file else {}
        return float(max(stage["max_audio_seconds"] for stage in recipe["stages"]))
    except (TextError, LookupError, TypeError, ValueError):  # somebody else's file of that name
        return float(own) if own else None


def _require_fitting(source: str, config: WavLLMConfig, processor: WavLLMProcessor) -> None:
    """Processor and network count the same speech tokens."""
    pairs = {
        "clips": (processor.geometry, config.audio_geometry),
        "mel bins": (processor.feature_extractor.feature_size, config.semantic_config.num_mel_bins),
        "the placeholder": (processor.audio_token_id, config.audio_token_id),
    }
    for name, (own, other) in pairs.items():
        if own != other:
            raise WavLLMError(f"The processor of {source} does not fit its config.json in {name}: {own} and {other}.")


def _refuse_decoding(source: str, generation: GenerationConfig) -> None:
    """A checkpoint may not ask for more than a command may; and some ways of decoding have left transformers, which
    would fetch their code from the hub and run it.
    """
    for name, most in (("num_beams", MAX_BEAMS), ("num_return_sequences", 1)):
        if (asked := getattr(generation, name) or 1) > most:
            raise UsageError(f"The generation_config.json of {source} has {name} {asked:,}: {most} is the limit.")
    mode = generation.get_generation_mode()
    if "/" in GENERATION_MODES_MAPPING[mode]:
        raise UsageError(
            f"The generation_config.json of {source} asks for {mode.value.replace('_', ' ')}, which transformers would "
            "run with code from the hub: remove its options."
        )


def load_config(source: str, trust: bool = False) -> WavLLMConfig:
    """A model's sizes, without its weights.

    Raises:
        UsageError, WavLLMError: as of `load_model`.
    """
    check_source(source)
    with explaining(source):
        origin = locate(source)
        refuse_code(origin, trust)
        folder = origin.file("config.json", required=True).parent  # type: ignore[union-attr]
    try:
        config = WavLLMConfig.from_pretrained(folder)
        config.audio_geometry.windows(1)  # divides by sizes
    except Exception as error:  # every kind of layer fails in its own way
        raise WavLLMError(
            f"The model {source} cannot be loaded: its config.json describes no possible model: {reason(error)}"
        ) from error
    with explaining(source):
        config.backbones = anchored(config.backbones, folder)
    return config


def described_config(source: str, trust: bool = False) -> WavLLMConfig:
    """A model's sizes, which are its weights' too: to be relied on before the model is loaded.

    Raises:
        UsageError, WavLLMError: as of `load_model`.
    """
    config = load_config(source, trust)
    with explaining_end(f"The model {source} cannot be loaded"):
        require_described(WavLLMForConditionalGeneration, config, weight_files(locate(source)))
    return config


def restore_stored(
    model: WavLLMForConditionalGeneration,
    source: str | None,
    groups: Collection[str],
    backbones: Mapping[str, Mapping[str, Any]] | None = None,
    trust: bool = False,
) -> None:
    """Give what is trained its stored values again, which loading in half precision has rounded.

    Call it once these parameters are float32 (`training.groups.set_trainable`): then a stage begins exactly where the
    one before ended.

    Args:
        source: the checkpoint that `model` was loaded from; None for a model that was built from `backbones`.
        groups: names of `recipe.PARAMETER_GROUPS`.
        backbones: `config.backbones` as it was before the trained ones were taken out; by default the checkpoint's.
        trust: run code that the files of a backbone bring along.
    """
    stored: dict[str, torch.Tensor] = {}
    if source is not None:
        backbones = load_config(source, trust).backbones
        with explaining(source):
            stored = stored_tensors(weight_files(locate(source)))
    for part, entry in (backbones or {}).items():
        if part in groups:
            stored |= backbone_tensors(part, entry, trust, model.config.semantic_config)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name in stored and group_of(name) in groups:
                parameter.copy_(stored[name])


@contextmanager
def explaining(source: str) -> Iterator[None]:
    """Whatever goes wrong in the libraries that read a model becomes one sentence."""
    try:
        yield
    except WavLLMError:
        raise
    except Exception as error:  # safetensors, JSON and hub errors have no common class
        raise WavLLMError(f"The model {source} cannot be loaded: {reason(error)}") from error


def check_source(source: str) -> None:
    """Refuse early, in one sentence, what is not a WavLLM checkpoint folder (hub ids are left to the hub)."""
    folder = Path(locate(source).path)
    if not folder.exists():
        if source.count("/") == 1 and not source.startswith((".", "/", "~")) and not folder.parent.exists():
            return  # looks like a hub id
        raise UsageError(f"There is no model folder {source}.")
    config = folder / "config.json"
    if not config.is_file():
        hint = " Training is not finished there." if (folder / "state").is_dir() else ""
        raise UsageError(f"{source} is not a model folder: it has no config.json.{hint}")
    model_type = read_json(config).get("model_type")
    if model_type != WavLLMConfig.model_type:
        raise UsageError(f"{source} holds a {model_type!r} model, not a WavLLM.")
