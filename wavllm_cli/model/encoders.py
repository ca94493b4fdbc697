"""The two frozen listeners: Whisper's encoder for what is said, WavLM for how and by whom.

Both stay in evaluation mode whatever the model is told: WavLM in training mode masks spans of its input, drops
layers and applies dropout.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence
from transformers import PreTrainedConfig, WavLMModel
from transformers.models.wavlm.modeling_wavlm import WavLMFeatureEncoder
from transformers.models.whisper.modeling_whisper import WhisperEncoder

from wavllm_cli.model.adapters import length_mask


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


class ClipwiseFeatureEncoder(WavLMFeatureEncoder):
    """WavLM's convolutions on the waveform, given a list of clips instead of a padded batch.

    wavlm-base normalises each channel over the whole clip (group norm), so a padded batch would change a clip's
    features by as much as half. One clip at a time is exact, and the fastest on a CPU too.
    """

    def forward(self, clips: Sequence[Tensor]) -> Tensor:
        """B x (samples,) -> (B, D, longest)."""
        features = [super(ClipwiseFeatureEncoder, self).forward(clip[None])[0].T for clip in clips]
        return pad_sequence(features, batch_first=True).transpose(1, 2)


class AcousticEncoder(nn.Module):
    """WavLM over the whole clip; the sum of all its hidden states, weighted by a trained softmax."""

    def __init__(self, config: PreTrainedConfig):
        super().__init__()
        self.model = WavLMModel(config)
        self.clipwise = config.feat_extract_norm == "group"
        if self.clipwise:
            self.model.feature_extractor = ClipwiseFeatureEncoder(config)
        self.layer_weights = nn.Parameter(torch.ones(config.num_hidden_layers + 1))
        self.eval()

    def train(self, mode: bool = True) -> "AcousticEncoder":
        return super().train(False)

    def forward(self, input_values: Tensor, lengths: Sequence[int]) -> Tensor:
        """(B, samples) right-padded, B lengths in samples -> (B, T, D) at 50 Hz."""
        mask = length_mask(torch.tensor(lengths, device=input_values.device), input_values.shape[1])
        clips = [clip[:n] for clip, n in zip(input_values, lengths, strict=True)] if self.clipwise else input_values
        states = self.model(clips, attention_mask=mask.long(), output_hidden_states=True).hidden_states
        weights = self.layer_weights.softmax(0).to(states[0].dtype)
        return torch.stack(states, dim=-1) @ weights
