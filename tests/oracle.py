"""A second transcription of the network, written from its description alone, to check the model against.

It shares no code with the package or transformers: only torch, numpy and the tensors of a released checkpoint, under
their original names. Two independent readings of the same description rarely make the same mistake, so where they
agree to rounding, both are very probably right. Clarity comes before speed: one clip and one prompt at a time, no
batch, no padding mask, no cache, no permuted weights, float32 on the CPU. Activations are (time, width) unless noted.
"""

import math
from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

RATE, HOP, FFT = 16_000, 160, 400
WHISPER, WAVLM, LLAMA = "audio_encoder.model", "wavlm_encoder.model", "gpt_model.model_llama"


def mel_filters(mels: int) -> Tensor:
    """Triangular filters (mels, FFT // 2 + 1) over 0 to 8000 Hz: slaney's scale, every filter of unit area."""
    # The scale is linear below 1000 Hz (15 mel) and logarithmic above, with 27 mel per factor 6.4.
    top = 15 + 27 * math.log(RATE / 2 / 1000) / math.log(6.4)
    mel = np.linspace(0, top, mels + 2)
    edges = np.where(mel < 15, mel * 200 / 3, 1000 * np.exp((mel - 15) * math.log(6.4) / 27))
    low, middle, high = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    bins = np.linspace(0, RATE / 2, FFT // 2 + 1)[None]
    triangles = np.minimum((bins - low) / (middle - low), (high - bins) / (high - middle)).clip(min=0)
    return torch.from_numpy(triangles * 2 / (high - low)).float()


def attend(q: Tensor, k: Tensor, v: Tensor, heads: int, bias: Tensor | float = 0.0) -> Tensor:
    """Multi-head attention over (time, width); `bias` is added to the scores (heads, query time, key time)."""
    q, k, v = (x.view(len(x), heads, -1).transpose(0, 1) for x in (q, k, v))
    scores = q @ k.transpose(1, 2) / math.sqrt(q.shape[-1]) + bias
    return (scores.softmax(-1) @ v).transpose(0, 1).flatten(1)


def rotate(x: Tensor, heads: int) -> Tensor:
    """Rotary positions in Meta's layout: channels (2i, 2i + 1) of a head are one complex number, turned by t * f_i."""
    pairs = torch.view_as_complex(x.view(len(x), heads, -1, 2))
    half = pairs.shape[-1]
    angles = torch.outer(torch.arange(len(x)).float(), 10_000.0 ** (-torch.arange(half) / half))
    turned = pairs * torch.polar(torch.ones_like(angles), angles)[:, None]
    return torch.view_as_real(turned).flatten(1)


class Oracle:
    """Sizes are read off the tensors; `heads` are the LLM's, `acoustic_strides` WavLM's waveform convolutions'."""

    def __init__(
        self, tensors: dict[str, Tensor], semantic_heads: int, acoustic_heads: int, heads: int,
        acoustic_strides: Sequence[int],
    ):  # fmt: skip
        self.tensors = {name: tensor.detach().float() for name, tensor in tensors.items()}
        self.semantic_heads, self.acoustic_heads, self.heads = semantic_heads, acoustic_heads, heads
        self.acoustic_strides = acoustic_strides

    def linear(self, x: Tensor, name: str) -> Tensor:
        return F.linear(x, self.tensors[f"{name}.weight"], self.tensors.get(f"{name}.bias"))

    def conv(self, x: Tensor, name: str, stride: int = 1, padding: int = 0) -> Tensor:
        """(channels, time) to (channels, time)."""
        return F.conv1d(x, self.tensors[f"{name}.weight"], self.tensors.get(f"{name}.bias"), stride, padding)

    def layer_norm(self, x: Tensor, name: str) -> Tensor:
        return F.layer_norm(x, x.shape[-1:], self.tensors[f"{name}.weight"], self.tensors[f"{name}.bias"], eps=1e-5)

    def rms_norm(self, x: Tensor, name: str) -> Tensor:
        return x / (x.square().mean(-1, keepdim=True) + 1e-6).sqrt() * self.tensors[f"{name}.weight"]

    def layers(self, prefix: str) -> list[str]:
        """The names `prefix.0`, `prefix.1`, ... of all layers there are."""
        inside = [name.removeprefix(f"{prefix}.") for name in self.tensors if name.startswith(f"{prefix}.")]
        return [f"{prefix}.{number}" for number in sorted({int(name.split(".")[0]) for name in inside})]

    # --- semantic stream: Whisper's encoder ---

    @property
    def window(self) -> int:
        """Samples the semantic encoder takes at once: two mel frames for each of its positions."""
        return len(self.tensors[f"{WHISPER}.embed_positions.weight"]) * 2 * HOP

    @torch.no_grad()
    def log_mel(self, samples: Tensor) -> Tensor:
        """Log-mel spectrogram (mels, frames) of one window's samples, padded with zeros to the full window."""
        samples = torch.as_tensor(samples, dtype=torch.float32)
        assert len(samples) <= self.window, "more than one window"
        samples = F.pad(samples, (0, self.window - len(samples)))
        hann = torch.hann_window(FFT, periodic=True)
        spectrum = torch.stft(samples, FFT, HOP, window=hann, center=True, pad_mode="reflect", return_complex=True)
        power = spectrum[:, :-1].abs().square()
        mels = self.tensors[f"{WHISPER}.conv1.weight"].shape[1]
        log = (mel_filters(mels) @ power).clamp(min=1e-10).log10()
        return (log.clamp(min=log.max() - 8) + 4) / 4

    def whisper(self, mel: Tensor) -> Tensor:
        x = F.gelu(self.conv(mel, f"{WHISPER}.conv1", padding=1))
        x = F.gelu(self.conv(x, f"{WHISPER}.conv2", stride=2, padding=1)).T
        x = x + self.tensors[f"{WHISPER}.embed_positions.weight"]
        for layer in self.layers(f"{WHISPER}.layers"):
            h = self.layer_norm(x, f"{layer}.self_attn_layer_norm")
            q, k, v = (self.linear(h, f"{layer}.self_attn.{part}_proj") for part in "qkv")
            x = x + self.linear(attend(q, k, v, self.semantic_heads), f"{layer}.self_attn.out_proj")
            h = self.layer_norm(x, f"{layer}.final_layer_norm")
            x = x + self.linear(F.gelu(self.linear(h, f"{layer}.fc1")), f"{layer}.fc2")
        return self.layer_norm(x, f"{WHISPER}.layer_norm")

    def semantic(self, samples: Tensor) -> Tensor:
        """Every window by itself, padded; all outputs are cut to the longest true length among the windows."""
        windows = samples.split(self.window)
        kept = max((math.ceil(len(window) / HOP) - 1) // 2 + 1 for window in windows)
        return torch.cat([self.adapter(self.whisper(self.log_mel(w))[:kept], "audio_encoder") for w in windows])

    # --- acoustic stream: WavLM-base ---

    def waveform_features(self, samples: Tensor) -> Tensor:
        x = samples[None]
        for number, stride in enumerate(self.acoustic_strides):
            layer = f"{WAVLM}.feature_extractor.conv_layers.{number}"
            x = self.conv(x, f"{layer}.conv", stride)
            if number == 0:  # the only norm: every channel over the whole clip
                weight, bias = self.tensors[f"{layer}.layer_norm.weight"], self.tensors[f"{layer}.layer_norm.bias"]
                x = F.group_norm(x[None], len(x), weight, bias, eps=1e-5)[0]
            x = F.gelu(x)
        x = self.layer_norm(x.T, f"{WAVLM}.feature_projection.layer_norm")
        return self.linear(x, f"{WAVLM}.feature_projection.projection")

    def positional_conv(self, x: Tensor) -> Tensor:
        """Grouped convolution over time, its weight stored as a direction and a length for each tap."""
        conv = f"{WAVLM}.encoder.pos_conv_embed.conv"
        old, new = ("weight_g", "weight_v"), ("parametrizations.weight.original0", "parametrizations.weight.original1")
        names = old if f"{conv}.weight_g" in self.tensors else new
        length, direction = (self.tensors[f"{conv}.{name}"] for name in names)
        weight = length * direction / direction.square().sum((0, 1), keepdim=True).sqrt()
        width, group, taps = weight.shape
        y = F.conv1d(x.T, weight, self.tensors[f"{conv}.bias"], padding=taps // 2, groups=width // group)
        return F.gelu(y[:, : len(x)]).T  # an even number of taps gives one frame too many

    def position_bias(self, frames: int) -> Tensor:
        """(heads, query, key): a learnt value for each distance, far distances sharing logarithmically wide buckets."""
        table = self.tensors[f"{WAVLM}.encoder.layers.0.attention.rel_attn_embed.weight"]
        side = len(table) // 2  # buckets for one direction
        exact, furthest = side // 2, 800
        distance = torch.arange(frames)[None, :] - torch.arange(frames)[:, None]
        far = (distance.abs().clamp(min=1).float() / exact).log() / math.log(furthest / exact)
        far = (exact + far * (side - exact)).long().clamp(max=side - 1)
        bucket = torch.where(distance.abs() < exact, distance.abs(), far) + (distance > 0) * side
        return table[bucket].permute(2, 0, 1)

    def gate(self, x: Tensor, attention: str) -> Tensor:
        """(heads, query, 1): how much each head listens to the position bias at each frame."""
        x = x.view(len(x), self.acoustic_heads, -1).transpose(0, 1)
        x = self.linear(x, f"{attention}.gru_rel_pos_linear").unflatten(-1, (2, 4)).sum(-1)
        a, b = x.sigmoid().split(1, dim=-1)
        return a * (b * self.tensors[f"{attention}.gru_rel_pos_const"][0] - 1) + 2

    def wavlm(self, samples: Tensor) -> list[Tensor]:
        """All hidden states: the input of the first layer and the output of each layer (which norms at its end)."""
        x = self.waveform_features(samples)
        x = self.layer_norm(x + self.positional_conv(x), f"{WAVLM}.encoder.layer_norm")
        bias = self.position_bias(len(x))
        states = [x]
        for layer in self.layers(f"{WAVLM}.encoder.layers"):
            q, k, v = (self.linear(x, f"{layer}.attention.{part}_proj") for part in "qkv")
            h = attend(q, k, v, self.acoustic_heads, self.gate(x, f"{layer}.attention") * bias)
            x = self.layer_norm(x + self.linear(h, f"{layer}.attention.out_proj"), f"{layer}.layer_norm")
            h = F.gelu(self.linear(x, f"{layer}.feed_forward.intermediate_dense"))
            x = self.layer_norm(x + self.linear(h, f"{layer}.feed_forward.output_dense"), f"{layer}.final_layer_norm")
            states.append(x)
        return states

    def acoustic(self, samples: Tensor) -> Tensor:
        states = torch.stack(self.wavlm(samples))
        weights = self.tensors.get("wavlm_encoder.output_weights", torch.ones(len(states))).softmax(0)
        return self.adapter((weights.view(-1, 1, 1) * states).sum(0), "wavlm_encoder")

    # --- both streams: adapters and fusion ---

    def adapter(self, x: Tensor, name: str) -> Tensor:
        x = x.T
        for conv in self.layers(f"{name}.subsample.conv_layers"):
            x = F.glu(self.conv(x, conv, stride=2, padding=1), dim=0)
        x = x.T
        h = self.linear(F.gelu(self.linear(x, f"{name}.adapter.down_layer")), f"{name}.adapter.up_layer")
        return self.linear(x + self.layer_norm(h, f"{name}.adapter.layer_norm"), f"{name}.projector")

    @torch.no_grad()
    def speech(self, samples: Tensor) -> Tensor:
        """Speech embeddings (n, LLM width) of a clip (samples,), float32 at 16 kHz."""
        semantic, acoustic = self.semantic(samples), self.acoustic(samples)
        n = min(len(semantic), len(acoustic))
        return self.linear(torch.cat([semantic[:n], acoustic[:n]], dim=1), "wavlm_audio_proj")

    # --- the LLM: Meta's layout, with LoRA unless `s` is None ---

    def embed(self, tokens: list[int]) -> Tensor:
        return self.tensors[f"{LLAMA}.tok_embeddings.weight"][torch.tensor(tokens, dtype=torch.long)]

    def project(self, x: Tensor, name: str, s: Tensor | None) -> Tensor:
        y = self.linear(x, name)
        return y if s is None else y + (x @ self.tensors[f"{name}_lora_A"] @ self.tensors[f"{name}_lora_B"]) * s

    def llama(self, x: Tensor, s: Tensor | None) -> Tensor:
        """Hidden states of the last layer, before the final norm."""
        future = torch.full((len(x), len(x)), -math.inf).triu(1)
        for layer in self.layers(f"{LLAMA}.layers"):
            h = self.rms_norm(x, f"{layer}.attention_norm")
            q, k, v = (self.project(h, f"{layer}.attention.w{part}", s) for part in "qkv")
            h = attend(rotate(q, self.heads), rotate(k, self.heads), v, self.heads, future)
            x = x + self.project(h, f"{layer}.attention.wo", s)
            h = self.rms_norm(x, f"{layer}.ffn_norm")
            h = F.silu(self.linear(h, f"{layer}.feed_forward.w1")) * self.linear(h, f"{layer}.feed_forward.w3")
            x = x + self.linear(h, f"{layer}.feed_forward.w2")
        return x

    @torch.no_grad()
    def scale(self, prompt: list[int]) -> Tensor:
        """LoRA weights s (LLM width,) for the tokens of the quoted prompt, without BOS; all one in stage 1."""
        if f"{LLAMA}.scale_fc_1.weight" not in self.tensors:
            return torch.ones(self.tensors[f"{LLAMA}.norm.weight"].shape)
        hidden = self.llama(self.embed(prompt), None)
        z = self.linear(F.gelu(self.linear(hidden, f"{LLAMA}.scale_fc_1")), f"{LLAMA}.scale_fc_2")
        share = self.linear(z, f"{LLAMA}.scale_weight_attention").softmax(0)
        return (share * z).sum(0).clamp(0, 3)

    def answer(self, speech: Tensor, s: Tensor, left: list[int], right: list[int]) -> Tensor:
        right = [left[0], *right[1:]]  # the release's quirk: BOS instead of the right part's first token
        x = self.llama(torch.cat([self.embed(left), speech, self.embed(right)]), s)
        return self.linear(self.rms_norm(x, f"{LLAMA}.norm"), f"{LLAMA}.output")

    @torch.no_grad()
    def logits(self, samples: Tensor, left: list[int], right: list[int], prompt: list[int]) -> Tensor:
        """Logits (positions, vocabulary) of left + speech + right; `left` begins with BOS, `right` is as tokenised."""
        return self.answer(self.speech(samples), self.scale(prompt), left, right)

    @torch.no_grad()
    def greedy(
        self, samples: Tensor, left: list[int], right: list[int], prompt: list[int], count: int, eos: int
    ) -> list[int]:
        """At most `count` likeliest tokens, up to and with `eos`; never token 0, and never `eos` at once."""
        speech, s = self.speech(samples), self.scale(prompt)
        tokens: list[int] = []
        while len(tokens) < count and eos not in tokens:
            logits = self.answer(speech, s, left, right + tokens)[-1]
            logits[[0] if tokens else [0, eos]] = -math.inf
            tokens.append(int(logits.argmax()))
        return tokens
