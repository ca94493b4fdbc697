"""Where tensors come from: pretrained encoders and LLM, renamed to their place in WavLLM, and our own checkpoints."""

import json
import os
import re
from pathlib import Path

from safetensors.torch import load_file
from torch import Tensor
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedConfig, PreTrainedModel, WavLMModel
from transformers.models.whisper.modeling_whisper import WhisperEncoder
from transformers.utils import SAFE_WEIGHTS_INDEX_NAME, SAFE_WEIGHTS_NAME, cached_file

from wavllm_cli.errors import WavLLMError, reason

# A full Whisper checkpoint names its encoder `model.encoder.*`; without this mapping transformers would leave the
# encoder at random values and say so only in a log line.
WHISPER_KEYS = {r"^(model\.)?encoder\.": ""}
LORA_HOME = re.compile(r"\.([qkvo]_proj)\.(weight|bias)$")
_BASE = r".\1.base_layer.\2"

LOADERS = {
    "semantic_encoder": (WhisperEncoder, {"key_mapping": WHISPER_KEYS}),
    "acoustic_encoder": (WavLMModel, {}),
    "language_model": (AutoModelForCausalLM, {}),
}
BUILDERS = {
    "semantic_encoder": lambda config: WhisperEncoder(config.semantic_config),
    "acoustic_encoder": lambda config: WavLMModel(config.acoustic_config),
    "language_model": lambda config: AutoModelForCausalLM.from_config(config.text_config),
}


def load_backbone(part: str, path: str, revision: str | None) -> PreTrainedModel:
    """One pretrained backbone, complete.

    Raises:
        WavLLMError: the path is no such model, or its checkpoint lacks tensors.
    """
    loader, options = LOADERS[part]
    try:
        model, report = loader.from_pretrained(
            path, revision=revision or "main", output_loading_info=True, dtype="auto", **options
        )
    except (OSError, ValueError) as error:
        raise WavLLMError(f"The {part} {path!r} cannot be loaded: {reason(error)}") from error
    # Fine-tuned checkpoints often drop the vector that only masked pretraining uses.
    missing = [name for name in report["missing_keys"] if name != "masked_spec_embed"]
    if missing:
        raise WavLLMError(
            f"The {part} {path!r} lacks {len(missing)} of its tensors (first: {missing[0]}); "
            "it is not a complete checkpoint of its kind."
        )
    return model


def load_backbones(config: PreTrainedConfig, fresh: bool = False) -> dict[str, Tensor]:
    """Every backbone that `config.backbones` refers to, as tensors named as in WavLLM.

    Args:
        fresh: the others too, at random values. Their own classes know how; filling them in as tensors that a
            checkpoint lacks would leave Whisper without its sinusoids and WavLM with unwritten memory.
    """
    state: dict[str, Tensor] = {}
    for part, build in BUILDERS.items():
        if part in config.backbones:
            state |= backbone_tensors(part, config.backbones[part])
        elif fresh:
            state |= _renamed(part, build(config))
    return state


def backbone_tensors(part: str, source: dict[str, str | None]) -> dict[str, Tensor]:
    """One pretrained backbone (an entry of `config.backbones`) as tensors named as in WavLLM."""
    path = source["path"]
    assert path is not None
    return _renamed(part, load_backbone(part, path, source.get("revision")))


def _renamed(part: str, model: PreTrainedModel) -> dict[str, Tensor]:
    if part != "language_model":
        return {f"{part}.model.{name}": tensor for name, tensor in model.state_dict().items()}
    return {f"{part}.{LORA_HOME.sub(_BASE, name)}": tensor for name, tensor in model.state_dict().items()}


def backbone_config(part: str, path: str, revision: str | None) -> PreTrainedConfig:
    """The configuration of a pretrained backbone, without its weights."""
    try:
        return AutoConfig.from_pretrained(path, revision=revision or "main")
    except (OSError, ValueError) as error:
        raise WavLLMError(f"The configuration of the {part} {path!r} cannot be read: {reason(error)}") from error


def stored_tensors(path: str | os.PathLike, **hub) -> dict[str, Tensor]:
    """The tensors in a checkpoint folder or hub repository, mapped from one file or its shards."""
    index = cached_file(path, SAFE_WEIGHTS_INDEX_NAME, _raise_exceptions_for_missing_entries=False, **hub)
    shards = json.loads(Path(index).read_text())["weight_map"].values() if index else [SAFE_WEIGHTS_NAME]
    state: dict[str, Tensor] = {}
    for shard in dict.fromkeys(shards):
        state |= load_file(cached_file(path, shard, **hub))
    return state
