import copy

import pytest
import torch
from torch.nn.utils.rnn import pad_sequence
from transformers import WavLMModel, WhisperModel

from wavllm_cli.model import configuration_wavllm
from wavllm_cli.model.configuration_wavllm import AcousticWindow
from wavllm_cli.model.encoders import AcousticEncoder, SemanticEncoder

LENGTHS = (16_000, 70_001, 730, 9_999)  # 730: the shortest of which the tiny convolutions make a frame


@pytest.fixture(scope="module", params=["group", "layer"])
def acoustic(request, tiny_config):
    torch.manual_seed(0)
    encoder = AcousticEncoder(tiny_config(norm=request.param).acoustic_config).double()
    torch.nn.init.normal_(encoder.layer_weights)
    return encoder.eval()


@pytest.fixture(scope="module")
def waves():
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(n, generator=generator, dtype=torch.double) for n in LENGTHS]


@torch.no_grad()
def test_acoustic_row_of_a_batch_equals_the_row_alone(acoustic, waves):
    together = acoustic(pad_sequence(waves, batch_first=True), LENGTHS)
    for wave, frames in zip(waves, together, strict=True):
        alone = acoustic(wave[None], [len(wave)])[0]
        assert alone.abs().mean() > 0.1
        torch.testing.assert_close(frames[: len(alone)], alone)


@torch.no_grad()
def test_acoustic_is_the_weighted_sum_of_all_hidden_states(acoustic, waves, tiny_config):
    config = acoustic.model.config
    wavlm = WavLMModel(config).double().eval()
    wavlm.load_state_dict(acoustic.model.state_dict())
    states = wavlm(waves[0][None], output_hidden_states=True).hidden_states
    assert len(states) == config.num_hidden_layers + 1
    weights = acoustic.layer_weights.exp() / acoustic.layer_weights.exp().sum()
    expected = sum(weight * state for weight, state in zip(weights, states, strict=True))
    torch.testing.assert_close(acoustic(waves[0][None], [len(waves[0])]), expected)


def test_layer_weights_start_equal_and_are_trained(tiny_config, waves):
    encoder = AcousticEncoder(tiny_config().acoustic_config).double()
    assert encoder.layer_weights.tolist() == [1.0, 1.0, 1.0]
    encoder.model.requires_grad_(False)
    encoder(waves[0][None], [len(waves[0])]).square().sum().backward()
    assert encoder.layer_weights.grad.abs().min() > 0


@torch.no_grad()
def test_semantic_is_whispers_encoder(tiny_config):
    config = tiny_config().semantic_config
    whisper = WhisperModel(config).eval()
    encoder = SemanticEncoder(config)
    encoder.model.load_state_dict(whisper.encoder.state_dict())
    mels = torch.randn(2, config.num_mel_bins, 200)
    torch.testing.assert_close(encoder(mels), whisper.encoder(mels).last_hidden_state)


@torch.no_grad()
def test_training_mode_does_not_reach_the_encoders(acoustic, waves, tiny_config):
    """WavLM in training mode masks spans and drops layers, Whisper drops layers too (F11)."""
    config = tiny_config()
    semantic = SemanticEncoder(config.semantic_config).train()
    acoustic = copy.deepcopy(acoustic).train()
    torch.nn.Sequential(semantic, acoustic).train()
    assert not any(module.training for encoder in (semantic, acoustic) for module in encoder.modules())
    mels, (wave, *_) = torch.randn(1, config.semantic_config.num_mel_bins, 200), waves
    for _ in range(3):
        assert torch.equal(semantic(mels), semantic(mels))
        assert torch.equal(acoustic(wave[None], [len(wave)]), acoustic(wave[None], [len(wave)]))


@pytest.fixture
def window(tiny_config, monkeypatch):
    monkeypatch.setattr(configuration_wavllm, "ACOUSTIC_CONTEXT", 0.5)
    return AcousticWindow(32_000, tiny_config().audio_geometry)


@torch.no_grad()
def test_up_to_the_limit_a_window_changes_nothing(acoustic, waves, window):
    windowed = copy.deepcopy(acoustic)
    windowed.window = window
    short = [wave[:32_000] for wave in waves]
    lengths = [len(wave) for wave in short]
    batch = pad_sequence(short, batch_first=True)
    assert torch.equal(windowed(batch, lengths), acoustic(batch, lengths))


@torch.no_grad()
def test_a_long_clip_has_the_frames_of_its_windows(acoustic, waves, window):
    windowed = copy.deepcopy(acoustic)
    windowed.window = window
    together = windowed(pad_sequence(waves, batch_first=True), LENGTHS)
    whole = acoustic(pad_sequence(waves, batch_first=True), LENGTHS)
    assert together.shape == whole.shape
    for row, length in enumerate(LENGTHS):
        alone = windowed(waves[row][None], [length])[0]
        torch.testing.assert_close(together[row, : len(alone)], alone)
        assert torch.allclose(alone, whole[row, : len(alone)]) == (length <= 32_000)
    start = window.span(0, window.frames)
    first = acoustic(waves[1][None, start], [start.stop])[0]
    kept = window.frames - window.context
    torch.testing.assert_close(together[1, :kept], first[:kept])
    end = window.geometry.acoustic_frames(LENGTHS[1])
    tail = window.span(end - window.frames, end)
    last = acoustic(waves[1][None, tail], [tail.stop - tail.start])[0]
    torch.testing.assert_close(together[1, end - window.context : end], last[-window.context :])


def test_layer_weights_learn_from_a_long_clip(acoustic, waves, window):
    windowed = copy.deepcopy(acoustic)
    windowed.window = window
    windowed.model.requires_grad_(False)
    windowed(waves[1][None], [LENGTHS[1]]).square().sum().backward()
    assert windowed.layer_weights.grad.abs().min() > 0
