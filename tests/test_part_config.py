"""The parts that a recipe describes by `config`: every key is known, every size possible, before anything is built."""

import pytest

from wavllm_cli import recipe as recipes
from wavllm_cli.errors import RecipeError
from wavllm_cli.model.build import build_config, build_tokenizer, most_tokens

PARTS = ("semantic_encoder", "acoustic_encoder", "language_model")
SEMANTIC, ACOUSTIC, LLM = (f"model.{part}.config" for part in PARTS)


@pytest.fixture(scope="module")
def configured():
    """Function: overrides of the tiny recipe -> the configuration of its network."""
    tokenizer = build_tokenizer(recipes.load("tiny").model, ())

    def make(*overrides: str):
        recipe = recipes.load("tiny", overrides)
        return build_config(recipe, None, tokenizer, most_tokens(recipe.model, tokenizer))

    return make


def test_a_vocabulary_that_is_still_to_be_learned_has_its_size(configured):
    config = configured()
    assert config.text_config.vocab_size == config.audio_token_id == 604  # 600 and the four markers


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        (f"{SEMANTIC}.foo_bar=5", f"{SEMANTIC}.foo_bar is not a key that WhisperConfig has."),
        (f"{LLM}.hiden_size=5", f"{LLM}.hiden_size is not a key that LlamaConfig has (did you mean hidden_size?)."),
        (f"{LLM}.num_labels=1000000000", f"{LLM}.num_labels is not a key"),
        (f"{LLM}.num_attention_heads=0", f"{LLM}.num_attention_heads is 0, but must be at least 1."),
        (f"{ACOUSTIC}.conv_stride=[0, 4, 4]", f"{ACOUSTIC}.conv_stride is [0, 4, 4], but must be at least 1."),
        (f"{SEMANTIC}.d_model=-4", f"{SEMANTIC}.d_model is -4, but must be at least 1."),
        (f"{SEMANTIC}.encoder_layers=100000", f"{SEMANTIC}.encoder_layers is 100000, but must be at most 512."),
        (f"{SEMANTIC}.num_mel_bins=1000000000", "num_mel_bins is 1000000000, but must be at most 201."),
        (f"{LLM}.vocab_size=1000000000", "vocab_size is 1000000000, but must be at most 1,048,576."),
        (f"{LLM}.vocab_size=100", "vocab_size is 100, but the tokenizer has up to 604 tokens: leave it out."),
        (f"{LLM}.attention_dropout=2", "attention_dropout is 2, but must be at most 1."),
        (f"{LLM}.initializer_range=-1", "initializer_range is -1, but must be at least 0."),
        (f"{LLM}.rope_parameters={{rope_type: foo}}", "has the rope_type 'foo', but must have one of default, linear"),
        (f"{LLM}.rope_parameters={{rope_thetta: 9}}", "has no key rope_thetta (did you mean rope_theta?)."),
        (f"{LLM}.rope_parameters={{rope_theta: 0}}", "has the rope_theta 0, but it must be above 0."),
        (f"{LLM}.rope_parameters={{rope_type: yarn}}", "Missing required keys in `rope_parameters`"),
        (f"{LLM}.model_type=lama", "is 'lama', which is no causal LLM of transformers (did you mean llama?)."),
        (f"{SEMANTIC}.model_type=wavlm", "is 'wavlm', but must be whisper."),
        (f"{LLM}.hidden_size=x", f"{LLM} is no llama configuration: Field 'hidden_size' expected int, got str"),
        (
            f"{LLM}.num_attention_heads=3",
            "hidden size (128) is not a multiple of the number of attention heads (3).",
        ),
        (f"{ACOUSTIC}.conv_dim=[16, 32]", f"{ACOUSTIC} is no wavlm configuration: Configuration for convolutional"),
    ],
)
def test_a_key_that_builds_no_part_is_one_sentence(configured, override, expected):
    with pytest.raises(RecipeError) as caught:
        configured(override)
    assert expected in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def test_the_problems_of_all_parts_are_said_at_once(configured):
    with pytest.raises(RecipeError) as caught:
        configured(f"{SEMANTIC}.foo=1", f"{ACOUSTIC}.bar=2", f"{LLM}.hidden_size=0", f"{LLM}.baz=3")
    assert [line.split(" is ")[0].split(".")[-1] for line in str(caught.value).splitlines()] == [
        "foo", "bar", "hidden_size", "baz",
    ]  # fmt: skip


@pytest.mark.parametrize("model_type", ["mistral", "qwen3", "gemma3_text"])
def test_other_language_models_have_keys_of_their_own(configured, model_type):
    assert configured(f"{LLM}.model_type={model_type}").text_config.model_type == model_type
