"""A recipe's network on the meta device: sizes that do not fit each other are found without memory."""

import pytest

from wavllm_cli import recipe as recipes
from wavllm_cli.errors import RecipeError, UsageError
from wavllm_cli.model.build import build_config, build_tokenizer, most_tokens
from wavllm_cli.model.trial import blank, require_running

PARTS = ("semantic_encoder", "acoustic_encoder", "language_model")
SEMANTIC, ACOUSTIC, LLM = (f"model.{part}.config" for part in PARTS)


@pytest.fixture(scope="module")
def tried():
    """Function: overrides of the tiny recipe -> its network, tried."""
    tokenizer = build_tokenizer(recipes.load("tiny").model, ())

    def make(*overrides: str):
        recipe = recipes.load("tiny", overrides)
        vocabulary = most_tokens(recipe.model, tokenizer)
        model = blank(recipe, build_config(recipe, recipe.stages[-1].prompt_adapter, tokenizer, vocabulary))
        require_running(recipe, model)
        return model

    return make


def test_the_network_has_shapes_and_no_memory(tried):
    model = tried()
    own = [name for name, parameter in model.named_parameters() if parameter.device.type != "meta"]
    assert own == ["acoustic_encoder.model.masked_spec_embed"]  # which WavLM allocates whatever the device
    assert sum(parameter.numel() for parameter in model.parameters()) == 957_389


def test_a_petabyte_costs_nothing(tried):
    assert sum(p.numel() for p in tried(f"{LLM}.hidden_size=10000000").parameters()) > 10**14


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        (f"{SEMANTIC}.encoder_attention_heads=5", "model.semantic_encoder describes no network: embed_dim must be"),
        (f"{ACOUSTIC}.num_conv_pos_embedding_groups=7", "model.acoustic_encoder describes no network: in_channels"),
        (f"{LLM}.hidden_act=foo", "model.language_model describes no network: 'foo' is unknown."),
        (f"{LLM}.num_key_value_heads=3", f"{LLM} cannot run: The size of tensor a (4) must match the size of tensor b"),
        (f"{ACOUSTIC}.num_buckets=2", f"{ACOUSTIC} cannot run: one of its sizes is too small (division by zero)."),
        (f"{SEMANTIC}.max_source_positions=120", "is 120, but must be a multiple of 50: windows are whole seconds."),
        (f"{ACOUSTIC}.conv_kernel=[100000, 8, 8]", f"{ACOUSTIC} hears nothing in less than 6.3 s"),
    ],
)
def test_a_part_that_cannot_run_is_named(tried, override, expected):
    with pytest.raises(RecipeError) as caught:
        tried(override)
    assert expected in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def test_what_is_wrong_with_our_own_parts_is_said_in_our_own_words(tried):
    with pytest.raises(UsageError, match="lora_alpha / lora_rank is 10, above prompt_scale_max"):
        tried("model.lora.alpha=80")
