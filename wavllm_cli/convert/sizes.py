"""The configuration of a released checkpoint, read off the shapes of its tensors."""

import re
from dataclasses import dataclass

from transformers import LlamaConfig, PreTrainedConfig, WavLMConfig, WhisperConfig

from wavllm_cli.convert.layout import LLAMA, Shapes
from wavllm_cli.errors import UsageError
from wavllm_cli.model.configuration_wavllm import WHISPER_LARGE_V2, WavLLMConfig

RMS_NORM_EPS, ROPE_THETA = 1e-6, 10_000.0
LLAMA2_POSITIONS = 4096
CHANNELS = ((0, 1280), (1, 2048)), ((0, 512), (1, 2048))  # of the two convolutions of each adapter, as published
MASK_EMBEDDING = "wavlm_encoder.model.masked_spec_embed"


@dataclass(frozen=True)
class Heads:
    """Attention heads, which no tensor's shape tells; the published numbers."""

    semantic: int = 20
    acoustic: int = 12
    language_model: int = 32


class Sizes:
    """Sizes read off the shapes. A missing tensor is reported later; until then its size is the published one."""

    def __init__(self, shapes: Shapes):
        self.shapes = shapes

    def get(self, name: str, dim: int, published: int) -> int:
        shape = self.shapes.get(name, ())
        return (shape[dim] if dim < len(shape) else 0) or published

    def layers(self, prefix: str, published: int) -> int:
        """Highest number after the prefix, plus one.

        Raises:
            UsageError: there are fewer tensors than layers.
        """
        numbers = [name.removeprefix(prefix).split(".")[0] for name in self.shapes if name.startswith(prefix)]
        layers = max((int(n) + 1 for n in numbers if re.fullmatch(r"[0-9]{1,9}", n)), default=published)
        if numbers and layers > len(numbers):
            raise UsageError(
                f"The checkpoint names a tensor {prefix}{layers - 1}.…, but has {len(numbers)} tensors of such layers."
            )
        return layers


def read_config(shapes: Shapes, heads: Heads) -> WavLLMConfig:
    """The configuration of a checkpoint with these tensors.

    Raises:
        UsageError: a number of heads that does not divide its width, or is not WavLM's.
    """
    sizes = Sizes(shapes)
    semantic, acoustic, text = (_semantic(sizes, heads), _acoustic(sizes, heads), _text(sizes, heads))
    rank = sizes.get(f"{LLAMA}layers.0.attention.wq_lora_A", 1, 32)
    has_prompt_adapter = any(name.startswith(f"{LLAMA}scale_") for name in shapes)
    return WavLLMConfig(
        semantic_config=semantic,
        acoustic_config=acoustic,
        text_config=text,
        audio_token_id=text.vocab_size,
        semantic_channels=[sizes.get(f"audio_encoder.subsample.conv_layers.{i}.weight", 0, n) for i, n in CHANNELS[0]],
        acoustic_channels=[sizes.get(f"wavlm_encoder.subsample.conv_layers.{i}.weight", 0, n) for i, n in CHANNELS[1]],
        adapter_bottleneck=sizes.get("audio_encoder.adapter.down_layer.weight", 0, 512),
        adapter_width=sizes.get("audio_encoder.projector.weight", 0, 2048),
        lora_rank=rank,
        lora_alpha=rank,  # no factor of its own: the prompt adapter's scale is all there is
        prompt_adapter_width=sizes.get(f"{LLAMA}scale_fc_1.weight", 0, 1024) if has_prompt_adapter else None,
        interleaved_scale=True,
    )


def _semantic(sizes: Sizes, heads: Heads) -> PreTrainedConfig:
    encoder = "audio_encoder.model."
    width = sizes.get(f"{encoder}conv1.weight", 0, 1280)
    _require_divisible(width, heads.semantic, "semantic encoder", "--semantic-heads")
    return WhisperConfig(
        **WHISPER_LARGE_V2
        | {
            "d_model": width,
            "num_mel_bins": sizes.get(f"{encoder}conv1.weight", 1, 80),
            "max_source_positions": sizes.get(f"{encoder}embed_positions.weight", 0, 1500),
            "encoder_layers": sizes.layers(f"{encoder}layers.", 32),
            "encoder_ffn_dim": sizes.get(f"{encoder}layers.0.fc1.weight", 0, 5120),
            "encoder_attention_heads": heads.semantic,
        }
    )


def _acoustic(sizes: Sizes, heads: Heads) -> PreTrainedConfig:
    encoder = "wavlm_encoder.model."
    convs = [f"{encoder}feature_extractor.conv_layers.{i}." for i in range(7)]
    width = sizes.get(f"{encoder}feature_projection.projection.weight", 0, 768)
    _require_divisible(width, heads.acoustic, "acoustic encoder", "--acoustic-heads")
    buckets, own_heads = (
        sizes.get(f"{encoder}encoder.layers.0.attention.rel_attn_embed.weight", dim, size)
        for dim, size in enumerate((320, heads.acoustic))
    )
    if own_heads != heads.acoustic:
        raise UsageError(f"The checkpoint's acoustic encoder has {own_heads} heads: give --acoustic-heads {own_heads}.")
    position = f"{encoder}encoder.pos_conv_embed.conv.parametrizations.weight.original1"
    published = WavLMConfig()
    mask = {} if MASK_EMBEDDING in sizes.shapes else {"mask_time_prob": 0.0, "mask_feature_prob": 0.0}
    layer_norm = f"{convs[1]}layer_norm.weight" in sizes.shapes  # WavLM-large normalises every layer
    return WavLMConfig(
        hidden_size=width,
        num_hidden_layers=sizes.layers(f"{encoder}encoder.layers.", 12),
        num_attention_heads=heads.acoustic,
        intermediate_size=sizes.get(f"{encoder}encoder.layers.0.feed_forward.intermediate_dense.weight", 0, 3072),
        num_buckets=buckets,
        conv_dim=[sizes.get(f"{conv}conv.weight", 0, 512) for conv in convs],
        conv_kernel=[sizes.get(f"{c}conv.weight", 2, k) for c, k in zip(convs, published.conv_kernel, strict=True)],
        conv_bias=f"{convs[0]}conv.bias" in sizes.shapes,
        feat_extract_norm="layer" if layer_norm else "group",
        do_stable_layer_norm=layer_norm,
        num_conv_pos_embeddings=sizes.get(position, 2, 128),
        num_conv_pos_embedding_groups=width // sizes.get(position, 1, max(1, width // 16)),
        **mask,
    )


def _text(sizes: Sizes, heads: Heads) -> PreTrainedConfig:
    vocabulary, width = (
        sizes.get(f"{LLAMA}tok_embeddings.weight", dim, size) for dim, size in enumerate((32_000, 4096))
    )
    _require_divisible(width, heads.language_model, "LLM", "--llm-heads", even=True)
    return LlamaConfig(
        vocab_size=vocabulary,
        hidden_size=width,
        intermediate_size=sizes.get(f"{LLAMA}layers.0.feed_forward.w1.weight", 0, 11008),
        num_hidden_layers=sizes.layers(f"{LLAMA}layers.", 32),
        num_attention_heads=heads.language_model,
        num_key_value_heads=heads.language_model,
        rms_norm_eps=RMS_NORM_EPS,
        rope_parameters={"rope_type": "default", "rope_theta": ROPE_THETA},
        max_position_embeddings=LLAMA2_POSITIONS,
    )


def _require_divisible(width: int, heads: int, part: str, option: str, even: bool = False) -> None:
    if heads < 1 or width % heads or (even and width // heads % 2):
        parity = " parts of even size" if even else " equal parts"
        raise UsageError(f"The {part}'s width {width} cannot be cut into {heads}{parity}, one a head: give {option}.")
