"""From the `model` section of a recipe to a model and its processor, before any training."""

from collections.abc import Iterable
from typing import Any

import torch
from transformers import (
    AutoConfig,
    AutoFeatureExtractor,
    AutoTokenizer,
    PreTrainedConfig,
    PreTrainedTokenizerBase,
    PreTrainedTokenizerFast,
)

from wavllm_cli.errors import RecipeError, WavLLMError, reason
from wavllm_cli.model.backbones import backbone_config
from wavllm_cli.model.configuration_wavllm import WavLLMConfig
from wavllm_cli.model.modeling_wavllm import WavLLMForConditionalGeneration
from wavllm_cli.model.processing_wavllm import SPEECH_CLOSE, SPEECH_OPEN, WavLLMProcessor
from wavllm_cli.recipe import Backbone, Model, PromptAdapter, Recipe

MODEL_TYPES = {"semantic_encoder": "whisper", "acoustic_encoder": "wavlm"}
UNKNOWN, BOS, EOS = "<unk>", "<s>", "</s>"

# A randomly initialised LLM gets the shortest template that still separates its parts: it has no chat habits to meet.
PLAIN_CHAT = (
    "{{ bos_token }}{% for message in messages %}{% if message['role'] == 'user' %}"
    "[INST]{{ message['content'] }} [/INST]{% endif %}{% endfor %}"
)


def build(recipe: Recipe, texts: Iterable[str]) -> tuple[WavLLMForConditionalGeneration, WavLLMProcessor]:
    """A fresh model and processor.

    Args:
        texts: what a tokenizer is trained on, where the recipe asks for one.

    Raises:
        RecipeError: a configuration that transformers rejects.
        WavLLMError: a pretrained backbone that cannot be loaded.
    """
    tokenizer = build_tokenizer(recipe.model, texts)
    config = build_config(recipe.model, recipe.stages[0].prompt_adapter, tokenizer)
    semantic, acoustic = (_feature_extractor(p) for p in (recipe.model.semantic_encoder, recipe.model.acoustic_encoder))
    processor = WavLLMProcessor.for_config(config, tokenizer, semantic, acoustic)
    # Pretrained and frozen parts are held in the stage's precision; what is trained is float32 (see training.groups).
    half = recipe.stages[0].precision == "bf16" and config.backbones
    dtype = torch.bfloat16 if half else torch.float32
    return WavLLMForConditionalGeneration.from_backbones(config, dtype), processor


def build_config(
    model: Model, prompt_adapter: PromptAdapter | None, tokenizer: PreTrainedTokenizerBase
) -> WavLLMConfig:
    """The configuration of the whole network; the sizes of pretrained backbones come from their own checkpoints."""
    parts = {
        "semantic_encoder": _part_config("semantic_encoder", model.semantic_encoder),
        "acoustic_encoder": _part_config("acoustic_encoder", model.acoustic_encoder),
        "language_model": _part_config("language_model", model.language_model, tokenizer),
    }
    sources = {
        part: {"path": source.path, "revision": source.revision}
        for part in parts
        if (source := getattr(model, part)).path
    }
    text_config: Any = parts["language_model"]
    return WavLLMConfig(
        semantic_config=parts["semantic_encoder"],
        acoustic_config=parts["acoustic_encoder"],
        text_config=text_config,
        backbones=sources or None,
        audio_token_id=max(len(tokenizer), text_config.vocab_size),
        semantic_channels=model.adapters.semantic_channels,
        acoustic_channels=model.adapters.acoustic_channels,
        adapter_bottleneck=model.adapters.bottleneck,
        adapter_width=model.adapters.width,
        lora_rank=model.lora.rank,
        lora_alpha=model.lora.alpha,
        lora_dropout=model.lora.dropout,
        prompt_adapter_width=prompt_adapter.width if prompt_adapter else None,
    )


def build_tokenizer(model: Model, texts: Iterable[str]) -> PreTrainedTokenizerBase:
    """The language model's own tokenizer, or one trained on `texts`."""
    source = model.language_model
    if source.tokenizer is not None:
        return train_tokenizer(texts, source.tokenizer.vocab_size)
    try:
        return AutoTokenizer.from_pretrained(source.path, revision=source.revision or "main")
    except (OSError, ValueError) as error:
        raise WavLLMError(
            f"The tokenizer of the language_model {source.path!r} cannot be loaded: {reason(error)}"
        ) from error


def train_tokenizer(texts: Iterable[str], vocab_size: int) -> PreTrainedTokenizerFast:
    """A byte-level BPE tokenizer: no text is out of vocabulary, the recipe's own words become single tokens."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    core = Tokenizer(models.BPE())
    # With a space before the first word too, a word is the same token wherever it stands in an answer.
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    core.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=[UNKNOWN, BOS, EOS],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    core.train_from_iterator(texts, trainer)
    # The markers around speech and instruction are one token each.
    core.add_tokens(["[INST]", "[/INST]", SPEECH_OPEN, SPEECH_CLOSE.strip()])
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=core, unk_token=UNKNOWN, bos_token=BOS, eos_token=EOS, pad_token=EOS
    )
    tokenizer.chat_template = PLAIN_CHAT
    return tokenizer


def _part_config(
    part: str, source: Backbone, tokenizer: PreTrainedTokenizerBase | None = None
) -> PreTrainedConfig | dict:
    if source.path is not None:
        return backbone_config(part, source.path, source.revision)
    keys = dict(source.config or {})
    if tokenizer is not None:
        special = {f"{name}_token_id": getattr(tokenizer, f"{name}_token_id") for name in ("bos", "eos", "pad")}
        keys = {"vocab_size": len(tokenizer), **special, **keys}
    model_type = keys.pop("model_type", MODEL_TYPES.get(part, "llama"))
    try:
        return AutoConfig.for_model(model_type, **keys)
    except (TypeError, ValueError, AttributeError) as error:
        words = " ".join(str(error).split())
        raise RecipeError(f"model.{part}.config is not a valid {model_type} configuration: {words}") from error


def _feature_extractor(encoder: Backbone) -> Any:
    """The feature extractor that a pretrained encoder ships with; None for a random one."""
    if encoder.path is None:
        return None
    return AutoFeatureExtractor.from_pretrained(encoder.path, revision=encoder.revision or "main")
