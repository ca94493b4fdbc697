"""From the `model` section of a recipe to a model and its processor, before any training."""

from collections.abc import Iterable
from typing import Any

from transformers import (
    AutoFeatureExtractor,
    AutoTokenizer,
    PreTrainedConfig,
    PreTrainedTokenizerBase,
    PreTrainedTokenizerFast,
)

from wavllm_cli.data.origin import TOKENIZER_FILES, Origin, entry_of, locate, refuse_code
from wavllm_cli.errors import RecipeError
from wavllm_cli.model.backbones import backbone_config
from wavllm_cli.model.configuration_wavllm import BACKBONES, POSITIONS_PER_SECOND, WavLLMConfig
from wavllm_cli.model.conversation import SPEECH_CLOSE, SPEECH_OPEN
from wavllm_cli.model.extractors import require_extractors
from wavllm_cli.model.part_config import random_part
from wavllm_cli.model.processing_wavllm import WavLLMProcessor
from wavllm_cli.model.stored import explaining
from wavllm_cli.recipe import Backbone, Model, PromptAdapter, Recipe

MARKERS = ("[INST]", "[/INST]", SPEECH_OPEN, SPEECH_CLOSE.strip())  # one token each
UNKNOWN, BOS, EOS = "<unk>", "<s>", "</s>"

# A randomly initialised LLM gets the shortest template that still separates its parts: it has no chat habits to meet.
PLAIN_CHAT = (
    "{{ bos_token }}{% for message in messages %}{% if message['role'] == 'user' %}"
    "[INST]{{ message['content'] }} [/INST]{% endif %}{% endfor %}"
)


def design(recipe: Recipe, texts: Iterable[str], trust: bool = False) -> tuple[WavLLMConfig, WavLLMProcessor]:
    """Configuration and processor of a fresh model; its weights are `WavLLMForConditionalGeneration.from_backbones`'s.

    Args:
        texts: what a tokenizer is trained on, where the recipe asks for one.
        trust: run code that the backbones' files bring along.

    Raises:
        RecipeError: a configuration that transformers rejects.
        UsageError: the files of a backbone name code, or its folder is missing.
        WavLLMError: the files of a pretrained backbone cannot be loaded.
    """
    tokenizer = build_tokenizer(recipe.model, texts, trust)
    config = build_config(recipe, recipe.stages[0].prompt_adapter, tokenizer, trust=trust)
    return config, build_processor(recipe.model, config, tokenizer, trust)


def build_config(
    recipe: Recipe,
    prompt_adapter: PromptAdapter | None,
    tokenizer: PreTrainedTokenizerBase,
    vocabulary: int | None = None,
    trust: bool = False,
) -> WavLLMConfig:
    """The configuration of the whole network; the sizes of pretrained backbones come from their own checkpoints.

    Args:
        vocabulary: tokens of a tokenizer that is not trained yet; otherwise it is asked.
        trust: run code that the backbones' files bring along.

    Raises:
        RecipeError: a sentence for each key of a `config` that is unknown or has no sensible value.
    """
    model = recipe.model
    tokens = vocabulary or len(tokenizer)
    special = {f"{name}_token_id": getattr(tokenizer, f"{name}_token_id") for name in ("bos", "eos", "pad")}
    defaults = {"language_model": {"vocab_size": tokens, **special}}
    parts: dict[str, Any] = {}
    problems: list[str] = []
    for part in BACKBONES:
        try:
            parts[part] = _part_config(recipe, part, defaults.get(part, {}), trust)
        except RecipeError as error:
            problems += error.args
    if problems:
        raise RecipeError(*problems)
    _set_window(recipe, parts["semantic_encoder"])
    text_config = parts["language_model"]
    if model.language_model.config is not None and text_config.vocab_size < tokens:
        raise RecipeError(
            f"{recipe.key('model', 'language_model', 'config', 'vocab_size')} is {text_config.vocab_size}, but the "
            f"tokenizer has up to {tokens} tokens: leave it out."
        )
    sources = {part: entry_of(_origin(source)) for part in parts if (source := getattr(model, part)).path}
    return WavLLMConfig(
        semantic_config=parts["semantic_encoder"],
        acoustic_config=parts["acoustic_encoder"],
        text_config=text_config,
        backbones=sources or None,
        audio_token_id=max(tokens, text_config.vocab_size),
        semantic_channels=model.adapters.semantic_channels,
        acoustic_channels=model.adapters.acoustic_channels,
        adapter_bottleneck=model.adapters.bottleneck,
        adapter_width=model.adapters.width,
        adapter_dropout=model.adapters.dropout,
        lora_rank=model.lora.rank,
        lora_alpha=model.lora.alpha,
        lora_dropout=model.lora.dropout,
        prompt_adapter_width=prompt_adapter.width if prompt_adapter else None,
        acoustic_window=model.acoustic_window,
    )


def build_processor(
    model: Model, config: WavLLMConfig, tokenizer: PreTrainedTokenizerBase, trust: bool = False
) -> WavLLMProcessor:
    """The processor; pretrained encoders bring their feature extractors."""
    semantic = _feature_extractor("semantic_encoder", model.semantic_encoder, trust)
    acoustic = _feature_extractor("acoustic_encoder", model.acoustic_encoder, trust)
    return WavLLMProcessor.for_config(config, tokenizer, semantic, acoustic)


def build_tokenizer(model: Model, texts: Iterable[str], trust: bool = False) -> PreTrainedTokenizerBase:
    """The language model's own tokenizer, or one trained on `texts`."""
    source = model.language_model
    if source.tokenizer is not None:
        return train_tokenizer(texts, source.tokenizer.vocab_size)
    with explaining(f"The tokenizer of the language_model {source.path!r} cannot be loaded"):
        origin = _origin(source)
        refuse_code(origin, trust)
        for name in TOKENIZER_FILES:
            origin.file(name)
        return AutoTokenizer.from_pretrained(origin.path, trust_remote_code=trust, **origin.where)


def most_tokens(model: Model, tokenizer: PreTrainedTokenizerBase) -> int:
    """Tokens of the language model's tokenizer, or the most that one has which is still to be trained."""
    training = model.language_model.tokenizer
    return len(tokenizer) if training is None else training.vocab_size + len(MARKERS)


def train_tokenizer(texts: Iterable[str], vocab_size: int) -> PreTrainedTokenizerFast:
    """A byte-level BPE tokenizer: no text is out of vocabulary, the recipe's own words become single tokens."""
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

    core = Tokenizer(models.BPE())
    # With a space before the first word of each line too, a word is the same token wherever it stands in an answer.
    lines, words = pre_tokenizers.Split(Regex("[^\n]*\n"), "isolated"), pre_tokenizers.ByteLevel(add_prefix_space=True)
    core.pre_tokenizer = pre_tokenizers.Sequence([lines, words])
    core.decoder = decoders.Sequence([decoders.ByteLevel(), decoders.Replace("\n ", "\n")])
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=[UNKNOWN, BOS, EOS],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    core.train_from_iterator(texts, trainer)
    core.add_tokens(list(MARKERS))
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=core, unk_token=UNKNOWN, bos_token=BOS, eos_token=EOS, pad_token=EOS
    )
    tokenizer.chat_template = PLAIN_CHAT
    return tokenizer


def _part_config(recipe: Recipe, part: str, defaults: dict[str, Any], trust: bool) -> PreTrainedConfig:
    source: Backbone = getattr(recipe.model, part)
    if source.path is None:
        return random_part(recipe, part, defaults)
    return backbone_config(part, _origin(source), trust)


def _set_window(recipe: Recipe, config: PreTrainedConfig) -> None:
    """Give a pretrained Whisper's configuration the recipe's window, in place."""
    window, longest = recipe.model.semantic_window, config.max_source_positions // POSITIONS_PER_SECOND
    if window is None:
        return
    if window > longest:
        raise RecipeError(
            f"{recipe.key('model', 'semantic_window')} is {window}, but {recipe.model.semantic_encoder.path} has "
            f"positions for {longest} s."
        )
    config.max_source_positions = window * POSITIONS_PER_SECOND


def _feature_extractor(part: str, encoder: Backbone, trust: bool) -> Any:
    """The feature extractor that a pretrained encoder ships with; None for a random one."""
    if encoder.path is None:
        return None
    with explaining(f"The feature extractor of the {part} {encoder.path!r} cannot be loaded"):
        origin = _origin(encoder)
        refuse_code(origin, trust)
        require_extractors(origin)
        return AutoFeatureExtractor.from_pretrained(origin.path, trust_remote_code=trust, **origin.where)


def _origin(source: Backbone) -> Origin:
    """Where a pretrained backbone comes from; of a hub's, the commit that its revision means now."""
    assert source.path is not None
    return locate(source.path, source.revision).pinned()
