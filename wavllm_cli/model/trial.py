"""The network of a recipe without its memory: counted, and run on nothing, before anything is allocated.

On the meta device a tensor is its shape. A petabyte costs nothing there, and sizes that do not fit each other fail as
they would in the first step of training.
"""

from collections.abc import Callable

import torch
from transformers import AutoModelForCausalLM

from wavllm_cli.data.audio import SAMPLE_RATE
from wavllm_cli.errors import RecipeError
from wavllm_cli.model.configuration_wavllm import POSITIONS_PER_SECOND, WavLLMConfig
from wavllm_cli.model.encoders import AcousticEncoder, SemanticEncoder
from wavllm_cli.model.modeling_wavllm import WavLLMForConditionalGeneration
from wavllm_cli.model.part_config import one_sentence
from wavllm_cli.recipe import Recipe

NO_NETWORK = "describes no network"
TOKENS = 4  # that the language model is tried with


def blank(recipe: Recipe, config: WavLLMConfig) -> WavLLMForConditionalGeneration:
    """The network on the meta device.

    Raises:
        RecipeError: sizes that describe no network; the sentence names the part.
        UsageError: an LLM that prompt-aware LoRA cannot work with.
    """
    _require_audible(recipe, config)
    with torch.device("meta"):
        return _built(recipe, config)


def require_running(recipe: Recipe, model: WavLLMForConditionalGeneration) -> None:
    """Run every part that the recipe describes by `config`; pretrained ones have run before.

    Args:
        model: as `blank` makes it.

    Raises:
        RecipeError: sizes that do not fit each other; the sentence names the part.
    """
    with torch.device("meta"), torch.no_grad():
        for part, run in _runs(model).items():
            if getattr(recipe.model, part).config is not None:
                with one_sentence(recipe.key("model", part, "config"), "cannot run"):
                    _run(run)


def _require_audible(recipe: Recipe, config: WavLLMConfig) -> None:
    """The encoders can be fed: features are made for whole seconds, and a clip of a second is long enough."""
    positions = config.semantic_config.max_source_positions
    if positions % POSITIONS_PER_SECOND:
        key = recipe.key("model", "semantic_encoder", "config", "max_source_positions")
        raise RecipeError(
            f"{key} is {positions}, but must be a multiple of {POSITIONS_PER_SECOND}: windows are whole seconds."
        )
    shortest = config.audio_geometry.shortest
    if shortest > SAMPLE_RATE:
        key = recipe.key("model", "acoustic_encoder", "config")
        raise RecipeError(
            f"{key} hears nothing in less than {shortest / SAMPLE_RATE:,.1f} s (see conv_kernel and conv_stride); in "
            "published encoders it is 0.025 s."
        )


def _built(recipe: Recipe, config: WavLLMConfig) -> WavLLMForConditionalGeneration:
    """The whole; if that fails, the parts by themselves, to name the one to blame."""
    try:
        with one_sentence(recipe.key("model"), NO_NETWORK):
            return WavLLMForConditionalGeneration(config)
    except RecipeError:
        with one_sentence(recipe.key("model", "semantic_encoder"), NO_NETWORK):
            SemanticEncoder(config.semantic_config)
        with one_sentence(recipe.key("model", "acoustic_encoder"), NO_NETWORK):
            AcousticEncoder(config.acoustic_config)
        with one_sentence(recipe.key("model", "language_model"), NO_NETWORK):
            AutoModelForCausalLM.from_config(config.text_config, trust_remote_code=False)
        raise


def _runs(model: WavLLMForConditionalGeneration) -> dict[str, Callable[[], object]]:
    """How each part is run on nothing."""
    semantic, text = model.config.semantic_config, model.config.text_config
    samples = SAMPLE_RATE
    return {
        "semantic_encoder": lambda: model.semantic_encoder(
            torch.zeros(1, semantic.num_mel_bins, 2 * semantic.max_source_positions)
        ),
        "acoustic_encoder": lambda: model.acoustic_encoder(torch.zeros(1, samples), [samples]),
        # A mask that is ready to use: transformers would look at the values of any other.
        "language_model": lambda: model.language_model(
            inputs_embeds=torch.zeros(1, TOKENS, text.hidden_size),
            attention_mask=torch.ones(1, 1, TOKENS, TOKENS, dtype=torch.bool),
            lora_scale=torch.zeros(1, model.scale_layout.width),
            use_cache=False,
        ),
    }


def _run(run: Callable[[], object]) -> None:
    """Run a part; one that must see values cannot be tried."""
    try:
        run()
    except (NotImplementedError, RuntimeError) as error:
        if "meta" not in str(error):
            raise
