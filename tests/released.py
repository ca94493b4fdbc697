"""Random checkpoints that look like the released one: its tensor names, at any size.

The published weights are too large for tests, and not needed to check names, shapes and arithmetic. What matters is
that no path is idle: no norm is the identity, no bias is zero, LoRA changes every projection, and the prompt adapter's
scale runs from exactly 0 to exactly 3. So a model that forgets or mixes up one tensor gives visibly different results
from the independent transcription in `oracle.py`, which reads these same names.
"""

import math
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor


@dataclass(frozen=True)
class Sizes:
    """All sizes of a checkpoint; the default is small. "channels" count a convolution's outputs before its GLU."""

    semantic_width: int = 32
    semantic_layers: int = 2
    semantic_ffn: int = 64
    semantic_heads: int = 2
    mels: int = 16
    positions: int = 1500  # encoder frames of 20 ms: windows of 30 s

    acoustic_channels: tuple[int, ...] = (16,) * 7
    acoustic_kernels: tuple[int, ...] = (10, 3, 3, 3, 3, 2, 2)
    acoustic_strides: tuple[int, ...] = (5, 2, 2, 2, 2, 2, 2)
    acoustic_width: int = 32
    acoustic_layers: int = 3
    acoustic_ffn: int = 64
    acoustic_heads: int = 2
    position_kernel: int = 16
    position_groups: int = 4
    buckets: int = 320

    semantic_adapter_channels: tuple[int, ...] = (32, 40)
    acoustic_adapter_channels: tuple[int, ...] = (24, 40)
    adapter_kernel: int = 3
    bottleneck: int = 16
    adapter_width: int = 24  # of each stream, before fusion

    width: int = 64  # from here on: the LLM
    layers: int = 2
    heads: int = 4
    ffn: int = 96
    vocab: int = 128
    rank: int = 4
    prompt_width: int = 16

    @classmethod
    def published(cls, llm_layers: int = 2, semantic_layers: int = 2, vocab: int = 512) -> Self:
        """The published widths everywhere; only two depths and the vocabulary are cut (originally 32, 32, 32000)."""
        return cls(
            semantic_width=1280, semantic_layers=semantic_layers, semantic_ffn=5120, semantic_heads=20, mels=80,
            acoustic_channels=(512,) * 7, acoustic_width=768, acoustic_layers=12, acoustic_ffn=3072, acoustic_heads=12,
            position_kernel=128, position_groups=16,
            semantic_adapter_channels=(1280, 2048), acoustic_adapter_channels=(512, 2048),
            bottleneck=512, adapter_width=2048,
            width=4096, layers=llm_layers, heads=32, ffn=11008, vocab=vocab, rank=32, prompt_width=1024,
        )  # fmt: skip


class _Maker:
    """Draws tensors one after the other into `tensors`, so that inputs of order one give outputs of order one."""

    def __init__(self, seed: int, dtype: torch.dtype):
        self.generator = torch.Generator().manual_seed(seed)
        self.dtype = dtype
        self.tensors: dict[str, Tensor] = {}

    def normal(self, name: str, *shape: int, std: float, mean: float = 0.0) -> None:
        drawn = torch.empty(shape).normal_(mean, std, generator=self.generator)
        self.tensors[name] = drawn.to(self.dtype)

    def linear(self, name: str, inputs: int, outputs: int, bias: bool = True, gain: float = 1.0) -> None:
        self.normal(f"{name}.weight", outputs, inputs, std=gain / math.sqrt(inputs))
        if bias:
            self.normal(f"{name}.bias", outputs, std=0.1)

    def conv(self, name: str, inputs: int, outputs: int, kernel: int, bias: bool = True) -> None:
        # GELU or GLU follows every convolution and loses power: the gain makes up for it.
        self.normal(f"{name}.weight", outputs, inputs, kernel, std=1.5 / math.sqrt(inputs * kernel))
        if bias:
            self.normal(f"{name}.bias", outputs, std=0.1)

    def norm(self, name: str, width: int, bias: bool = True) -> None:
        self.normal(f"{name}.weight", width, std=0.2, mean=1.0)
        if bias:
            self.normal(f"{name}.bias", width, std=0.1)


def random_checkpoint(
    sizes: Sizes = Sizes(),
    seed: int = 0,
    dtype: torch.dtype = torch.float32,
    weight_norm: str = "weight_g",
    prompt_adapter: bool = True,
) -> dict[str, Tensor]:
    """Every tensor of a released checkpoint by its original name; what is shared by two variants has equal values.

    `weight_norm` picks the names of WavLM's weight-normed convolution: "weight_g" or "parametrizations".
    Without `prompt_adapter` it is a checkpoint of stage 1.
    """
    make = _Maker(seed, dtype)
    _whisper(make, sizes)
    _wavlm(make, sizes, weight_norm)
    for name, inputs, channels in (
        ("audio_encoder", sizes.semantic_width, sizes.semantic_adapter_channels),
        ("wavlm_encoder", sizes.acoustic_width, sizes.acoustic_adapter_channels),
    ):
        _adapter(make, sizes, name, inputs, channels)
    make.normal("wavlm_encoder.output_weights", sizes.acoustic_layers + 1, std=1.0)
    make.linear("wavlm_audio_proj", 2 * sizes.adapter_width, sizes.width)
    make.linear("audio_proj", sizes.adapter_width, sizes.width)
    _llama(make, sizes)
    if prompt_adapter:
        _prompt_adapter(make, sizes)
    return make.tensors


def _whisper(make: _Maker, sizes: Sizes) -> None:
    model, width = "audio_encoder.model", sizes.semantic_width
    make.conv(f"{model}.conv1", sizes.mels, width, 3)
    make.conv(f"{model}.conv2", width, width, 3)
    make.normal(f"{model}.embed_positions.weight", sizes.positions, width, std=0.3)
    for i in range(sizes.semantic_layers):
        layer = f"{model}.layers.{i}"
        for part in "qkv":
            make.linear(f"{layer}.self_attn.{part}_proj", width, width, bias=part != "k")
        make.linear(f"{layer}.self_attn.out_proj", width, width)
        make.norm(f"{layer}.self_attn_layer_norm", width)
        make.linear(f"{layer}.fc1", width, sizes.semantic_ffn)
        make.linear(f"{layer}.fc2", sizes.semantic_ffn, width)
        make.norm(f"{layer}.final_layer_norm", width)
    make.norm(f"{model}.layer_norm", width)


def _wavlm(make: _Maker, sizes: Sizes, weight_norm: str) -> None:
    model, width = "wavlm_encoder.model", sizes.acoustic_width
    make.normal(f"{model}.masked_spec_embed", width, std=1.0)
    inputs = 1
    for i, (channels, kernel) in enumerate(zip(sizes.acoustic_channels, sizes.acoustic_kernels, strict=True)):
        layer = f"{model}.feature_extractor.conv_layers.{i}"
        make.conv(f"{layer}.conv", inputs, channels, kernel, bias=False)
        if i == 0:
            make.norm(f"{layer}.layer_norm", channels)
        inputs = channels
    make.norm(f"{model}.feature_projection.layer_norm", inputs)
    make.linear(f"{model}.feature_projection.projection", inputs, width)

    conv, group, taps = f"{model}.encoder.pos_conv_embed.conv", width // sizes.position_groups, sizes.position_kernel
    names = {
        "weight_g": ("weight_g", "weight_v"),
        "parametrizations": ("parametrizations.weight.original0", "parametrizations.weight.original1"),
    }
    length, direction = names[weight_norm]
    # A tap has width * group weights; this length gives each the usual 1 / sqrt(group * taps).
    usual = math.sqrt(width / taps)
    make.normal(f"{conv}.{length}", 1, 1, taps, mean=usual, std=0.3 * usual)
    make.normal(f"{conv}.{direction}", width, group, taps, std=1.0)
    make.normal(f"{conv}.bias", width, std=0.1)

    make.norm(f"{model}.encoder.layer_norm", width)
    for i in range(sizes.acoustic_layers):
        layer = f"{model}.encoder.layers.{i}"
        # Sharp attention, or all frames become alike after a few random layers.
        for part, gain in (("q_proj", 1.5), ("k_proj", 1.5), ("v_proj", 1.0), ("out_proj", 1.0)):
            make.linear(f"{layer}.attention.{part}", width, width, gain=gain)
        make.linear(f"{layer}.attention.gru_rel_pos_linear", width // sizes.acoustic_heads, 8, bias=False)
        make.normal(f"{layer}.attention.gru_rel_pos_linear.bias", 8, std=0.5)
        make.normal(f"{layer}.attention.gru_rel_pos_const", 1, sizes.acoustic_heads, 1, 1, mean=1.0, std=0.5)
        if i == 0:
            make.normal(f"{layer}.attention.rel_attn_embed.weight", sizes.buckets, sizes.acoustic_heads, std=1.5)
        make.norm(f"{layer}.layer_norm", width)
        make.linear(f"{layer}.feed_forward.intermediate_dense", width, sizes.acoustic_ffn)
        make.linear(f"{layer}.feed_forward.output_dense", sizes.acoustic_ffn, width)
        make.norm(f"{layer}.final_layer_norm", width)


def _adapter(make: _Maker, sizes: Sizes, name: str, inputs: int, channels: tuple[int, ...]) -> None:
    for i, outputs in enumerate(channels):
        make.conv(f"{name}.subsample.conv_layers.{i}", inputs, outputs, sizes.adapter_kernel)
        inputs = outputs // 2
    make.linear(f"{name}.adapter.down_layer", inputs, sizes.bottleneck)
    make.linear(f"{name}.adapter.up_layer", sizes.bottleneck, inputs)
    make.norm(f"{name}.adapter.layer_norm", inputs)
    make.linear(f"{name}.projector", inputs, sizes.adapter_width)


def _llama(make: _Maker, sizes: Sizes) -> None:
    model, width = "gpt_model.model_llama", sizes.width
    make.normal(f"{model}.tok_embeddings.weight", sizes.vocab, width, std=1.0)
    for i in range(sizes.layers):
        layer = f"{model}.layers.{i}"
        for part in ("wq", "wk", "wv", "wo"):
            make.linear(f"{layer}.attention.{part}", width, width, bias=False)
            make.normal(f"{layer}.attention.{part}_lora_A", width, sizes.rank, std=1 / math.sqrt(width))
            make.normal(f"{layer}.attention.{part}_lora_B", sizes.rank, width, std=0.5 / math.sqrt(sizes.rank))
        make.linear(f"{layer}.feed_forward.w1", width, sizes.ffn, bias=False)
        make.linear(f"{layer}.feed_forward.w2", sizes.ffn, width, bias=False)
        make.linear(f"{layer}.feed_forward.w3", width, sizes.ffn, bias=False)
        make.norm(f"{layer}.attention_norm", width, bias=False)
        make.norm(f"{layer}.ffn_norm", width, bias=False)
    make.norm(f"{model}.norm", width, bias=False)
    make.linear(f"{model}.output", width, sizes.vocab, bias=False)


def _prompt_adapter(make: _Maker, sizes: Sizes) -> None:
    """Pooled values spread over about -1 to 4, so that most of s lies between 0 and 3 and the rest at either end."""
    model, width = "gpt_model.model_llama", sizes.width
    make.linear(f"{model}.scale_fc_1", width, sizes.prompt_width)
    make.linear(f"{model}.scale_fc_2", sizes.prompt_width, width, bias=False)
    make.normal(f"{model}.scale_fc_2.bias", width, mean=1.5, std=1.0)
    make.linear(f"{model}.scale_weight_attention", width, 1)
