"""What each key of a recipe means to a run that has begun."""

from typing import get_args

import pytest
from pydantic import BaseModel

from wavllm_cli.recipe import Recipe
from wavllm_cli.recipe.changes import MEANINGS, Meaning, changes


def sections(annotation):
    """Every section of the schema, however it is wrapped."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
        for field in annotation.model_fields.values():
            yield from sections(field.annotation)
    for argument in get_args(annotation):
        yield from sections(argument)


def test_every_key_of_the_schema_has_a_meaning():
    assert set(MEANINGS) == set(sections(Recipe))
    for section, meanings in MEANINGS.items():
        assert set(meanings) == set(section.model_fields), section.__name__


@pytest.mark.parametrize(
    ("override", "said", "meaning"),
    [
        ("seed=2", ["seed was 1, is 2"], Meaning.FIXED),
        ("model.lora.rank=4", ["model.lora.rank was 8, is 4"], Meaning.FIXED),
        (
            "model.language_model.config.hidden_size=64",
            ["model.language_model.config.hidden_size was 32, is 64"],
            Meaning.FIXED,
        ),
        ("stages.0.ctc=null", ["stages.0.ctc was {'weight': 0.3, 'blank': None}, is None"], Meaning.FIXED),
        ("stages.0.mixture.1.weight=2", ["stages.0.mixture.1.weight was 0.5, is 2.0"], Meaning.FIXED),
        ("stages.0.trainable=[language_model, acoustic_encoder, semantic_encoder, layer_weights, adapters]", [], None),
        ("stages.0.optimizer.betas=[0.9, 0.9]", ["stages.0.optimizer.betas was [0.9, 0.98], is [0.9, 0.9]"], "NOTED"),
        ("stages.0.validation.every=2", ["stages.0.validation.every was 4, is 2"], "NOTED"),
        ("stages.0.workers=2", ["stages.0.workers was 0, is 2"], "FREE"),
        ("stages.1.steps=99", [], None),
    ],
)
def test_changes_name_key_and_both_values(beep_recipe, override, said, meaning):
    found = list(changes(beep_recipe(), beep_recipe(override), 1))
    assert [str(change) for change in found] == said
    assert all(change.meaning in (meaning, getattr(Meaning, str(meaning), None)) for change in found)
