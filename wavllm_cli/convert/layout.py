"""The released checkpoint: how its tensors are named and laid out, and whether it has all of them.

Two things differ from transformers beyond names. LoRA is applied as `x A B`, so A and B are transposed. And Meta's
LLaMA rotates neighbouring channels (2i, 2i + 1) where transformers rotates (i, i + head_dim / 2): the outputs of q and
k, of their LoRA B and their share of the prompt adapter's scale are reordered within each head.
"""

import re
from collections.abc import Iterable, Mapping

import torch
from torch import Tensor

from wavllm_cli.errors import UsageError, reason
from wavllm_cli.model.configuration_wavllm import WavLLMConfig
from wavllm_cli.model.modeling_wavllm import WavLLMForConditionalGeneration
from wavllm_cli.model.prompt_lora import half_split, interleave

Shapes = Mapping[str, tuple[int, ...]]

LLAMA = "gpt_model.model_llama."
PREFIXES = ("audio_encoder.", "wavlm_encoder.", LLAMA)
UNUSED = "audio_proj."  # in every released checkpoint, and in no computation
LAYER_WEIGHTS = "wavlm_encoder.output_weights"

# From our names to theirs; each is tried in turn on what the ones before have left.
RENAMES = [
    (re.compile(pattern), replacement)
    for pattern, replacement in (
        (r"^semantic_encoder\.model\.", "audio_encoder.model."),
        (r"^semantic_adapter\.", "audio_encoder."),
        (r"^acoustic_encoder\.model\.", "wavlm_encoder.model."),
        (r"^acoustic_encoder\.layer_weights$", LAYER_WEIGHTS),
        (r"^acoustic_adapter\.", "wavlm_encoder."),
        (r"^fusion\.", "wavlm_audio_proj."),
        (r"^prompt_adapter\.down\.", f"{LLAMA}scale_fc_1."),
        (r"^prompt_adapter\.up\.", f"{LLAMA}scale_fc_2."),
        (r"^prompt_adapter\.attention\.", f"{LLAMA}scale_weight_attention."),
        (r"^language_model\.model\.embed_tokens\.", f"{LLAMA}tok_embeddings."),
        (r"^language_model\.lm_head\.", f"{LLAMA}output."),
        (r"^language_model\.model\.", LLAMA),
        (r"\.self_attn\.([qkvo])_proj\.base_layer\.", r".attention.w\1."),
        (r"\.self_attn\.([qkvo])_proj\.lora_([AB])\.weight$", r".attention.w\1_lora_\2"),
        (r"\.mlp\.gate_proj\.", ".feed_forward.w1."),
        (r"\.mlp\.down_proj\.", ".feed_forward.w2."),
        (r"\.mlp\.up_proj\.", ".feed_forward.w3."),
        (r"\.input_layernorm\.", ".attention_norm."),
        (r"\.post_attention_layernorm\.", ".ffn_norm."),
    )
]
# Older PyTorch wrote the two parts of a weight-normed weight under other names.
WEIGHT_NORM = {"weight_g": "parametrizations.weight.original0", "weight_v": "parametrizations.weight.original1"}
LAYER = re.compile(r"(.*?\blayers\.)(\d+)(.*)")
ROTARY = re.compile(r"\.[qk]_proj\.(base_layer|lora_B)\.")


def original_name(name: str) -> str:
    """Our name of a tensor -> its name in the released checkpoint."""
    for pattern, replacement in RENAMES:
        name = pattern.sub(replacement, name)
    return name


def canonical_name(name: str) -> str:
    """A name in the released checkpoint as today's PyTorch would write it."""
    head, dot, last = name.rpartition(".")
    return head + dot + WEIGHT_NORM.get(last, last)


def from_original(name: str, tensor: Tensor, heads: int) -> Tensor:
    """A released tensor as ours of this name; `heads` of the LLM."""
    if ".lora_" in name:
        tensor = tensor.T
    if ROTARY.search(name):
        tensor = half_split(tensor.T, heads).T
    return tensor.contiguous()


def to_original(name: str, tensor: Tensor, heads: int) -> Tensor:
    """The inverse of `from_original`, bit by bit."""
    if ROTARY.search(name):
        tensor = interleave(tensor.T, heads).T
    if ".lora_" in name:
        tensor = tensor.T
    return tensor.contiguous()


# --- are these the tensors? ---


def expected_shapes(config: WavLLMConfig) -> Shapes:
    """Every tensor of a model of this configuration, by our names.

    Raises:
        UsageError: there can be no such model.
    """
    try:
        with torch.device("meta"):
            model = WavLLMForConditionalGeneration(config)
    except (RuntimeError, ValueError, ZeroDivisionError, OverflowError) as error:
        raise UsageError(f"The checkpoint's tensors have impossible sizes: {reason(error)}") from error
    return {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}


def find_problems(shapes: Shapes, expected: Shapes) -> list[str]:
    """All that is missing, surplus and mis-shaped in a checkpoint, one entry a kind; empty if it is complete.

    Args:
        shapes: by the released names, canonical.
        expected: by ours, `expected_shapes` of the checkpoint's configuration.
    """
    wanted = {original_name(name): _original_shape(name, shape) for name, shape in expected.items()}
    missing = [name for name in wanted if name not in shapes and name != LAYER_WEIGHTS]
    surplus = [name for name in shapes if name not in wanted and not name.startswith(UNUSED)]
    shaped = [
        f"{name} {shapes[name]}, expected {shape}"
        for name, shape in wanted.items()
        if name in shapes and shapes[name] != shape
    ]
    problems = [("missing", collapse(missing)), ("surplus", collapse(surplus)), ("of another shape", shaped)]
    return [f"{kind}: {', '.join(names)}" for kind, names in problems if names]


def _original_shape(name: str, shape: tuple[int, ...]) -> tuple[int, ...]:
    return shape[::-1] if ".lora_" in name else shape


def collapse(names: Iterable[str]) -> list[str]:
    """Names that differ only in their layer, as one: `layers.0.fc1.bias`, … -> `layers.{0,1,2}.fc1.bias`."""
    groups: dict[tuple[str, str], list[str]] = {}
    for name in names:
        numbered = LAYER.match(name)
        head, number, tail = numbered.groups() if numbered else (name, "", "")
        groups.setdefault((head, tail), []).append(number)
    return [
        f"{head}{{{','.join(numbers)}}}{tail}" if len(numbers) > 1 else head + numbers[0] + tail
        for (head, tail), numbers in groups.items()
    ]
