"""Prompt-aware LoRA: low-rank updates whose strength, channel by channel, is read off the user's instruction.

For each of q, k, v, o in every layer of the LLM::

                 x (B, T, in)
                 |          \\
             W x |           dropout -> A (rank) -> B (out)
                 |                                  |
                 |                                  * s (B, out)      s = prompt adapter(prompt), or alpha / rank
                 |                                  |
                 +---------------<------------------+

`s` is data: it enters the LLM as the keyword `lora_scale` and travels down to every attention module, whose hooks show
it to the projections of that one call, in the thread that makes it. So activation checkpointing recomputes with the
right values, beams expand it like any other input, a second forward before `backward()` cannot disturb the first, and
threads that share a model cannot disturb each other. No `lora_scale` means the bare LLM.
"""

import inspect
import re
import threading
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import PreTrainedConfig, PreTrainedModel

from wavllm_cli.errors import UsageError

PROJECTIONS = ("q_proj", "k_proj", "v_proj", "o_proj")


class AttentionCall(threading.local):
    """The attention call that this thread is in: nothing outlives it, and no module remembers it."""

    scale: Tensor | None = None  # (B, width), laid out as in `ScaleLayout`


call = AttentionCall()


def enter_call(attention: nn.Module, args: tuple, kwargs: dict) -> tuple[tuple, dict]:
    """Forward pre-hook of an attention module: takes `lora_scale`, of which transformers knows nothing."""
    call.scale = kwargs.pop("lora_scale", None)
    return args, kwargs


def leave_call(attention: nn.Module, *_: object) -> None:
    """Forward hook of an attention module, after an error too."""
    call.scale = None


class LoRALinear(nn.Module):
    """A linear layer, untouched, and beside it a low-rank update. Parameter names follow PEFT.

    Args:
        channels: where this projection finds its own in the scale.
    """

    def __init__(self, base_layer: nn.Linear, rank: int, dropout: float, channels: slice):
        super().__init__()
        self.base_layer = base_layer
        self.lora_A = nn.Linear(base_layer.in_features, rank, bias=False)
        self.lora_B = nn.Linear(rank, base_layer.out_features, bias=False)
        self.lora_dropout = nn.Dropout(dropout)
        self.channels = channels

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, in) -> (B, T, out)."""
        y = self.base_layer(x)
        if call.scale is None:
            return y
        scale = call.scale[:, None, self.channels].to(y.dtype)
        return y + self.lora_B(self.lora_A(self.lora_dropout(x))) * scale


class PromptAdapter(nn.Module):
    """From the LLM's hidden states of the prompt to one scale per channel (paper, section 3.2).

    Z = W2 GELU(W1 H);  pooled = sum over tokens of softmax(w Z + b) Z;  s = clamp(relu(pooled), max)
    """

    def __init__(self, input_width: int, inner: int, output_width: int, maximum: float):
        super().__init__()
        self.maximum = maximum
        self.down = nn.Linear(input_width, inner)
        self.up = nn.Linear(inner, output_width)
        self.attention = nn.Linear(output_width, 1)

    def forward(self, hidden_states: Tensor, mask: Tensor) -> Tensor:
        """(B, P, D) states and (B, P) mask of the prompt's tokens -> (B, output_width) in [0, maximum]."""
        z = self.up(F.gelu(self.down(hidden_states)))
        wide = torch.promote_types(z.dtype, torch.float32)
        logits = self.attention(z).to(wide).masked_fill(~mask[..., None].bool(), torch.finfo(wide).min)
        pooled = (logits.softmax(dim=1) * z.to(wide)).sum(dim=1)
        return pooled.relu().clamp(max=self.maximum)


@dataclass(frozen=True)
class ScaleLayout:
    """Where each projection finds its channels in `lora_scale`, (B, width).

    Projections of equal output width share theirs (the published model has one scale of 4096 for all four);
    grouped-query attention, whose k and v are narrower, appends one part for each further width. Those parts are
    what a prompt adapter emits, (B, emitted).

    Attributes:
        rotary: for a prompt adapter that counts the channels of q and k in another rotary order: where these two
            stand in what it emits, and their heads. `expand` appends them reordered.
    """

    slices: dict[str, slice]
    emitted: int
    width: int
    rotary: tuple[tuple[slice, int], ...] = ()

    def expand(self, scale: Tensor) -> Tensor:
        """(B, emitted) -> (B, width)."""
        return torch.cat([scale, *(half_split(scale[:, part], heads) for part, heads in self.rotary)], dim=1)


def half_split(x: Tensor, heads: int) -> Tensor:
    """(…, heads * head_dim) channels from the interleaved rotary order (pairs 2i, 2i + 1) to pairs i, i + head_dim / 2.

    Meta's LLaMA rotates the former, transformers' the latter.
    """
    return x.unflatten(-1, (heads, -1, 2)).transpose(-1, -2).flatten(-3)


def interleave(x: Tensor, heads: int) -> Tensor:
    """The inverse of `half_split`."""
    return x.unflatten(-1, (heads, 2, -1)).transpose(-1, -2).flatten(-3)


def scale_layout(text_config: PreTrainedConfig, interleaved: bool = False) -> ScaleLayout:
    """The layout for an LLM of this configuration; `interleaved` as in `WavLLMConfig.interleaved_scale`."""
    heads = text_config.num_attention_heads
    head_dim = getattr(text_config, "head_dim", None) or text_config.hidden_size // heads
    kv_heads = getattr(text_config, "num_key_value_heads", None) or heads
    q, kv, o = heads * head_dim, kv_heads * head_dim, text_config.hidden_size
    parts: dict[int, slice] = {}
    emitted = 0
    for size in (q, kv, o):
        if size not in parts:
            parts[size] = slice(emitted, emitted + size)
            emitted += size
    slices = dict(zip(PROJECTIONS, (parts[q], parts[kv], parts[kv], parts[o]), strict=True))
    if not interleaved:
        return ScaleLayout(slices, emitted, emitted)
    rotary = ((parts[q], heads), (parts[kv], kv_heads))
    slices |= {"q_proj": slice(emitted, emitted + q), "k_proj": slice(emitted + q, emitted + q + kv)}
    return ScaleLayout(slices, emitted, emitted + q + kv, rotary)


def passes_keywords(layer: nn.Module, attention: str) -> bool:
    """Does the layer's `forward` hand its keyword arguments to the attention module of this name?

    Read off its source: a trial run would need the weights, and those come later.
    """
    call = re.search(rf"self\.{attention}\((.*?)\n\s*\)", inspect.getsource(type(layer).forward), re.DOTALL)
    return call is None or "**" in call[1]


def add_lora(language_model: PreTrainedModel, rank: int, dropout: float, layout: ScaleLayout) -> None:
    """Wrap q, k, v, o of every self-attention layer.

    Raises:
        UsageError: the LLM has no separate q, k, v, o projections (Phi-3 fuses them, for example), or its layers
            keep keywords from their attention (StableLM), where the scale would be lost without a word.
    """
    modules = dict(language_model.named_modules())
    names = [path for path, module in modules.items() if all(hasattr(module, name) for name in PROJECTIONS)]
    attentions = [modules[path] for path in names]
    if len(attentions) != language_model.config.num_hidden_layers:
        raise UsageError(
            f"{type(language_model).__name__} has {len(attentions)} attention modules with separate "
            f"{', '.join(PROJECTIONS)} for {language_model.config.num_hidden_layers} layers; prompt-aware LoRA needs "
            "one in each layer, as in LLaMA, Mistral, Qwen, Gemma or Granite."
        )
    layer = modules[names[0].rpartition(".")[0]]
    if not passes_keywords(layer, names[0].rpartition(".")[2]):
        raise UsageError(
            f"{type(layer).__name__} does not pass keywords on to its attention, so prompt-aware LoRA cannot reach it; "
            "LLaMA, Mistral, Qwen, Gemma and Granite layers do."
        )
    for attention in attentions:
        for name in PROJECTIONS:
            setattr(attention, name, LoRALinear(getattr(attention, name), rank, dropout, layout.slices[name]))
        attention.register_forward_pre_hook(enter_call, with_kwargs=True)
        attention.register_forward_hook(leave_call, always_call=True)
