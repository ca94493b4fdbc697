"""What `wavllm convert --to-fairseq` does: a model folder to a checkpoint that the released code reads."""

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch import Tensor
from transformers import PreTrainedConfig

from wavllm_cli import console
from wavllm_cli.convert import layout
from wavllm_cli.convert.from_fairseq import LEFTOVERS, Converted
from wavllm_cli.convert.sizes import RMS_NORM_EPS, ROPE_THETA
from wavllm_cli.convert.torch_file import read_torch_file
from wavllm_cli.data.files import owned, replacing, require_new, require_space
from wavllm_cli.data.origin import locate, refuse_code
from wavllm_cli.errors import UsageError, WavLLMError
from wavllm_cli.model.checkpoint import read_checkpoint
from wavllm_cli.model.configuration_wavllm import WavLLMConfig
from wavllm_cli.model.load import check_source, explaining
from wavllm_cli.model.modeling_wavllm import WavLLMForConditionalGeneration

# Options that the released code looks for when it opens a checkpoint.
ORIGINAL_OPTIONS = {"model": {"_name": "speechllm_model"}, "task": {"_name": "speechllm_task"}}


def to_fairseq(source: Path, output: Path) -> Converted:
    """Write a model folder as the released code reads it; what came from a released checkpoint comes back bit by bit.

    A file that holds just that already is left as it is.

    Raises:
        UsageError: a model that the released network cannot express, or an output that exists.
        WavLLMError: a damaged model, or too small a disk.
    """
    started = time.perf_counter()
    if not output.is_file():
        require_new(output)
    check_source(str(source))
    with explaining(str(source)):
        refuse_code(locate(str(source)))
        _require_expressible(source, WavLLMConfig.from_pretrained(source))
        checkpoint = read_checkpoint(WavLLMForConditionalGeneration, source)
        config, ours = checkpoint.config, checkpoint.tensors()
    state = {layout.original_name(name): name for name in ours}
    names, unused, options = _leftovers(source, state, config)
    heads = config.text_config.num_attention_heads
    tensors = {}
    for name in console.track(names, "restoring names"):
        own = state.get(layout.canonical_name(name))
        tensors[name] = unused[name] if own is None else layout.to_original(own, ours[own], heads)
    content = {"model": tensors, "cfg": options, "args": None}
    with owned(output):
        if output.is_file() and _holds(output, content):
            console.info(f"{output} is complete already")
        else:
            require_new(output)
            require_space(output, sum(tensor.nbytes for tensor in tensors.values()))
            with replacing(output) as draft, draft.open("wb") as file:
                torch.save(content, file)  # into an archive that does not bear the draft's name
    return Converted(
        output=str(output),
        tensors=len(tensors),
        parameters=sum(tensor.numel() for tensor in tensors.values()),
        unused=sorted(unused),
        references={},
        seconds=time.perf_counter() - started,
    )


def _holds(output: Path, content: Mapping[str, Any]) -> bool:
    """Whether a file is what the same command would write."""
    try:
        there = read_torch_file(output)
    except WavLLMError:
        return False
    if not isinstance(there, dict) or there.get("cfg") != content["cfg"] or not isinstance(there.get("model"), dict):
        return False
    tensors = there["model"]
    return list(tensors) == list(content["model"]) and all(
        isinstance(tensors[name], Tensor) and tensors[name].dtype == own.dtype and torch.equal(tensors[name], own)
        for name, own in content["model"].items()
    )


def _leftovers(
    source: Path, state: Mapping[str, str], config: WavLLMConfig
) -> tuple[list[str], dict[str, Tensor], dict[str, Any]]:
    """The released checkpoint's names in their order, its unused tensors and its options; made up for other models."""
    if (source / LEFTOVERS).is_file():
        with safe_open(source / LEFTOVERS, framework="pt") as file:
            origin = file.metadata()
            unused = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
        options = json.loads(origin["cfg"]) if "cfg" in origin else ORIGINAL_OPTIONS
        return json.loads(origin["names"]), unused, options
    width = config.text_config.hidden_size
    unused = {"weight": torch.zeros(width, config.adapter_width), "bias": torch.zeros(width)}
    unused = {layout.UNUSED + name: tensor for name, tensor in unused.items()}
    return [*state, *unused], unused, ORIGINAL_OPTIONS


def _require_expressible(source: Path, config: WavLLMConfig) -> None:
    """The released network is LLaMA with one scale for q, k, v and o, counted in Meta's order."""
    problem = None
    if not _is_released_llama(config.text_config):
        problem = (
            "its LLM is not LLaMA as the released code has it (no grouped queries, biases or tied embeddings; "
            f"norm epsilon {RMS_NORM_EPS:g}, rotary base {ROPE_THETA:g})"
        )
    elif config.prompt_adapter_width and not config.interleaved_scale:
        problem = "its prompt adapter counts the channels of q and k in the order of transformers"
    elif not config.prompt_adapter_width and config.lora_factor != 1:
        problem = f"its LoRA is multiplied by alpha / rank = {config.lora_factor:g}"
    if problem:
        raise UsageError(f"{source} cannot be written as a fairseq checkpoint: {problem}.")


def _is_released_llama(text: PreTrainedConfig) -> bool:
    return (
        text.model_type == "llama"
        and text.num_key_value_heads == text.num_attention_heads
        and not (text.attention_bias or text.mlp_bias or text.tie_word_embeddings)
        and text.rms_norm_eps == RMS_NORM_EPS
        and text.rope_parameters == {"rope_type": "default", "rope_theta": ROPE_THETA}
    )
