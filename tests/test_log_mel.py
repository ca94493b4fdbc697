"""Whisper's features of the part of a window that is heard, against those of its own feature extractor."""

import numpy as np
import pytest
import torch
from transformers import WhisperFeatureExtractor

from wavllm_cli.data.audio import read_audio
from wavllm_cli.model.log_mel import log_mel


def theirs(extractor, windows):
    return extractor(windows, sampling_rate=16_000, return_tensors="pt").input_features


@pytest.mark.parametrize("seconds", [2, 10, 30])
def test_every_value_is_the_extractors(noise, seconds):
    extractor = WhisperFeatureExtractor(80, chunk_length=seconds)
    whole = seconds * 16_000
    for samples in (25, 200, 1600, 1601, 20_123, whole - 201, whole - 100, whole):
        windows = [0.1 * noise(samples / 16_000)]
        assert torch.equal(log_mel(extractor, windows), theirs(extractor, windows)), samples


def test_windows_of_other_lengths_and_levels_do_not_matter_to_each_other(noise):
    extractor = WhisperFeatureExtractor(128)
    silence = np.zeros(8000, np.float32)
    windows = [noise(0.3), silence, 1e-4 * noise(3.1), noise(2.0)]
    ours = log_mel(extractor, windows)
    assert torch.equal(ours, theirs(extractor, windows))
    assert torch.equal(ours[:1], log_mel(extractor, windows[:1]))


def test_real_speech(shared_data):
    clip = read_audio(shared_data / "wavllm_examples" / "audio" / "asr.flac")[: 16_000 * 30]
    extractor = WhisperFeatureExtractor(80)
    assert torch.equal(log_mel(extractor, [clip]), theirs(extractor, [clip]))


def test_any_other_extractor_is_asked_itself(noise):
    class Own(WhisperFeatureExtractor):
        def __call__(self, windows, **options):
            features = super().__call__(windows, **options)
            features["input_features"] += 1
            return features

    windows = [noise(0.5)]
    for extractor in (Own(80, chunk_length=2), WhisperFeatureExtractor(80, chunk_length=2, padding_value=0.1)):
        assert torch.equal(log_mel(extractor, windows), theirs(extractor, windows))
