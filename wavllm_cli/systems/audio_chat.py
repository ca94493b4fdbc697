"""Any audio chat model of transformers: Qwen2-Audio, Voxtral, Audio Flamingo 3, Granite-Speech.

It takes what has a processor with a chat template and is registered as a model that answers about audio. How its
processor is asked is the matter of `audio_prompts.py`.
"""

from collections.abc import Generator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import transformers
from torch import Tensor
from transformers import PreTrainedConfig, PreTrainedModel
from transformers.generation.streamers import BaseStreamer
from transformers.models.auto import modeling_auto

from wavllm_cli.data.origin import locate, read_json
from wavllm_cli.errors import UsageError, WavLLMError
from wavllm_cli.model.stored import explaining
from wavllm_cli.systems.audio_prompts import AudioPrompts, require_family
from wavllm_cli.systems.base import Answer, Failure, Item, Options
from wavllm_cli.systems.decoding import NEW_TOKENS, require_room
from wavllm_cli.systems.fingerprint import Fingerprint, model_digest
from wavllm_cli.systems.generation import generated
from wavllm_cli.systems.on_torch import GeneratingSystem
from wavllm_cli.systems.pretrained import Pretrained
from wavllm_cli.systems.remembering import remembering
from wavllm_cli.systems.streaming import streamed

NAMES = {"qwen2-audio": "Qwen/Qwen2-Audio-7B-Instruct", "qwen-audio-chat": "Qwen/Qwen-Audio-Chat"}
ROLE = "audio chat model"

# Where models that answer about audio are registered; Audio Flamingo's stand in the second alone.
AUTO_CLASSES = {
    "AutoModelForMultimodalLM": modeling_auto.MODEL_FOR_MULTIMODAL_LM_MAPPING,
    "AutoModelForSeq2SeqLM": modeling_auto.MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING,
}
OF_CODE = (*AUTO_CLASSES, "AutoModelForCausalLM", "AutoModel")  # as what code from the hub registers such a model

# What is no such model, and who reads it.
OTHERS = {
    "wavllm": "--system wavllm answers with it",
    "whisper": "it transcribes and cannot be asked; --system cascade puts a chat LLM behind one",
}
TEXT_ONLY = "it reads text alone; --system cascade puts one behind a Whisper"


class AudioChat(GeneratingSystem):
    """One audio chat model. Greedy, and an answer has at most 512 tokens, where a command does not say otherwise.

    Args:
        name: folder, hub id, or one of `NAMES`.

    Raises:
        UsageError: there is no such model or device, it is of another kind, or its files name code.
        WavLLMError: its files are damaged, or cannot be fetched.
    """

    def __init__(self, name: str, options: Options):
        super().__init__(name, options)
        self.decoding = options.decoding.settled()
        source = name if Path(name).is_dir() else NAMES.get(name, name)
        _require_asked_here(source)
        self.source = Pretrained(ROLE, source, options.trust)
        self.kind = _auto_class(source, self.source.config)
        require_family(source, self.source.config.model_type)
        self.positions: int | None = getattr(self.source.config.get_text_config(), "max_position_embeddings", None)
        self.new_tokens = self.decoding.max_new_tokens or NEW_TOKENS
        require_room(self.new_tokens, self.positions, name)

    @classmethod
    def open(cls, options: Options) -> Self:
        if not options.model:
            raise UsageError(
                f"--system audio-chat needs a model: --model FOLDER, a hub id, or one of {', '.join(NAMES)}."
            )
        system = cls(options.model, options)
        _ = system.prompts  # what is wrong with a processor is no clip's fault
        return system

    @cached_property
    def prompts(self) -> AudioPrompts:
        return AudioPrompts(self.name, self.source.config.model_type, self.source.processor())

    @cached_property
    def model(self) -> PreTrainedModel:
        """The network on its device, which knows what ends an answer."""
        tokenizer = self.prompts.processor.tokenizer
        model = self.source.model(self.kind, self.dtype, self.device)
        encoder = model.get_encoder("audio")
        if encoder is not model:  # else it is called something else, and encodes a clip for every question about it
            encoder.forward = remembering(encoder.forward)
        settings = model.generation_config
        settings.eos_token_id = tokenizer.eos_token_id if settings.eos_token_id is None else settings.eos_token_id
        settings.pad_token_id = tokenizer.pad_token_id if settings.pad_token_id is None else settings.pad_token_id
        return model

    def fingerprint(self) -> Fingerprint:
        self.load()
        return Fingerprint(model_digest(self.source.origin.path), self.settings())

    # --- what fits ---

    @property
    def longest_clip(self) -> float:  # type: ignore[override]
        return self.prompts.longest

    @property
    def converses(self) -> bool:  # type: ignore[override]
        return self.prompts.takes_history

    def problem(self, item: Item) -> str | None:
        return self.prompts.problem(item) or self._without_room(self.prompts.tokens(item))

    def _without_room(self, tokens: int) -> str | None:
        if self.positions is None or tokens + self.new_tokens <= self.positions:
            return None
        return (
            f"its clip and instruction take {tokens:,} tokens, which leave no room for an answer of "
            f"{self.new_tokens:,}: {self.name} has {self.positions:,} positions"
        )

    # --- answers ---

    def prepare(self, items: Sequence[Item]) -> list[tuple[list[int], Any]]:
        """Groups of items that go together: their places, and the model's inputs.

        Raises:
            WavLLMError: one of the items has no room.
        """
        groups = self.prompts.separately(items)
        inputs = [(places, self.prompts.inputs([items[place] for place in places])) for places in groups]
        for _, some in inputs:
            if problem := self._without_room(int(some["attention_mask"].sum(dim=1).max())):
                raise WavLLMError(f"{problem}.")
        return inputs

    def answer(self, items: Sequence[Item], inputs: list[tuple[list[int], Any]]) -> list[Answer | Failure]:
        answers: dict[int, Answer | Failure] = {}
        for places, some in inputs:
            answers.update(zip(places, self._generate(some, [items[place].id for place in places]), strict=True))
        return [answers[place] for place in range(len(items))]

    def stream(self, item: Item) -> Generator[str, None, Answer | Failure]:
        if (self.generation.num_beams or 1) > 1:  # beams are known at the end only
            return (yield from super().stream(item))
        ((_, inputs),) = self.prepare([item])
        return (yield from streamed(lambda to: self._generate(inputs, [item.id], to)[0], self._text))

    def _generate(
        self, inputs: Any, ids: Sequence[str], streamer: BaseStreamer | None = None
    ) -> list[Answer | Failure]:
        length = inputs["input_ids"].shape[1]

        def texts(sequences: Tensor) -> list[str]:
            return [self._text(row) for row in sequences[:, length:].tolist()]

        here = inputs.to(self.device, dtype=self.dtype)  # of which only features have a dtype to change
        return generated(self.model, here, ids, self.decoding, texts, streamer)

    def _text(self, ids: list[int]) -> str:
        return self.prompts.processor.tokenizer.decode(ids, skip_special_tokens=True).strip()


# --- of what kind a model is ---


def _require_asked_here(source: str) -> None:
    """Refuse what another system reads, before a library looks at it.

    Raises:
        UsageError: says which.
        WavLLMError: the model's files are damaged, or cannot be fetched.
    """
    with explaining(f"The {ROLE} {source} cannot be loaded"):
        config = locate(source).file("config.json")
        model_type = read_json(config).get("model_type") if config else None
    if model_type in OTHERS:
        raise UsageError(f"{source} holds a {model_type!r} model: {OTHERS[model_type]}.")


def _auto_class(source: str, config: PreTrainedConfig) -> Any:
    """The class of transformers that loads a model.

    Raises:
        UsageError: it is of another kind.
    """
    code = getattr(config, "auto_map", None) or {}
    for name in OF_CODE:
        if name in code or type(config) in AUTO_CLASSES.get(name, ()):
            return getattr(transformers, name)
    reads = type(config) in modeling_auto.MODEL_FOR_CAUSAL_LM_MAPPING
    why = TEXT_ONLY if reads else "no system here asks such a model about audio"
    raise UsageError(f"{source} holds a {config.model_type!r} model: {why}.")
