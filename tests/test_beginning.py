"""The model that a stage begins with: the same at every start, and exactly what is stored."""

import json
import shutil

import pytest
import torch
from transformers import Wav2Vec2FeatureExtractor

from wavllm_cli.errors import RecipeError
from wavllm_cli.model.backbones import POSITIONS, backbone_tensors
from wavllm_cli.model.load import load_model, restore_stored
from wavllm_cli.model.modeling_wavllm import WavLLMForConditionalGeneration
from wavllm_cli.training.adoption import settle
from wavllm_cli.training.beginning import keep_beginning, load_beginning
from wavllm_cli.training.groups import set_trainable


def begun(folder, recipe, stage, source=None):
    keep_beginning(folder, recipe, source, ["How high is it?", "low"])
    return load_beginning(folder, recipe, stage, source)


def test_a_bf16_stage_begins_exactly_where_the_one_before_ended(beep_recipe, beep_run, tmp_path):
    recipe, source = beep_recipe("stages.1.precision=bf16"), str(beep_run / "stage1")
    model, _ = begun(tmp_path / "begin", recipe, recipe.stages[1], source)
    set_trainable(model, recipe.stages[1].trainable)
    trained = {name: p for name, p in model.named_parameters() if p.requires_grad}
    stored = dict(WavLLMForConditionalGeneration.from_pretrained(source).named_parameters())
    stored |= {name: p.clone() for name, p in trained.items() if name not in stored}  # the new prompt adapter
    assert all(p.dtype == torch.float32 for p in trained.values())
    rounded = [name for name, p in trained.items() if not torch.equal(p, stored[name])]
    assert rounded  # LoRA, with the LLM that it belongs to
    restore_stored(model, source, recipe.stages[1].trainable)
    assert [name for name, p in trained.items() if not torch.equal(p, stored[name])] == []
    frozen = next(p for p in model.parameters() if not p.requires_grad)
    assert frozen.dtype == torch.bfloat16


def test_a_pretrained_part_that_is_trained_in_bf16_begins_as_it_was_published(beep_recipe, backbones, tmp_path):
    path = shutil.copytree(backbones["acoustic_encoder"]["path"], tmp_path / "wavlm")
    Wav2Vec2FeatureExtractor(do_normalize=False, return_attention_mask=True).save_pretrained(path)
    part = [f"model.acoustic_encoder={{path: {path}}}", "stages.0.trainable=[acoustic_encoder, adapters]"]
    recipe = beep_recipe(*part, "stages.0.precision=bf16")
    model, _ = begun(tmp_path / "begin", recipe, recipe.stages[0])
    referred = model.config.backbones
    set_trainable(model, recipe.stages[0].trainable)
    published = backbone_tensors("acoustic_encoder", {"path": str(path), "local": True})
    name, values = next((n, t) for n, t in published.items() if n.endswith("q_proj.weight"))
    assert not torch.equal(model.get_parameter(name), values)
    restore_stored(model, None, recipe.stages[0].trainable, referred)
    assert torch.equal(model.get_parameter(name), values)


def test_a_pretrained_whisper_hears_shorter_windows(beep_recipe, tiny_whisper, noise, tmp_path):
    whisper = tiny_whisper()
    recipe = beep_recipe(f"model.semantic_encoder={{path: {whisper}}}", "model.semantic_window=1")
    model, processor = begun(tmp_path / "begin", recipe, recipe.stages[0])
    published = backbone_tensors("semantic_encoder", {"path": str(whisper), "local": True})[POSITIONS]
    assert len(published) == 100 and torch.equal(model.get_parameter(POSITIONS), published[:50])
    model.save_pretrained(tmp_path / "run")
    processor.save_pretrained(tmp_path / "run")
    loaded, again = load_model(str(tmp_path / "run"))  # refers to the Whisper, and finds it with all its positions
    assert loaded.config.backbones["semantic_encoder"]["path"] == str(whisper)
    inputs = again(text="How high is it?", audio=noise(2.5))
    assert inputs["input_features"].shape == (1, 3, 16, 100)
    with torch.no_grad():
        assert torch.equal(loaded(**inputs).logits, model.eval()(**inputs).logits)

    settled = settle(recipe, 2, str(tmp_path / "run"))
    assert settled.recipe.model.semantic_window == 1 and not [s for s in settled.taken_over if "window" in s]
    longer = recipe.model_copy(update={"model": recipe.model.model_copy(update={"semantic_window": None})})
    taken_over = settle(longer, 2, str(tmp_path / "run")).taken_over
    assert "model.semantic_window is 1 there, None in the recipe" in taken_over
    restore_stored(model, None, ["semantic_encoder"], model.config.backbones)
    assert len(model.get_parameter(POSITIONS)) == 50


def test_no_window_is_longer_than_the_encoder(beep_recipe, tiny_whisper):
    recipe = beep_recipe(f"model.semantic_encoder={{path: {tiny_whisper()}}}", "model.semantic_window=3")
    with pytest.raises(RecipeError, match=r"semantic_window is 3, but .* has positions for 2 s\.$"):
        keep_beginning(None, recipe, None, ["low"])


def test_what_is_kept_gives_the_same_model_and_processor_again(beep_recipe, tmp_path):
    recipe = beep_recipe()
    first, processor = begun(tmp_path / "begin", recipe, recipe.stages[0])
    torch.rand(1)  # other random numbers have been drawn since
    second, again = load_beginning(tmp_path / "begin", recipe, recipe.stages[0], None)
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True))
    assert processor.tokenizer.get_vocab() == again.tokenizer.get_vocab()
    assert str(tmp_path) not in "".join(file.read_text() for file in (tmp_path / "begin").iterdir())


@pytest.mark.parametrize("stage", ["stage1", "stage2"])
def test_a_finished_stage_has_the_tokenizer_it_began_with(beep_run, stage):
    folder = beep_run / stage
    ours, began = (json.loads((path / "tokenizer.json").read_text()) for path in (folder, folder / "begin"))
    assert ours == began
    assert str(beep_run) not in (folder / "tokenizer_config.json").read_text()
