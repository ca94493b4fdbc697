"""A small WavLM and what it is taught by: who speaks in every frame, which phonemes, in which mood."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import WavLMConfig, WavLMModel

from wavllm_cli.data.audio import SAMPLE_RATE
from wavllm_cli.mini.listener_data import UNKNOWN, Batch, Classes
from wavllm_cli.model.adapters import length_mask
from wavllm_cli.model.encoders import weighted_sum
from wavllm_cli.model.wavlm import adapt_wavlm

PHASES = 4  # of each frequency that the first convolution hears at the start
FREQUENCIES = (60.0, 7600.0)  # Hz, the lowest and the highest of them


@dataclass(frozen=True)
class Heard:
    """What the heads say of a batch.

    Attributes:
        speakers: (B, T, speakers) logits of every frame.
        emotions: (B, emotions) logits.
        phonemes: (B, T, 1 + phonemes) log probabilities, the blank first.
        frames: (B,) real frames.
    """

    speakers: Tensor
    emotions: Tensor
    phonemes: Tensor
    frames: Tensor


class Listener(nn.Module):
    """transformers' WavLM with three linear heads, which are only there to teach it.

    Speakers and moods are read off a weighted sum of all layers, as WavLLM reads WavLM; phonemes off the last one.
    It stays in evaluation mode, as in WavLLM: nothing is masked, dropped or skipped.
    """

    def __init__(self, config: WavLMConfig, classes: Classes):
        super().__init__()
        self.wavlm = WavLMModel(config)
        adapt_wavlm(self.wavlm)
        self.layer_weights = nn.Parameter(torch.zeros(config.num_hidden_layers + 1))
        self.speakers = nn.Linear(config.hidden_size, max(1, len(classes.speakers)))
        self.emotions = nn.Linear(config.hidden_size, max(1, len(classes.emotions)))
        self.phonemes = nn.Linear(config.hidden_size, 1 + len(classes.phonemes))
        self.eval()

    def forward(self, waves: Tensor, lengths: Tensor) -> Heard:
        """(B, samples) right-padded, (B,) samples."""
        mask = length_mask(lengths, waves.shape[1])
        states = self.wavlm(waves, attention_mask=mask.long(), output_hidden_states=True).hidden_states
        frames = self.wavlm._get_feat_extract_output_lengths(lengths)
        mixed = weighted_sum(states, self.layer_weights)
        real = length_mask(frames, mixed.shape[1])[..., None]
        return Heard(
            speakers=self.speakers(mixed),
            emotions=self.emotions((mixed * real).sum(1) / frames[:, None]),
            phonemes=self.phonemes(states[-1]).log_softmax(-1),
            frames=frames,
        )

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """Of a frame whose speaker is known; of a clip, for its emotion, and for its phonemes (CTC, by label)."""
        heard = self(batch.waves, batch.lengths)
        real = length_mask(heard.frames, heard.speakers.shape[1])
        wanted = batch.speakers[:, None].expand(real.shape).masked_fill(~real, UNKNOWN)
        known = (wanted != UNKNOWN).sum().clamp(min=1)
        return {
            "speaker": _cross_entropy(heard.speakers.flatten(0, 1), wanted.flatten()) / known,
            "emotion": _cross_entropy(heard.emotions, batch.emotions) / len(batch.examples),
            "phonemes": _ctc(heard, batch.phonemes) / len(batch.examples),
        }

    @torch.no_grad()
    def hear_frequencies(self, waves: Tensor) -> None:
        """Make the first convolution a filterbank that hears every frequency of speech equally loud, and keep it so.

        Learning it would take longer than all the rest, and steps of training would be as large as its filters' taps.

        Args:
            waves: (B, samples) of speech.
        """
        conv = self.wavlm.feature_extractor.conv_layers[0].conv.requires_grad_(False)
        filters = filterbank(conv.out_channels, conv.kernel_size[0])
        loudness = F.conv1d(waves[:, None], filters[:, None], stride=conv.stride).square().mean((0, 2)).sqrt()
        conv.weight.copy_(filters[:, None] / loudness.clamp(min=1e-6)[:, None, None])


def filterbank(channels: int, kernel: int) -> Tensor:
    """Waves under a window, (channels, kernel), at frequencies that lie as a mel scale has them, in four phases each.

    A window is as long as its frequency's distance to the next asks for, at most the kernel.
    """
    count = math.ceil(channels / PHASES)
    low, high = (2595 * math.log10(1 + hertz / 700) for hertz in FREQUENCIES)
    hertz = 700 * (10 ** (np.linspace(low, high, count + 1) / 2595) - 1)
    length = np.minimum(2 * SAMPLE_RATE / np.diff(hertz), kernel)
    time = np.arange(kernel) - (kernel - 1) / 2
    window = np.cos(np.pi * np.clip(time / length[:, None], -0.5, 0.5)) ** 2
    phase = 2 * np.pi * np.arange(PHASES) / PHASES
    waves = np.cos(2 * np.pi * hertz[:-1, None, None] * time / SAMPLE_RATE + phase[:, None])
    return torch.tensor((window[:, None] * waves).reshape(-1, kernel)[:channels], dtype=torch.float32)


def _cross_entropy(logits: Tensor, wanted: Tensor) -> Tensor:
    """The sum over those that are known."""
    return F.cross_entropy(logits, wanted, ignore_index=UNKNOWN, reduction="sum")


def _ctc(heard: Heard, phonemes: Sequence[Tensor]) -> Tensor:
    """The sum over clips whose phonemes are known, each by the number of its phonemes."""
    known = [i for i, labels in enumerate(phonemes) if len(labels)]
    if not known:
        return heard.phonemes.sum() * 0
    labels = [phonemes[i] for i in known]
    counts = torch.tensor([len(each) for each in labels])
    paths = heard.phonemes[known].transpose(0, 1)
    losses = F.ctc_loss(paths, torch.cat(labels), heard.frames[known], counts, reduction="none", zero_infinity=True)
    return (losses / counts).sum()
