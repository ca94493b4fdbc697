"""Recipes: every problem at once, with file, line and the nearest valid key; resolved recipes are recipes."""

from pathlib import Path

import pytest
import yaml

from wavllm_cli import recipe
from wavllm_cli.errors import RecipeError


@pytest.fixture
def edited(tmp_path):
    """Write the tiny recipe with one textual change and return its path."""

    def write(old: str, new: str):
        text = recipe.find("tiny").read_text()
        assert old in text
        path = tmp_path / "edited.yaml"
        path.write_text(text.replace(old, new))
        return str(path)

    return write


@pytest.mark.parametrize("name", sorted(recipe.shipped()))
def test_shipped_recipes_are_valid_and_their_dump_is_the_same_recipe(name, tmp_path):
    loaded = recipe.load(name)
    path = tmp_path / "resolved.yaml"
    path.write_text(recipe.dump(loaded))
    assert recipe.load(str(path)) == loaded


def test_unknown_key_names_file_line_and_nearest(edited):
    path = edited("warmup_steps: 20", "warmup_step: 20")
    line = next(i for i, text in enumerate(Path(path).read_text().splitlines(), 1) if "warmup_step: 20" in text)
    with pytest.raises(RecipeError) as caught:
        recipe.load(path)
    assert f"{path}:{line}: unknown key stages.1.optimizer.warmup_step (did you mean warmup_steps?)." in str(
        caught.value
    )


def test_all_problems_are_reported_at_once(edited):
    path = edited("lora: {rank: 8, alpha: 8, dropout: 0.0}", "lora: {rank: -1, alpha: x, dropuot: 0.0}")
    with pytest.raises(RecipeError) as caught:
        recipe.load(path)
    lines = str(caught.value).splitlines()
    for expected in ("lora.rank is -1", "lora.alpha is 'x'", "unknown key model.lora.dropuot (did you mean dropout?)"):
        assert sum(expected in line for line in lines) == 1, expected
    assert sum("model.lora.dropout is missing" in line for line in lines) == 1


@pytest.mark.parametrize("text", ["1e-4", "1E-4", "0.0001", "1.0e-4"])
def test_scientific_notation_is_a_number_even_in_free_form_sections(text):
    loaded = recipe.load("tiny", [f"model.language_model.config.rms_norm_eps={text}"])
    assert loaded.model.language_model.config["rms_norm_eps"] == 1e-4


def test_set_changes_one_key_and_creates_absent_sections():
    loaded = recipe.load("tiny", ["stages.0.prompt_adapter.width=4", "seed=7", "stages.1.mixture.0.weight=9"])
    assert loaded.stages[0].prompt_adapter.width == 4
    assert loaded.seed == 7
    assert loaded.stages[1].mixture[0].weight == 9
    assert loaded.stages[1].steps == recipe.load("tiny").stages[1].steps


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("stages.0.stepz=3", "did you mean steps?"),
        ("stages.9.steps=3", "not one of the 2 positions"),
        ("name.x=3", "single value"),
        ("steps", "key=value"),
    ],
)
def test_wrong_overrides(override, expected):
    with pytest.raises(RecipeError, match="^(?s:.*)" + expected.replace("?", r"\?")):
        recipe.load("tiny", [override])


def test_a_backbone_has_exactly_one_source():
    with pytest.raises(RecipeError, match=r"either `path` .* or `config`"):
        recipe.load("tiny", ["model.semantic_encoder.path=openai/whisper-tiny"])


def test_training_the_prompt_adapter_needs_its_section():
    with pytest.raises(RecipeError, match="no `prompt_adapter` section"):
        recipe.load("tiny", ["stages.1.prompt_adapter=null"])


def test_unknown_recipe_name_suggests_one():
    with pytest.raises(RecipeError, match=r"no recipe 'tinny' \(did you mean tiny\?\)"):
        recipe.load("tinny")


@pytest.mark.parametrize("text", ["[1, 2", "- a\n- b\n", "\x00"])
def test_files_that_are_no_recipes(tmp_path, text):
    path = tmp_path / "no.yaml"
    path.write_text(text)
    with pytest.raises(RecipeError, match=r"not valid YAML|not a recipe"):
        recipe.load(str(path))


def test_the_dump_keeps_numbers_numbers():
    assert yaml.safe_load(recipe.dump(recipe.load("wavllm-7b")))["stages"][0]["optimizer"]["learning_rate"] == 1e-4
