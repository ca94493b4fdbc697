"""Where tensors come from: pretrained encoders and LLM, renamed to their place in WavLLM."""

import re
from collections.abc import Mapping
from typing import Any

from torch import Tensor
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedConfig, PreTrainedModel, WavLMModel
from transformers.models.whisper.modeling_whisper import WhisperEncoder

from wavllm_cli.data.origin import Origin, refuse_code, stored_origin
from wavllm_cli.errors import UsageError, WavLLMError
from wavllm_cli.model.part_config import ENCODER_TYPES
from wavllm_cli.model.stored import explaining, on_meta, require_fit, stored_shapes, weight_files

# A full Whisper checkpoint names its encoder `model.encoder.*`; without this mapping transformers would leave the
# encoder at random values and say so only in a log line.
WHISPER_KEYS = {r"^(model\.)?encoder\.": ""}
POSITIONS = "semantic_encoder.model.embed_positions.weight"
LORA_HOME = re.compile(r"\.([qkvo]_proj)\.(weight|bias)$")
_BASE = r".\1.base_layer.\2"

LOADERS: dict[str, tuple[Any, dict[str, Any]]] = {
    "semantic_encoder": (WhisperEncoder, {"key_mapping": WHISPER_KEYS}),
    "acoustic_encoder": (WavLMModel, {}),
    "language_model": (AutoModelForCausalLM, {}),
}


def build_part(part: str, config: PreTrainedConfig, trust: bool = False) -> PreTrainedModel:
    """A backbone of this configuration, at random values."""
    loader, _ = LOADERS[part]
    return loader(config) if part in ENCODER_TYPES else loader.from_config(config, trust_remote_code=trust)


def load_backbone(part: str, origin: Origin, trust: bool = False) -> PreTrainedModel:
    """One pretrained backbone, complete.

    Args:
        trust: run code that its files bring along.

    Raises:
        UsageError: its folder is missing, or its files name code.
        WavLLMError: the origin is no such model, or its checkpoint lacks tensors.
    """
    loader, options = LOADERS[part]
    name = f"The {part} {origin.path!r}"
    with explaining(f"{name} cannot be loaded"):
        config = _config(part, origin, trust)
        stored = stored_shapes(weight_files(origin, pickled=True))
        outline = on_meta(lambda: build_part(part, config, trust), [config], stored)
        require_fit(outline, stored, options.get("key_mapping", {}), hasattr(config, "quantization_config"))
        model, report = loader.from_pretrained(
            origin.path, output_loading_info=True, dtype="auto", trust_remote_code=trust, **origin.where, **options
        )
    # Fine-tuned checkpoints often drop the vector that only masked pretraining uses.
    missing = [name for name in report["missing_keys"] if name != "masked_spec_embed"]
    if missing:
        raise WavLLMError(
            f"{name} lacks {len(missing)} of its tensors (first: {missing[0]}); it is not a complete checkpoint of its "
            "kind."
        )
    return model


def load_backbones(config: PreTrainedConfig, fresh: bool = False, trust: bool = False) -> dict[str, Tensor]:
    """Every backbone that `config.backbones` refers to, as tensors named as in WavLLM.

    Args:
        fresh: the others too, at random values. Their own classes know how; filling them in as tensors that a
            checkpoint lacks would leave Whisper without its sinusoids and WavLM with unwritten memory.
        trust: run code that their files bring along.
    """
    parts = {
        "semantic_encoder": config.semantic_config,
        "acoustic_encoder": config.acoustic_config,
        "language_model": config.text_config,
    }
    origins = {part: _origin(part, entry, trust) for part, entry in (config.backbones or {}).items() if part in parts}
    state: dict[str, Tensor] = {}
    for part, own in parts.items():
        if part in origins:
            state |= _renamed(part, load_backbone(part, origins[part], trust), own)
        elif fresh:
            state |= _renamed(part, build_part(part, own, trust), own)
    return state


def backbone_tensors(
    part: str, entry: Mapping[str, Any], trust: bool = False, own: PreTrainedConfig | None = None
) -> dict[str, Tensor]:
    """One pretrained backbone (an entry of `config.backbones`) as tensors named as in WavLLM.

    Args:
        own: its configuration in WavLLM, where Whisper's windows may be shorter; None: as it was trained.
    """
    return _renamed(part, load_backbone(part, _origin(part, entry, trust), trust), own)


def _origin(part: str, entry: Mapping[str, Any], trust: bool) -> Origin:
    """Found before anything large is loaded, or refused."""
    with explaining(f"The {part} {entry.get('path')!r} cannot be loaded"):
        origin = stored_origin(entry)
        refuse_code(origin, trust)
        return origin


def _renamed(part: str, model: PreTrainedModel, own: PreTrainedConfig | None) -> dict[str, Tensor]:
    state = model.state_dict()
    if part == "language_model":
        return {f"{part}.{LORA_HOME.sub(_BASE, name)}": tensor for name, tensor in state.items()}
    tensors = {f"{part}.model.{name}": tensor for name, tensor in state.items()}
    if own is not None and POSITIONS in tensors:  # the first ones: a sinusoid knows nothing of its table's length
        tensors[POSITIONS] = tensors[POSITIONS][: own.max_source_positions].clone()
    return tensors


def backbone_config(part: str, origin: Origin, trust: bool = False) -> PreTrainedConfig:
    """The configuration of a pretrained backbone, without its weights."""
    with explaining(f"The configuration of the {part} {origin.path!r} cannot be read"):
        return _config(part, origin, trust)


def _config(part: str, origin: Origin, trust: bool) -> PreTrainedConfig:
    refuse_code(origin, trust)
    origin.file("config.json", required=True)
    config = AutoConfig.from_pretrained(origin.path, trust_remote_code=trust, **origin.where)
    expected = ENCODER_TYPES.get(part)
    if expected and config.model_type != expected:
        raise UsageError(f"it is a {config.model_type!r} model, not a {expected!r}.")
    return config
