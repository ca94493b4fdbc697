"""The two frozen listeners: Whisper's encoder for what is said, WavLM for how and by whom.

Both stay in evaluation mode whatever the model is told: WavLM in training mode masks spans of its input, drops
layers and applies dropout.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence
from transformers import PreTrainedConfig, WavLMModel
from transformers.models.whisper.modeling_whisper import WhisperEncoder

from wavllm_cli.model.adapters import length_mask
from wavllm_cli.model.configuration_wavllm import AcousticWindow
from wavllm_cli.model.wavlm import ClipwiseFeatureEncoder, adapt_wavlm
from wavllm_cli.model.windows import windows

Combine = Callable[[Sequence[Tensor]], Tensor]  # L x (B, T, D) -> (B, T, …)


@dataclass(frozen=True)
class Encoded:
    """What frozen encoders make of one clip, or of the C clips of a batch: nothing in it is trained.

    Attributes:
        semantic: (W, T, D) Whisper's frames of the windows of all clips, padding left out or at the end.
        acoustic: (T, L, D), of a batch (C, T, L, D), WavLM's hidden states, the input of its first layer among them.
    """

    semantic: Tensor
    acoustic: Tensor

    @classmethod
    def batch(cls, clips: Sequence[Self]) -> Self:
        """Clips right-padded to the longest."""
        windows = [window for clip in clips for window in clip.semantic]
        return cls(
            pad_sequence(windows, batch_first=True), pad_sequence([clip.acoustic for clip in clips], batch_first=True)
        )

    def to(self, *args) -> "Encoded":
        """As `Tensor.to`."""
        return Encoded(self.semantic.to(*args), self.acoustic.to(*args))


class SemanticEncoder(nn.Module):
    """Whisper's encoder over fixed windows; the encoder sees the padding, as it did when it was trained."""

    def __init__(self, config: PreTrainedConfig):
        super().__init__()
        self.model = WhisperEncoder(config)
        self.eval()

    def train(self, mode: bool = True) -> "SemanticEncoder":
        return super().train(False)

    def forward(self, input_features: Tensor) -> Tensor:
        """(N, mels, frames) log-mel windows -> (N, frames / 2, D)."""
        return self.model(input_features).last_hidden_state


class AcousticEncoder(nn.Module):
    """WavLM over the whole clip; the sum of all its hidden states, weighted by a trained softmax.

    Args:
        window: a clip that is longer is encoded in overlapping windows of this length, one after the other; None:
            never.
    """

    def __init__(self, config: PreTrainedConfig, window: AcousticWindow | None = None):
        super().__init__()
        self.model = WavLMModel(config)
        adapt_wavlm(self.model)
        self.window = window
        self.layer_weights = nn.Parameter(torch.ones(config.num_hidden_layers + 1))
        self.eval()

    def train(self, mode: bool = True) -> "AcousticEncoder":
        return super().train(False)

    def forward(self, input_values: Tensor, lengths: Sequence[int]) -> Tensor:
        """(B, samples) right-padded, B lengths in samples -> (B, T, D) at 50 Hz."""
        return self._combined(input_values, lengths, self.weighted)

    def states(self, input_values: Tensor, lengths: Sequence[int]) -> Tensor:
        """(B, samples) right-padded, B lengths in samples -> (B, T, L, D), the hidden states that are weighted."""
        return self._combined(input_values, lengths, lambda states: torch.stack(list(states), dim=2))

    def weighted(self, states: Sequence[Tensor]) -> Tensor:
        """L x (B, T, D) -> (B, T, D)."""
        return weighted_sum(states, self.layer_weights)

    def _combined(self, input_values: Tensor, lengths: Sequence[int], combine: Combine) -> Tensor:
        """(B, samples) -> (B, T, …), in windows where a clip is longer than they are."""
        longest = max(lengths) if self.window is None else self.window.samples
        short = [i for i, length in enumerate(lengths) if length <= longest]
        if len(short) == len(lengths):
            return self._whole(input_values, lengths, combine)
        clips = {i: self._in_windows(input_values[i, :n], combine) for i, n in enumerate(lengths) if n > longest}
        if short:
            kept = [lengths[i] for i in short]
            clips |= zip(short, self._whole(input_values[short, : max(kept)], kept, combine), strict=True)
        return pad_sequence([clips[i] for i in range(len(lengths))], batch_first=True)

    def _in_windows(self, samples: Tensor, combine: Combine) -> Tensor:
        """(samples,) -> (T, …), as many frames as the whole clip would have."""
        assert self.window is not None
        frames, parts = self.window.geometry.acoustic_frames(len(samples)), []
        for window in windows(frames, self.window.frames, self.window.context):
            cut = samples[self.window.span(window.start, window.end)]
            (states,) = self._whole(cut[None], [len(cut)], combine)
            parts.append(states[window.first - window.start : window.last - window.start])
        return torch.cat(parts)

    def _whole(self, input_values: Tensor, lengths: Sequence[int], combine: Combine) -> Tensor:
        mask = length_mask(torch.tensor(lengths, device=input_values.device), input_values.shape[1])
        clipwise = isinstance(self.model.feature_extractor, ClipwiseFeatureEncoder)
        clips = [clip[:n] for clip, n in zip(input_values, lengths, strict=True)] if clipwise else input_values
        states = self.model(clips, attention_mask=mask.long(), output_hidden_states=True).hidden_states
        return combine(states)


def weighted_sum(states: Sequence[Tensor], layer_weights: Tensor) -> Tensor:
    """The layers' states by the softmax of their weights, added up in float32 (or above), one layer at a time."""
    wide = torch.promote_types(states[0].dtype, torch.float32)
    weights = layer_weights.to(wide).softmax(0)
    total = torch.zeros_like(states[0], dtype=wide)
    for state, weight in zip(states, weights, strict=True):
        total = total + weight * state.to(wide)
    return total.to(states[0].dtype)
