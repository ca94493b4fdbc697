"""Three parts of WavLM with the same weights and another `forward`: exact in a batch, on a CPU and on long clips."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from transformers import WavLMModel
from transformers.models.wavlm.modeling_wavlm import (
    WavLMAttention,
    WavLMFeatureEncoder,
    WavLMPositionalConvEmbedding,
)

BLOCK = 2**25  # attention scores held at a time: 128 MiB in float32, and a clip of 30 s by 12 heads in one piece


def adapt_wavlm(model: WavLMModel) -> None:
    """Give these parts of a WavLM their `forward` below; a new class leaves parameters and their names as they are."""
    if model.config.feat_extract_norm == "group":
        model.feature_extractor.__class__ = ClipwiseFeatureEncoder
    model.encoder.pos_conv_embed.__class__ = PositionalConvolution
    for layer in model.encoder.layers:
        layer.attention.__class__ = BlockwiseAttention


class ClipwiseFeatureEncoder(WavLMFeatureEncoder):
    """WavLM's convolutions on the waveform, given a list of clips instead of a padded batch.

    wavlm-base normalises each channel over the whole clip (group norm), so a padded batch would change a clip's
    features by as much as half. One clip at a time is exact, and the fastest on a CPU too.
    """

    def forward(self, clips: Sequence[Tensor]) -> Tensor:
        """B x (samples,) -> (B, D, longest)."""
        features = [super(ClipwiseFeatureEncoder, self).forward(clip[None])[0].T for clip in clips]
        return pad_sequence(features, batch_first=True).transpose(1, 2)


class PositionalConvolution(WavLMPositionalConvEmbedding):
    """WavLM's grouped convolution over time; on a CPU in float32 whatever the model's precision.

    On CPUs with matrix instructions (AMX) oneDNN's bfloat16 kernel for 8 or 12 channels a group returns other numbers
    altogether. WavLM as published has 48 or 64 a group, small models have fewer.
    """

    def forward(self, hidden_states: Tensor) -> Tensor:
        """(B, T, D) -> (B, T, D)."""
        if hidden_states.device.type != "cpu":
            return super().forward(hidden_states)
        wide = torch.promote_types(hidden_states.dtype, torch.float32)
        weight, bias = self.conv.weight.to(wide), self.conv.bias.to(wide)
        with torch.autocast("cpu", enabled=False):
            x = hidden_states.transpose(1, 2).to(wide)
            x = F.conv1d(x, weight, bias, padding=self.conv.padding, groups=self.conv.groups)
            x = self.activation(self.padding(x))
        return x.transpose(1, 2).to(hidden_states.dtype)


class BlockwiseAttention(WavLMAttention):
    """WavLM's gated relative attention, some queries at a time: memory grows with a clip's length, not its square.

    The bias depends on the distance of key and query only. Layers hand each other a row of it for each head,
    (H, 2 T - 1), instead of the (B H, T, T) that it stands for; a block of queries reads windows of that row.
    """

    def forward(
        self,
        hidden_states: Tensor,
        attention_mask: Tensor | None = None,
        position_bias: Tensor | None = None,
        index: int = 0,
        **_: object,
    ) -> tuple[Tensor, None, Tensor]:
        """(B, T, D), (B, T) mask of real frames -> (B, T, D), no attention weights, the bias by distance."""
        batch, length, _width = hidden_states.shape
        if position_bias is None:
            position_bias = self._bias_by_distance(length)
        windows = position_bias.unfold(1, length, 1)  # (H, T, T), a view: the bias of the last query first
        query, key, value = (self._heads(project(hidden_states)) for project in (self.q_proj, self.k_proj, self.v_proj))
        gate = self._gate(self._heads(hidden_states))
        padding = None if attention_mask is None else ~attention_mask.bool()[:, None, None]
        rows = max(1, BLOCK // (batch * self.num_heads * length))
        blocks = []
        for start in range(0, length, rows):
            end = min(start + rows, length)
            bias = gate[:, :, start:end] * windows[:, length - end : length - start].flip(1)
            if padding is not None:
                bias = bias.masked_fill(padding, -torch.inf)
            part = F.scaled_dot_product_attention(query[:, :, start:end], key, value, attn_mask=bias.to(query.dtype))
            blocks.append(part)
        output = torch.cat(blocks, dim=2).transpose(1, 2).reshape(hidden_states.shape)
        return self.out_proj(output), None, position_bias

    def _heads(self, x: Tensor) -> Tensor:
        """(B, T, D) -> (B, H, T, D / H)."""
        return x.unflatten(-1, (self.num_heads, -1)).transpose(1, 2)

    def _bias_by_distance(self, length: int) -> Tensor:
        """(H, 2 T - 1): for a key T - 1 frames before the query, up to T - 1 after it."""
        distance = torch.arange(1 - length, length, device=self.rel_attn_embed.weight.device)
        return self.rel_attn_embed(self._relative_positions_bucket(distance)).T

    def _gate(self, heads: Tensor) -> Tensor:
        """(B, H, T, D / H) -> (B, H, T, 1): how much of the bias each query takes."""
        halves = self.gru_rel_pos_linear(heads).unflatten(-1, (2, 4)).sum(-1).sigmoid()
        a, b = halves.chunk(2, dim=-1)
        return a * (b * self.gru_rel_pos_const - 1.0) + 2.0
