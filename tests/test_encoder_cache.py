"""What is kept of clips, and what encoders and clips are known by."""

import shutil

import pytest
import torch

from wavllm_cli.data.audio import read_audio, write_wav
from wavllm_cli.data.batch import Clip, clips_of
from wavllm_cli.data.schema import Utterance
from wavllm_cli.errors import WavLLMError
from wavllm_cli.model.encoders import Encoded
from wavllm_cli.model.load import load_model
from wavllm_cli.training import encoder_cache
from wavllm_cli.training.encoder_cache import EncoderCache, bytes_per_second, content, fingerprint


@pytest.fixture
def encoded():
    return Encoded(torch.full((1, 3, 4), 1e6), torch.randn(5, 2, 4))


def test_an_entry_is_rounded_once_and_comes_back_as_it_was(encoded, tmp_path):
    cache = EncoderCache(tmp_path, "encoders")
    assert cache.get("abc") is None
    entry = cache.put("abc", 1234, encoded)
    again = EncoderCache(tmp_path, "encoders").get("abc")
    assert again.samples == entry.samples == 1234
    assert torch.equal(again.encoded.semantic, torch.full((1, 3, 4), 65504.0, dtype=torch.float16))
    assert torch.equal(again.encoded.acoustic, encoded.acoustic.half())
    assert torch.equal(again.encoded.acoustic, entry.encoded.acoustic)
    assert EncoderCache(tmp_path, "others").get("abc") is None


def test_a_full_disk_is_said_once_and_ends_nothing(encoded, tmp_path, monkeypatch, capsys):
    def full(path):
        raise WavLLMError(f"{path} cannot be written: the disk is full.")

    monkeypatch.setattr(encoder_cache, "replacing", full)
    cache = EncoderCache(tmp_path, "encoders")
    assert [cache.put(name, 1, encoded).samples for name in "ab"] == [1, 1]
    said = " ".join(capsys.readouterr().err.split())
    assert said.count("the disk is full. Clips that are not in the encoder_cache are encoded each time.") == 1


def test_encoders_are_known_by_what_they_do(beep_run):
    """Stage 2 trains neither, and finds what stage 1's would have left."""
    model, processor = load_model(str(beep_run / "stage1"))
    known = fingerprint(model, processor)
    assert known == fingerprint(*load_model(str(beep_run / "stage2")))
    model.acoustic_encoder.layer_weights.data += 1
    model.semantic_adapter.projector.bias.data += 1
    assert known == fingerprint(model, processor)
    seen = {known}
    processor.feature_extractor.n_samples += 160
    seen.add(fingerprint(model, processor))
    model.config.semantic_config.encoder_attention_heads *= 2
    seen.add(fingerprint(model, processor))
    next(model.acoustic_encoder.model.feature_extractor.parameters()).data += 1e-3
    seen.add(fingerprint(model, processor))
    assert len(seen) == 4


def test_clips_are_known_by_what_is_heard(beeps, noise, tmp_path):
    clip = clips_of(beeps / "train.jsonl")[0]
    moved = tmp_path / "elsewhere.wav"
    shutil.copy(clip.paths[0], moved)
    assert content(Clip(clip.row.model_copy(update={"id": "b", "prompt": "?"}), (moved,))) == content(clip)
    parts = [{"start": 0.1}, {"duration": 0.3}, {"channel": 0}]
    assert len({content(clip), *(content(Clip(clip.row.model_copy(update=part), clip.paths)) for part in parts)}) == 4
    write_wav(moved, noise(0.5))
    assert content(Clip(clip.row, (moved,))) != content(clip)
    assert content(Clip(clip.row, (tmp_path / "gone.wav",))) is None
    text = Utterance(id="t", audio=None, task="sft", prompt="Say low.", target="low")
    assert content(Clip(text, ())) is None


def test_the_place_that_a_second_takes(beep_run, beeps):
    model, processor = load_model(str(beep_run / "stage1"))
    clip = read_audio(beeps / "7.wav")
    inputs = processor.audio_inputs([clip])
    encoded = model.encode(inputs["input_features"][0], inputs["input_values"][0])
    taken = 2 * (encoded.semantic.numel() + encoded.acoustic.numel())
    assert taken == pytest.approx(bytes_per_second(model.config) * len(clip) / 16_000, rel=0.03)
