"""An encoder's or the language model's configuration from the keys of a recipe.

transformers takes a key that it does not know without a word, so that a misspelt size is silently the default's; it
checks few sizes before it builds with them, and fails on the others in as many ways as there are layers. Here each of
that is a sentence that names the key.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields
from functools import cache
from math import inf
from typing import Any

from huggingface_hub.errors import StrictDataclassError
from transformers import AutoConfig, PreTrainedConfig
from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS, RopeParameters
from transformers.models.auto.configuration_auto import CONFIG_MAPPING
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

from wavllm_cli.errors import RecipeError, WavLLMError, did_you_mean, shortened
from wavllm_cli.recipe import MAX_VOCABULARY, Backbone, Recipe

DEFAULT_TYPES = {"semantic_encoder": "whisper", "acoustic_encoder": "wavlm", "language_model": "llama"}
ENCODER_TYPES = {"semantic_encoder": "whisper", "acoustic_encoder": "wavlm"}

# What costs time or memory before anything can be counted, and the most that makes sense.
MOST = {
    "num_hidden_layers": 512,  # the deepest published LLMs have 126
    "encoder_layers": 512,
    "decoder_layers": 512,
    "num_mel_bins": 201,  # frequencies of Whisper's spectrum, 400 samples long
    "max_source_positions": 30_000,  # ten minutes at 50 Hz; every Whisper has 30 s
    "vocab_size": MAX_VOCABULARY,
    "hidden_size": 2**24,  # WavLM allocates one vector of it even on the meta device
}
MAX_SIZE = 2**40  # more channels than memory has bytes
ROPE_SECTIONS = ("rope_parameters", "rope_scaling")
ROPE_TYPES = ("default", *ROPE_INIT_FUNCTIONS)
OLDER_KEYS = {"rope_scaling", "rope_theta", "partial_rotary_factor"}  # transformers moves them into rope_parameters
MAY_BE_ZERO = ("_id", "_min_masks")  # all other whole numbers are sizes


def random_part(recipe: Recipe, part: str, defaults: dict[str, Any]) -> PreTrainedConfig:
    """The configuration of a part that has `config`.

    Args:
        defaults: keys that the recipe need not give.

    Raises:
        RecipeError: a sentence for each key that is unknown or has no sensible value.
    """
    source: Backbone = getattr(recipe.model, part)
    keys = dict(source.config or {})
    model_type = keys.pop("model_type", DEFAULT_TYPES[part])
    if problem := _wrong_type(part, model_type):
        raise RecipeError(f"{recipe.key('model', part, 'config', 'model_type')} {problem}.")
    problems = [
        f"{recipe.key('model', part, 'config', name)} {problem}."
        for name, value in keys.items()
        if (problem := _problem(name, value, model_type))
    ]
    if problems:
        raise RecipeError(*problems)
    with one_sentence(recipe.key("model", part, "config"), f"is no {model_type} configuration"):
        return AutoConfig.for_model(model_type, **(defaults | keys))


def _wrong_type(part: str, model_type: Any) -> str | None:
    """What is wrong with a `model_type` in this place."""
    if part in ENCODER_TYPES:
        expected = ENCODER_TYPES[part]
        return None if model_type == expected else f"is {shortened(repr(model_type))}, but must be {expected}"
    if not isinstance(model_type, str) or model_type not in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES:
        hint = did_you_mean(str(model_type), MODEL_FOR_CAUSAL_LM_MAPPING_NAMES)
        return f"is {shortened(repr(model_type))}, which is no causal LLM of transformers{hint}"
    return None


@cache
def _keys(model_type: str) -> dict[str, Any]:
    """The keys of a configuration class and their defaults, without those that are no property of the network."""
    config = CONFIG_MAPPING[model_type]
    common = {field.name for field in fields(PreTrainedConfig)}
    defaults = {field.name: field.default for field in fields(config) if field.name not in common}
    defaults |= {alias: defaults.get(name) for alias, name in config.attribute_map.items()}
    return defaults | dict.fromkeys(OLDER_KEYS - defaults.keys())


def _problem(name: str, value: Any, model_type: str) -> str | None:
    """What is wrong with a key, to stand after its name."""
    keys = _keys(model_type)
    if name not in keys:
        return f"is not a key that {CONFIG_MAPPING[model_type].__name__} has{did_you_mean(name, keys)}"
    if name in ROPE_SECTIONS:
        return _rope_problem(value)
    if name == "rope_theta" and (problem := _rope_problem({name: value})):
        return problem
    for number in value if isinstance(value, list) else [value]:
        if isinstance(number, int | float) and not isinstance(number, bool):
            low, high = _range(name, keys[name])
            if not low <= number <= high:
                limits = f"at least {low}" if number < low else f"at most {high:,}"
                return f"is {shortened(value)}, but must be {limits}"
    return None


def _range(name: str, default: Any) -> tuple[float, float]:
    """Between what a number must lie, by the name of its key and by what it is by default."""
    if "dropout" in name or name.endswith(("layerdrop", "_prob")):
        return 0, 1
    if name.endswith(MAY_BE_ZERO) or isinstance(default, bool | float) or "init" in name:
        return 0, inf
    first = default[0] if isinstance(default, list | tuple) and default else default
    is_size = (isinstance(first, int) and first > 0) or name.endswith(("_heads", "_dim", "_size"))
    return (1 if is_size else -inf), MOST.get(name, MAX_SIZE)


def _rope_problem(value: Any) -> str | None:
    """What is wrong with rotary parameters; some LLMs have a section of them for each kind of layer."""
    if value is None:
        return None
    if not isinstance(value, dict):
        return f"is {shortened(repr(value))}, but must be a section of keys"
    for name, inner in value.items():
        if isinstance(inner, dict):
            problem = _rope_problem(inner)
        elif name not in RopeParameters.__annotations__.keys() | {"type"}:
            problem = f"has no key {name}{did_you_mean(str(name), RopeParameters.__annotations__)}"
        elif name in ("rope_type", "type") and inner not in ROPE_TYPES:
            problem = f"has the {name} {shortened(repr(inner))}, but must have one of {', '.join(ROPE_TYPES)}"
        elif name in ("rope_theta", "factor") and not (isinstance(inner, int | float) and inner > 0):
            problem = f"has the {name} {shortened(repr(inner))}, but it must be above 0"
        else:
            problem = None
        if problem:
            return problem
    return None


@contextmanager
def one_sentence(key: str, what: str) -> Iterator[None]:
    """Turn whatever a library raises about a configuration into one sentence about this key.

    Its constructors divide by sizes, look names up and allocate: any class of exception can come of a stranger's value.
    """
    try:
        yield
    except WavLLMError:
        raise
    except Exception as error:
        cause = error.__cause__ if isinstance(error, StrictDataclassError) and error.__cause__ else error
        words = " ".join(str(cause).split()) or type(cause).__name__
        if isinstance(cause, KeyError) and cause.args:
            words = str(cause.args[0]) if " " in str(cause.args[0]) else f"{cause.args[0]!r} is unknown"
        elif isinstance(cause, ZeroDivisionError):
            words = f"one of its sizes is too small ({words})"
        raise RecipeError(f"{key} {what}: {shortened(words, 300).rstrip('.')}.") from error
