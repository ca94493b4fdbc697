"""A checkpoint to start from and a recipe's `model`: they agree, or the recipe takes the checkpoint's."""

import shutil

import numpy as np
import pytest

from wavllm_cli import recipe as recipes
from wavllm_cli.errors import UsageError
from wavllm_cli.model.build import build_config
from wavllm_cli.model.configuration_wavllm import WavLLMConfig
from wavllm_cli.training.adoption import settle


def test_the_model_of_a_run_is_its_recipes(beep_recipe, beep_run):
    recipe = beep_recipe()
    settled = settle(recipe, 2, str(beep_run / "stage1"))
    assert (settled.recipe, settled.adopted, settled.taken_over) == (recipe, False, [])


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("model.lora.rank=64", "model.lora.rank is 8 there, 64 in the recipe"),
        ("model.lora.dropout=0.5", "model.lora.dropout is 0.0 there, 0.5 in the recipe"),
        ("model.adapters.bottleneck=32", "model.adapters.bottleneck is 64 there, 32 in the recipe"),
        ("model.semantic_encoder.config.d_model=64", "model.semantic_encoder.config.d_model is 32 there, 64 in the"),
        (
            "model.acoustic_encoder={path: some/wavlm}",
            "model.acoustic_encoder is its own there, some/wavlm in the recipe",
        ),
        (
            "model.language_model.tokenizer.vocab_size=700",
            "model.language_model.tokenizer.vocab_size is 600 there, 700",
        ),
    ],
)
@pytest.mark.parametrize("record", [True, False])
def test_another_model_than_the_runs_is_refused_by_key(beep_recipe, beep_run, tmp_path, override, said, record):
    stage = beep_run / "stage1"
    if not record:  # as an earlier version left it
        stage = shutil.copytree(stage, tmp_path / "stage1", ignore=shutil.ignore_patterns("run.json", "state"))
    with pytest.raises(UsageError, match="describes another model than") as refused:
        settle(beep_recipe(override), 2, str(stage))
    assert said in str(refused.value)
    assert "recipe.yaml" in str(refused.value)


def test_what_a_false_recipe_says_of_a_checkpoint_is_not_believed(beep_recipe, beep_run, tmp_path):
    """Earlier versions wrote rank 64 beside a model of rank 8."""
    stage = shutil.copytree(
        beep_run / "stage1", tmp_path / "stage1", ignore=shutil.ignore_patterns("run.json", "state")
    )
    false = beep_recipe("model.lora.rank=64")
    (stage / "recipe.yaml").write_text(recipes.dump(false))
    with pytest.raises(UsageError, match=r"model\.lora\.rank is 8 there, 64 in the recipe"):
        settle(false, 2, str(stage))


def test_a_prompt_adapter_cannot_be_left_out_or_change_its_width(beep_recipe, beep_run):
    start = str(beep_run / "stage2")
    with pytest.raises(UsageError, match=r"has prompt_adapter_width 32, it cannot become 8.*width=32"):
        settle(beep_recipe("stages.1.prompt_adapter.width=8"), 2, start)
    with pytest.raises(UsageError, match=r"stages\.0\.prompt_adapter\.width is 32 there, and not in the recipe"):
        settle(beep_recipe(), 1, start)
    settled = settle(beep_recipe(), 2, start)
    assert not settled.taken_over


def test_a_model_that_no_recipe_made_is_taken_over(beep_recipe, released, tmp_path):
    folder = released().folder
    recipe = beep_recipe("stages.1.prompt_adapter=null", "stages.1.trainable=[adapters, lora]")
    settled = settle(recipe, 2, str(folder))
    assert settled.adopted
    assert "stages.1.prompt_adapter.width is 16 there, and not in the recipe" in settled.taken_over
    assert any(said.startswith("model.lora.rank is ") for said in settled.taken_over)
    assert any(said.startswith("model.semantic_encoder.config.encoder_layers is ") for said in settled.taken_over)
    (tmp_path / "recipe.yaml").write_text(recipes.dump(settled.recipe))
    written = recipes.load(str(tmp_path / "recipe.yaml"))
    assert written == settled.recipe
    assert settle(written, 2, str(folder)).taken_over == []


def test_the_recipe_that_was_taken_over_describes_the_model(beep_recipe, released, tiny_tokenizer):
    folder, recipe = released().folder, beep_recipe("stages.1.prompt_adapter.width=16")
    truly, written = WavLLMConfig.from_pretrained(folder), settle(recipe, 2, str(folder)).recipe
    built = build_config(written, written.stages[1].prompt_adapter, tiny_tokenizer)
    for key in ("lora_rank", "lora_alpha", "adapter_width", "semantic_channels", "acoustic_channels"):
        assert np.array_equal(getattr(built, key), getattr(truly, key))
    for part, size in [
        ("semantic_config", "d_model"),
        ("acoustic_config", "hidden_size"),
        ("text_config", "hidden_size"),
    ]:
        assert getattr(getattr(built, part), size) == getattr(getattr(truly, part), size)


def test_backbones_are_compared_by_what_they_hold(beep_recipe, backbones, tmp_path):
    from wavllm_cli.training.adoption import _part_differences

    path = backbones["acoustic_encoder"]["path"]
    shutil.copytree(path, tmp_path / "moved")
    there, moved = recipes.Backbone(path=path), recipes.Backbone(path=str(tmp_path / "moved"))
    other = recipes.Backbone(path=backbones["language_model"]["path"])
    assert list(_part_differences("model.acoustic_encoder", there, moved)) == []
    assert len(list(_part_differences("model.acoustic_encoder", there, other))) == 1
