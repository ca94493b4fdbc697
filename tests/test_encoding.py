"""Training on what frozen encoders have made of clips before: the same numbers, whoever fills the cache."""

import json
import os

import pytest
import torch
from beeps import forget_accelerate

from wavllm_cli.data.batch import Collator, clips_of
from wavllm_cli.errors import AudioError
from wavllm_cli.model.load import load_model
from wavllm_cli.model.modeling_wavllm import WavLLMForConditionalGeneration
from wavllm_cli.training import stages
from wavllm_cli.training.encoder_cache import EncoderCache, fingerprints
from wavllm_cli.training.encoding import CachedClips, CachingProcessor, Features, Found, encode
from wavllm_cli.training.objective import Objective


@pytest.fixture(autouse=True)
def fresh_accelerate(monkeypatch):
    from wavllm_cli.training import plan

    monkeypatch.setattr(plan, "require_sound", lambda *_: None)
    yield
    forget_accelerate()


def test_runs_that_fill_read_or_mend_a_cache_are_the_same_run(beep_recipe, tmp_path, monkeypatch):
    def run(name, *overrides):
        frozen = "stages.0.trainable=[adapters, layer_weights, language_model]"
        fewer = "stages.0.steps=3", "stages.0.validation.every=3", "stages.0.optimizer.learning_rate=1e-2"
        stages.train(beep_recipe(frozen, *fewer, *overrides), 1, tmp_path / name)
        lines = map(json.loads, (tmp_path / name / "stage1" / "log.jsonl").read_text().splitlines())
        curve = [{key: value for key, value in line.items() if key != "seconds"} for line in lines]
        return curve, (tmp_path / name / "stage1" / "model.safetensors").read_bytes()

    cached = f"stages.0.encoder_cache={tmp_path / 'cache'}"
    plain, _ = run("plain")
    filling = run("filling", cached)
    for without, with_ in zip(plain, filling[0], strict=True):
        for key in with_.keys() & {"loss", "validation_loss"}:
            assert with_[key] == pytest.approx(without[key], rel=2e-3)

    files = sorted((tmp_path / "cache").rglob("*.safetensors"))
    assert len(files) == 2 * 8
    for file in files[5:10]:  # of both encoders
        os.truncate(file, 100)
    assert run("mending", cached) == filling

    def deaf(*_):
        raise AudioError("nothing is decoded any more.")

    monkeypatch.setattr("wavllm_cli.data.batch.load", deaf)
    monkeypatch.setattr(WavLLMForConditionalGeneration, "encode_semantic", None)
    monkeypatch.setattr(WavLLMForConditionalGeneration, "encode_acoustic", None)
    assert run("reading", cached, "stages.0.workers=1") == filling


def heard(clips, model, processor, cache):
    """Inputs of a batch, and what its clips were before they were encoded."""
    batch = Collator(CachingProcessor(processor), with_targets=True)(CachedClips(clips, cache))
    kinds = [type(clip) for clip in batch.inputs.get("clips", [])]
    encode(batch, model, cache)
    return batch.inputs, kinds


def test_what_the_other_encoder_made_is_not_made_again(beeps, beep_run, tmp_path, monkeypatch):
    model, processor = load_model(str(beep_run / "stage2"))
    clips = clips_of(beeps / "train.jsonl")[:2]

    def encoded():
        return heard(clips, model, processor, EncoderCache(tmp_path, fingerprints(model, processor)))[0]["encoded"]

    first = encoded()
    monkeypatch.setattr(WavLLMForConditionalGeneration, "encode_semantic", None)
    model.acoustic_encoder.model.feature_projection.projection.weight.data.zero_()
    other = encoded()
    assert torch.equal(other.semantic, first.semantic)
    assert not torch.equal(other.acoustic, first.acoustic)


def test_hits_and_misses_and_text_share_a_batch(beeps, beep_run, tmp_path):
    model, processor = load_model(str(beep_run / "stage2"))
    rows = [*clips_of(beeps / "train.jsonl")[:3], clips_of(beeps / "text.jsonl")[0]]
    by = model, processor, EncoderCache(tmp_path, fingerprints(model, processor))
    heard(rows[1:2], *by)
    inputs, kinds = heard(rows, *by)
    assert kinds == [Features, Found, Features]
    again, kinds = heard(rows, *by)
    assert kinds == [] and torch.equal(again["encoded"].acoustic, inputs["encoded"].acoustic)
    expected = Collator(processor, with_targets=True)(rows).inputs
    assert inputs.keys() == expected.keys() - {"input_features", "input_values"} | {"encoded"}
    with torch.no_grad():
        torch.testing.assert_close(model(**inputs).loss, model(**expected).loss, rtol=2e-3, atol=0)
        how = torch.tensor([True, True, True, False]), torch.ones(4), torch.tensor(9), "alignment"
        losses = [Objective(model, 1.0)(batch, *how)[0] for batch in (inputs, expected)]
    torch.testing.assert_close(*losses, rtol=2e-3, atol=0)
