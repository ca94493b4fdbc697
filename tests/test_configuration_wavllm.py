import json

import numpy as np
import pytest
import torch
from transformers import AutoConfig, AutoModel, AutoProcessor, WavLMConfig, WavLMModel

from wavllm_cli.model.configuration_wavllm import AudioGeometry, WavLLMConfig, halve
from wavllm_cli.model.groups import is_backbone_tensor
from wavllm_cli.model.modeling_wavllm import WavLLMForConditionalGeneration
from wavllm_cli.model.processing_wavllm import WavLLMProcessor

KERNELS, STRIDES = (10, 3, 3, 3, 3, 2, 2), (5, 2, 2, 2, 2, 2, 2)
PUBLISHED = AudioGeometry(window=480_000, acoustic_convs=tuple(zip(KERNELS, STRIDES, strict=True)))


@pytest.mark.parametrize(
    ("samples", "windows", "semantic_frames", "semantic_tokens", "acoustic_frames", "tokens"),
    [
        # 10 s: 1,000 mel frames -> 500 -> 250 -> 125;  (160,000 - 400) // 320 + 1 = 499 -> 250 -> 125
        (160_000, 1, 500, 125, 499, 125),
        # 30 s: exactly one window
        (480_000, 1, 1500, 375, 1499, 375),
        # 31 s: the second window keeps as many frames as the full first one; WavLM's stream is the shorter
        (496_000, 2, 1500, 375, 1549, 388),
        # 67.46 s: 3 x 375 = 1,125 semantic tokens; 3,372 -> 1,686 -> 843 acoustic ones
        (1_079_348, 3, 1500, 375, 3372, 843),
        # 1 s + 1 sample: 101 mel frames -> 51 -> 26 -> 13;  49 -> 25 -> 13
        (16_001, 1, 51, 13, 49, 13),
        # the shortest clip: 3 mel frames -> 2 -> 1 -> 1;  1 -> 1 -> 1
        (400, 1, 2, 1, 1, 1),
    ],
)
def test_published_geometry(samples, windows, semantic_frames, semantic_tokens, acoustic_frames, tokens):
    assert PUBLISHED.windows(samples) == windows
    assert PUBLISHED.semantic_frames(samples) == semantic_frames
    assert PUBLISHED.semantic_tokens(samples) == semantic_tokens
    assert PUBLISHED.acoustic_frames(samples) == acoustic_frames
    assert PUBLISHED.tokens(samples) == tokens


def test_tokens_are_those_of_the_shorter_stream():
    fast = AudioGeometry(window=480_000, acoustic_convs=((160, 160),))  # 100 Hz: twice the semantic rate
    assert fast.acoustic_frames(160_000) == 1000
    assert fast.tokens(160_000) == 125


def test_halve_is_the_length_of_the_adapters_convolution():
    conv = torch.nn.Conv1d(1, 1, kernel_size=3, stride=2, padding=1)
    assert [halve(n) for n in range(1, 50)] == [conv(torch.zeros(1, 1, n)).shape[-1] for n in range(1, 50)]


def test_acoustic_frames_are_wavlms_own():
    with torch.device("meta"):
        wavlm = WavLMModel(WavLMConfig(num_hidden_layers=1))
    samples = np.random.default_rng(0).integers(400, 2_000_000, 200)
    expected = wavlm._get_feat_extract_output_lengths(torch.from_numpy(samples)).tolist()
    assert [PUBLISHED.acoustic_frames(int(n)) for n in samples] == expected


@pytest.mark.parametrize("convs", [PUBLISHED.acoustic_convs, ((20, 10), (16, 8), (8, 4)), ((7, 7),)])
def test_shortest_is_exact(convs):
    geometry = AudioGeometry(window=480_000, acoustic_convs=convs)
    assert geometry.acoustic_frames(geometry.shortest) == 1
    assert geometry.acoustic_frames(geometry.shortest - 1) == 0
    assert geometry.tokens(geometry.shortest) == 1


def test_geometry_of_a_config_is_the_encoders(tiny_config):
    assert WavLLMConfig().audio_geometry == PUBLISHED
    assert tiny_config().audio_geometry == AudioGeometry(32_000, ((20, 10), (16, 8), (8, 4)))


@pytest.mark.parametrize(("prompt_adapter_width", "trained"), [(None, 68_244_237), (1024, 76_642_062)])
def test_published_parameter_counts(prompt_adapter_width, trained):
    """Both adapters + fusion + 13 layer weights + LoRA (+ prompt adapter); audio_proj of the release, which nothing
    uses, is in neither figure. The total is Whisper-large-v2's encoder (its fixed positions included), WavLM-base,
    LLaMA-2-7B and everything trained, the prompt adapter too."""
    with torch.device("meta"):
        model = WavLLMForConditionalGeneration(WavLLMConfig(prompt_adapter_width=prompt_adapter_width))
    counts = {name: parameter.numel() for name, parameter in model.named_parameters()}
    frozen = sum(count for name, count in counts.items() if is_backbone_tensor(name))
    assert sum(counts.values()) - frozen == trained
    assert frozen + 76_642_062 == 7_546_224_254


def test_config_survives_json(tiny_config, tmp_path):
    for config in (WavLLMConfig(), tiny_config(norm="layer", backbones={"language_model": {"path": "x"}})):
        config.save_pretrained(tmp_path)
        loaded = AutoConfig.from_pretrained(tmp_path)
        assert type(loaded) is WavLLMConfig
        assert loaded.to_dict() | {"_name_or_path": ""} == config.to_dict()
        assert loaded.audio_geometry == config.audio_geometry
        assert json.loads((tmp_path / "config.json").read_text())["model_type"] == "wavllm"


def test_numbers_may_be_written_as_integers(tiny_config):
    config = tiny_config(lora_alpha=16, lora_dropout=0, prompt_scale_max=4)
    assert (config.lora_alpha, config.lora_dropout, config.prompt_scale_max) == (16, 0, 4)


def test_auto_classes(tiny_model, tiny_processor, tmp_path):
    model = tiny_model()
    model.save_pretrained(tmp_path)
    tiny_processor.save_pretrained(tmp_path)
    assert isinstance(AutoModel.from_pretrained(tmp_path), WavLLMForConditionalGeneration)
    assert isinstance(AutoProcessor.from_pretrained(tmp_path), WavLLMProcessor)


@pytest.mark.parametrize("seconds", [19.9, 0, -60, float("nan")])
def test_an_acoustic_window_is_longer_than_what_is_only_heard_along(seconds):
    with pytest.raises(ValueError, match=r"acoustic_window is .* s, but must be at least 20 s"):
        WavLLMConfig(acoustic_window=seconds)


def test_long_clips_are_taken_in_windows_unless_told_otherwise():
    assert WavLLMConfig().acoustic_windows.samples == 60 * 16_000
    assert WavLLMConfig(acoustic_window=None).acoustic_windows is None
