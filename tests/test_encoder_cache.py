"""What is kept of clips, and what encoders and clips are known by."""

import shutil

import pytest
import torch

from wavllm_cli.data.audio import read_audio, write_wav
from wavllm_cli.data.batch import Clip, clips_of
from wavllm_cli.data.schema import Utterance
from wavllm_cli.errors import WavLLMError
from wavllm_cli.model.load import load_model
from wavllm_cli.training import encoder_cache
from wavllm_cli.training.encoder_cache import EncoderCache, bytes_per_second, content, fingerprints

ENCODERS = {"semantic": "s", "acoustic": "a"}


def test_an_entry_is_rounded_once_and_comes_back_as_it_was(tmp_path):
    cache, acoustic = EncoderCache(tmp_path, ENCODERS), torch.randn(5, 2, 4)
    kept = cache.put("acoustic", "abc", 1234, acoustic)
    assert torch.equal(kept, acoustic.half())
    assert cache.get("abc") is None
    cache.put("semantic", "abc", 1234, torch.full((1, 3, 4), 1e6))
    again = EncoderCache(tmp_path, ENCODERS).get("abc")
    assert again.samples == 1234
    assert torch.equal(again.encoded.semantic, torch.full((1, 3, 4), 65504.0, dtype=torch.float16))
    assert torch.equal(again.encoded.acoustic, kept)


def test_another_encoder_finds_what_is_not_its_own(tmp_path):
    EncoderCache(tmp_path, ENCODERS).put("semantic", "abc", 1, torch.ones(1, 3, 4))
    EncoderCache(tmp_path, ENCODERS).put("acoustic", "abc", 1, torch.ones(5, 2, 4))
    cache = EncoderCache(tmp_path, ENCODERS | {"acoustic": "another"})
    assert cache.get("abc") is None and cache.get_from("acoustic", "abc") is None
    assert cache.get_from("semantic", "abc")


def test_a_full_disk_is_said_once_and_ends_nothing(tmp_path, monkeypatch, capsys):
    def full(path):
        raise WavLLMError(f"{path} cannot be written: the disk is full.")

    monkeypatch.setattr(encoder_cache, "replacing", full)
    cache = EncoderCache(tmp_path, ENCODERS)
    assert [cache.put(encoder, "abc", 1, torch.ones(1, 3, 4)).shape for encoder in ENCODERS] == [(1, 3, 4)] * 2
    said = " ".join(capsys.readouterr().err.split())
    assert said.count("the disk is full. Clips that are not in the encoder_cache are encoded each time.") == 1


def test_encoders_are_known_by_what_they_do(beep_run):
    """Stage 2 trains neither, and finds what stage 1's would have left; what is one's own is no matter of the other."""
    model, processor = load_model(str(beep_run / "stage1"))
    known = fingerprints(model, processor)
    assert known == fingerprints(*load_model(str(beep_run / "stage2")))
    model.acoustic_encoder.layer_weights.data += 1
    model.semantic_adapter.projector.bias.data += 1
    assert known == fingerprints(model, processor)

    def changed():
        now = fingerprints(model, processor)
        others = [name for name in now if now[name] != known[name]]
        known.update(now)
        return others

    processor.feature_extractor.n_samples += 160
    assert changed() == ["semantic"]
    model.config.semantic_config.encoder_attention_heads *= 2
    assert changed() == ["semantic"]
    next(model.acoustic_encoder.model.feature_extractor.parameters()).data += 1e-3
    assert changed() == ["acoustic"]
    model.config.acoustic_window = None
    assert changed() == ["acoustic"]
    processor.acoustic_feature_extractor.do_normalize ^= True
    assert changed() == ["acoustic"]


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
    semantic = model.encode_semantic(inputs["input_features"][0], len(clip))
    taken = 2 * (semantic.numel() + model.encode_acoustic(inputs["input_values"][0]).numel())
    assert taken == pytest.approx(bytes_per_second(model.config) * len(clip) / 16_000, rel=0.03)
