from copy import deepcopy

import numpy as np
import pytest
import torch
from transformers import AutoProcessor, WhisperConfig, WhisperForConditionalGeneration

from tests import ctranslate2_file
from tests.ctranslate2_file import END, SPECIAL, TIMESTAMPS
from wavllm_cli.errors import WavLLMError
from wavllm_cli.models.whisper import convert_whisper

TOKENS = 256 + 1 + len(SPECIAL) + TIMESTAMPS


@pytest.fixture(scope="module")
def original():
    """A tiny Whisper of random values, in the precision that packages store."""
    torch.manual_seed(0)
    config = WhisperConfig(
        vocab_size=TOKENS, d_model=16, encoder_layers=1, decoder_layers=2, encoder_attention_heads=2,
        decoder_attention_heads=4, encoder_ffn_dim=24, decoder_ffn_dim=20, max_source_positions=1500,
        max_target_positions=32, num_mel_bins=8, pad_token_id=0, bos_token_id=0, eos_token_id=0,
        decoder_start_token_id=0, init_std=0.3,
    )  # fmt: skip
    return WhisperForConditionalGeneration(config).half().eval()


@pytest.fixture(scope="module")
def converted(original, tmp_path_factory):
    folder = tmp_path_factory.mktemp("whisper")
    convert_whisper(ctranslate2_file.write(folder / "source", original), folder)
    return folder


@pytest.fixture(scope="module")
def sound():
    return np.random.default_rng(0).normal(0, 0.1, 16_000).astype(np.float32)


def logits(model, features):
    with torch.no_grad():
        return model.float()(features, decoder_input_ids=torch.arange(20)[None]).logits


def test_the_converted_model_is_the_original_one(original, converted, sound):
    model = WhisperForConditionalGeneration.from_pretrained(converted, dtype=torch.float32)
    features = AutoProcessor.from_pretrained(converted)(sound, sampling_rate=16_000, return_tensors="pt").input_features
    assert features.shape == (1, 8, 3000)
    assert torch.equal(logits(model, features), logits(deepcopy(original), features))


def first_tokens(folder, sound, **options) -> list[str]:
    """What the decoder reads before it has said anything."""
    model = WhisperForConditionalGeneration.from_pretrained(folder, dtype=torch.float32)
    processor = AutoProcessor.from_pretrained(folder)
    seen = []
    model.model.decoder.register_forward_pre_hook(
        lambda module, args, kwargs: seen.append(kwargs["input_ids"][0].tolist()), with_kwargs=True
    )
    features = processor(sound, sampling_rate=16_000, return_tensors="pt").input_features
    model.generate(features, max_new_tokens=2, **options)
    return processor.tokenizer.convert_ids_to_tokens(max(seen, key=len))


def test_a_multilingual_model_is_told_language_and_task(converted, sound):
    found = first_tokens(converted, sound)
    assert found[1] in ("<|en|>", "<|de|>")
    assert found == ["<|startoftranscript|>", found[1], "<|transcribe|>", "<|notimestamps|>"]
    assert first_tokens(converted, sound, language="de", task="translate")[1:3] == ["<|de|>", "<|translate|>"]


def test_an_english_model_is_told_neither_and_has_timestamps(original, tmp_path, sound):
    source = ctranslate2_file.write(tmp_path / "source", original, english=True)
    convert_whisper(source, tmp_path)
    assert first_tokens(tmp_path, sound) == ["<|startoftranscript|>", "<|notimestamps|>"]
    tokenizer = AutoProcessor.from_pretrained(tmp_path).tokenizer
    assert len(tokenizer) == TOKENS
    assert tokenizer.convert_ids_to_tokens([256, TOKENS - 1]) == [END, "<|30.00|>"]


def test_the_tokenizer_reads_writes_and_normalises(converted):
    tokenizer = AutoProcessor.from_pretrained(converted).tokenizer
    ids = tokenizer("Öl!").input_ids
    assert tokenizer.convert_ids_to_tokens(ids)[:2] == ["<|startoftranscript|>", "<|notimestamps|>"]
    assert tokenizer.decode(ids, skip_special_tokens=True) == "Öl!"
    assert tokenizer.normalize("The colour isn't grey") == "the color is not gray"


def test_quantised_matrices_are_nearly_the_original_ones(original, converted, tmp_path, sound):
    convert_whisper(ctranslate2_file.write(tmp_path / "source", original, int8=True), tmp_path)
    exact, near = (
        WhisperForConditionalGeneration.from_pretrained(folder, dtype=torch.float32).state_dict()
        for folder in (converted, tmp_path)
    )
    for name, tensor in exact.items():
        assert torch.allclose(near[name], tensor, atol=tensor.abs().max().item() / 127), name


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"decoder/layer_1/ffn/linear_0/bias": None}, r"1 missing \(model\.decoder\.layers\.1\.fc1\.bias\)"),
        ({"decoder/layer_1/ffn/linear_2/bias": np.zeros(3, np.float16)}, "linear_2/bias is none of a Whisper's"),
        ({"encoder/conv1/bias": np.zeros(3, np.float16)}, r"of another shape \(model\.encoder\.conv1\.bias \(3,\)"),
        ({"encoder/layer_0/self_attention/linear_0/bias": np.ones(48, np.float16)}, "gives the keys a bias"),
    ],
)
def test_tensors_that_are_not_a_whispers_are_refused(changes, why, original, tmp_path):
    with pytest.raises(WavLLMError, match=why):
        convert_whisper(ctranslate2_file.write(tmp_path / "source", original, **changes), tmp_path)
