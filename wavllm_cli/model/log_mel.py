"""Whisper's log-mel windows without the work on their padding, bit by bit what its feature extractor makes of them."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from transformers import WhisperFeatureExtractor

from wavllm_cli.data.audio import SAMPLE_RATE

FLOOR = 1e-10  # energy of a band, at least
RANGE = 8.0  # what lies further below the loudest band of a window is raised to that; base-10 logarithms
TILE = 16  # frames: other counts make products of matrices add up the last ones in another order


def log_mel(extractor: WhisperFeatureExtractor, windows: Sequence[np.ndarray]) -> Tensor:
    """N x (samples,), none longer than the extractor's window -> (N, M, frames) of whole windows.

    Frames that hear nothing but padding are not computed: of 3 s in a window of 30 s that is nine tenths.
    """
    if not _is_plain(extractor):
        return extractor(list(windows), sampling_rate=SAMPLE_RATE, return_tensors="pt").input_features
    hop, reach = extractor.hop_length, extractor.n_fft // 2
    heard = -(-(max(map(len, windows)) + reach) // hop)  # frames, each about its own sample
    frames = min(extractor.nb_max_frames, -(-heard // TILE) * TILE)
    waves = torch.zeros(len(windows), min(extractor.n_samples, (frames - 1) * hop + extractor.n_fft))
    for wave, samples in zip(waves, windows, strict=True):
        wave[: len(samples)] = torch.from_numpy(np.ascontiguousarray(samples))
    spectrum = torch.stft(waves, extractor.n_fft, hop, window=torch.hann_window(extractor.n_fft), return_complex=True)[
        ..., :frames
    ]
    energies = torch.full((len(windows), extractor.feature_size, extractor.nb_max_frames), FLOOR)
    filters = torch.from_numpy(extractor.mel_filters).to(torch.float32)
    energies[..., :frames] = filters.T @ (spectrum.abs() ** 2).contiguous()
    logarithms = energies.clamp(min=FLOOR).log10()
    loudest = logarithms.amax((1, 2), keepdim=True)
    return (torch.maximum(logarithms, loudest - RANGE) + 4.0) / 4.0


def _is_plain(extractor: WhisperFeatureExtractor) -> bool:
    """Whether it does what Whisper's does: no class of its own, no noise, silence for padding."""
    return type(extractor) is WhisperFeatureExtractor and not extractor.dither and extractor.padding_value == 0
