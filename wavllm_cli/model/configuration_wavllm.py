"""Every size of the network, and the arithmetic from samples to speech tokens that model and processor share."""

import math
from dataclasses import dataclass
from typing import Any

from huggingface_hub.dataclasses import strict
from transformers import AutoConfig, PreTrainedConfig
from transformers.configuration_utils import SubConfigSpec

from wavllm_cli.data.audio import SAMPLE_RATE

MEL_HOP = 160  # samples between two log-mel frames: 10 ms, the same in every Whisper
POSITIONS_PER_SECOND = SAMPLE_RATE // (2 * MEL_HOP)  # of the semantic encoder
PUBLISHED_PROMPT_SCALE_MAX = 3.0
WINDOWS_AT_ONCE = 64  # semantic ones; more of them, as long clips have, go through the encoder in turn
ACOUSTIC_WINDOW, SHORTEST_ACOUSTIC_WINDOW, ACOUSTIC_CONTEXT = 60, 20, 5  # seconds
WHISPER_LARGE_V2 = {
    "d_model": 1280,
    "encoder_layers": 32,
    "encoder_attention_heads": 20,
    "encoder_ffn_dim": 5120,
    "decoder_layers": 32,
    "decoder_attention_heads": 20,
    "decoder_ffn_dim": 5120,
}

# The parts that can be frozen and referred to instead of being saved, by their attribute on the model.
BACKBONES = ("semantic_encoder", "acoustic_encoder", "language_model")


def halve(n: int) -> int:
    """Length after a convolution with kernel 3, stride 2, padding 1."""
    return (n - 1) // 2 + 1


@dataclass(frozen=True)
class AudioGeometry:
    """How many frames and tokens a clip of `n` samples becomes.

    Attributes:
        window: samples that the semantic encoder sees at once (30 s in every published Whisper).
        acoustic_convs: (kernel, stride) of each convolution on the waveform in the acoustic encoder.
    """

    window: int
    acoustic_convs: tuple[tuple[int, int], ...]

    @property
    def shortest(self) -> int:
        """Samples below which the acoustic convolutions have no output; shorter clips are padded to it."""
        n = 1
        for kernel, stride in reversed(self.acoustic_convs):
            n = (n - 1) * stride + kernel
        return n

    def windows(self, n: int) -> int:
        """Consecutive semantic windows, the last one padded."""
        return -(-n // self.window)

    def semantic_frames(self, n: int) -> int:
        """Encoder frames kept of each window: the true length of the clip's longest one."""
        return halve(-(-min(n, self.window) // MEL_HOP))

    def semantic_tokens(self, n: int) -> int:
        """Tokens that each window contributes after the semantic adapter."""
        return halve(halve(self.semantic_frames(n)))

    def acoustic_frames(self, n: int) -> int:
        for kernel, stride in self.acoustic_convs:
            n = (n - kernel) // stride + 1
        return n

    def tokens(self, n: int) -> int:
        """Speech tokens in the LLM's input (12.5 Hz for the published encoders): the shorter of the two streams."""
        semantic = self.windows(n) * self.semantic_tokens(n)
        acoustic = halve(halve(self.acoustic_frames(n)))
        return min(semantic, acoustic)


@dataclass(frozen=True)
class AcousticWindow:
    """How the acoustic encoder takes clips that are longer than `samples`: in overlapping windows of that length.

    The last `context` frames on either side of a window are only heard along, unless the clip begins or ends there.
    """

    samples: int
    geometry: AudioGeometry

    @property
    def hop(self) -> int:
        """Samples between two acoustic frames."""
        return math.prod(stride for _, stride in self.geometry.acoustic_convs)

    @property
    def frames(self) -> int:
        return self.geometry.acoustic_frames(self.samples)

    @property
    def context(self) -> int:
        return round(ACOUSTIC_CONTEXT * SAMPLE_RATE) // self.hop

    def span(self, start: int, end: int) -> slice:
        """The samples of which frames `start` to `end` (not included) are made."""
        return slice(start * self.hop, (end - 1) * self.hop + self.geometry.shortest)


@strict
class WavLLMConfig(PreTrainedConfig):
    r"""
    Configuration of a WavLLM; the defaults are the published 7B model (sizes of the backbones included).

    Args:
        semantic_config: a `WhisperConfig` (only its encoder is used). `max_source_positions` is the length of its
            windows; of a pretrained encoder that has more positions the first ones are taken.
        acoustic_config: a `WavLMConfig`.
        text_config: the configuration of any causal LLM of the Auto classes.
        backbones: for each of `semantic_encoder`, `acoustic_encoder`, `language_model` that is frozen and not stored
            in the checkpoint: `{"path": hub id or folder, "revision": str | None}`.
        audio_token_id: placeholder for one speech token; outside the vocabulary, never embedded.
        semantic_channels, acoustic_channels: output channels of the two convolutions of each adapter, before the
            gated linear unit halves them.
        adapter_bottleneck, adapter_width: inner width of the bottleneck and output width of each adapter.
        adapter_dropout: share of each adapter's input, and of its projection's, that is left out in training.
        lora_rank, lora_alpha, lora_dropout: LoRA on the q, k, v and o projections of every layer.
        prompt_adapter_width: inner width of the prompt adapter; `None` (stage 1) means a constant scale alpha / rank.
        prompt_scale_max: upper bound of the per-channel LoRA scale.
        acoustic_window: a clip of more than so many seconds goes through the acoustic encoder in overlapping windows
            of this length; `None`: always in one piece.
        taught_seconds: the longest clip that the model was taught with, where no recipe beside it tells.
        interleaved_scale: the prompt adapter counts the channels of q and k in the interleaved rotary order of Meta's
            LLaMA, as the released checkpoint does; the LLM itself holds them in the half-split order of transformers.
    """

    model_type = "wavllm"
    keys_to_ignore_at_inference = ["cache", "speech", "row_losses"]  # noqa: RUF012 - transformers' convention
    sub_configs_defaults = {  # noqa: RUF012 - transformers' convention
        "semantic_config": SubConfigSpec(config_class=AutoConfig, model_type="whisper", init_kwargs=WHISPER_LARGE_V2),
        "acoustic_config": SubConfigSpec(config_class=AutoConfig, model_type="wavlm"),
        "text_config": SubConfigSpec(config_class=AutoConfig, model_type="llama"),
    }

    semantic_config: Any = None
    acoustic_config: Any = None
    text_config: Any = None
    backbones: dict | None = None
    audio_token_id: int = 32_000
    semantic_channels: list[int] | tuple[int, ...] = (1280, 2048)
    acoustic_channels: list[int] | tuple[int, ...] = (512, 2048)
    adapter_bottleneck: int = 512
    adapter_width: int = 2048
    adapter_dropout: float | int = 0.0
    lora_rank: int = 32
    lora_alpha: float | int = 32.0
    lora_dropout: float | int = 0.1
    prompt_adapter_width: int | None = None
    prompt_scale_max: float | int = PUBLISHED_PROMPT_SCALE_MAX
    interleaved_scale: bool = False
    acoustic_window: float | int | None = ACOUSTIC_WINDOW
    taught_seconds: float | int | None = None

    def __post_init__(self, **kwargs):
        super().__post_init__(**kwargs)
        if self.acoustic_window is not None and not self.acoustic_window >= SHORTEST_ACOUSTIC_WINDOW:
            raise ValueError(
                f"acoustic_window is {self.acoustic_window} s, but must be at least {SHORTEST_ACOUSTIC_WINDOW} s: "
                f"{ACOUSTIC_CONTEXT} s on either side of a window are only heard along"
            )
        # generate() looks for these on the outer configuration
        for name in ("bos_token_id", "eos_token_id", "pad_token_id"):
            setattr(self, name, getattr(self.text_config, name, None))
        # The prompt adapter reads the LLM's last layer before its final norm.
        self.text_config.tie_last_hidden_states = False

    @property
    def lora_factor(self) -> float:
        """The constant scale of LoRA without a prompt adapter, and where a new prompt adapter begins."""
        return self.lora_alpha / self.lora_rank

    @property
    def audio_geometry(self) -> AudioGeometry:
        acoustic = self.acoustic_config
        return AudioGeometry(
            window=self.semantic_config.max_source_positions * 2 * MEL_HOP,
            acoustic_convs=tuple(zip(acoustic.conv_kernel, acoustic.conv_stride, strict=True)),
        )

    @property
    def acoustic_windows(self) -> AcousticWindow | None:
        if self.acoustic_window is None:
            return None
        return AcousticWindow(round(self.acoustic_window * SAMPLE_RATE), self.audio_geometry)


AutoConfig.register(WavLLMConfig.model_type, WavLLMConfig)
