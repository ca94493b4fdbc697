"""The two frozen listeners: Whisper's encoder for what is said, WavLM for how and by whom.

Both stay in evaluation mode whatever the model is told: WavLM in training mode masks spans of its input, drops
layers and applies dropout.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from transformers import PreTrainedConfig, WavLMModel
from transformers.models.whisper.modeling_whisper import WhisperEncoder

from wavllm_cli.model.adapters import length_mask
from wavllm_cli.model.wavlm import ClipwiseFeatureEncoder, adapt_wavlm


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
    """WavLM over the whole clip; the sum of all its hidden states, weighted by a trained softmax."""

    def __init__(self, config: PreTrainedConfig):
        super().__init__()
        self.model = WavLMModel(config)
        adapt_wavlm(self.model)
        self.layer_weights = nn.Parameter(torch.ones(config.num_hidden_layers + 1))
        self.eval()

    def train(self, mode: bool = True) -> "AcousticEncoder":
        return super().train(False)

    def forward(self, input_values: Tensor, lengths: Sequence[int]) -> Tensor:
        """(B, samples) right-padded, B lengths in samples -> (B, T, D) at 50 Hz."""
        mask = length_mask(torch.tensor(lengths, device=input_values.device), input_values.shape[1])
        clipwise = isinstance(self.model.feature_extractor, ClipwiseFeatureEncoder)
        clips = [clip[:n] for clip, n in zip(input_values, lengths, strict=True)] if clipwise else input_values
        states = self.model(clips, attention_mask=mask.long(), output_hidden_states=True).hidden_states
        return weighted_sum(states, self.layer_weights)


def weighted_sum(states: Sequence[Tensor], layer_weights: Tensor) -> Tensor:
    """The layers' states by the softmax of their weights, added up in float32 (or above), one layer at a time."""
    wide = torch.promote_types(states[0].dtype, torch.float32)
    weights = layer_weights.to(wide).softmax(0)
    total = torch.zeros_like(states[0], dtype=wide)
    for state, weight in zip(states, weights, strict=True):
        total = total + weight * state.to(wide)
    return total.to(states[0].dtype)
