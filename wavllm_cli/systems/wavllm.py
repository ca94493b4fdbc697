"""A WavLLM as a system: encoders, adapters and an LLM in one checkpoint, or a live model that is being trained."""

import math
from collections.abc import Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import torch
from transformers.generation.streamers import BaseStreamer

from wavllm_cli.errors import UsageError, WavLLMError
from wavllm_cli.model import limits
from wavllm_cli.model.configuration_wavllm import WavLLMConfig
from wavllm_cli.model.load import (
    check_source,
    described_config,
    load_model,
    load_processor,
    new_tokens,
    taught_seconds,
)
from wavllm_cli.model.modeling_wavllm import WavLLMForConditionalGeneration
from wavllm_cli.model.processing_wavllm import WavLLMProcessor
from wavllm_cli.systems.base import Answer, Failure, Item, Options
from wavllm_cli.systems.decoding import Decoding, require_room
from wavllm_cli.systems.fingerprint import Fingerprint, model_digest
from wavllm_cli.systems.generation import generated
from wavllm_cli.systems.on_torch import GeneratingSystem
from wavllm_cli.systems.remembering import remembering
from wavllm_cli.systems.streaming import streamed


class WavLLM(GeneratingSystem):
    """A checkpoint that answers. Its sizes and its processor are read when they are needed, its weights by `load`.

    Args:
        name: checkpoint folder or hub id.

    Raises:
        UsageError: there is no such device.
    """

    def __init__(self, name: str, options: Options):
        super().__init__(name, options)
        self.decoding = options.decoding

    @classmethod
    def open(cls, options: Options) -> Self:
        """The checkpoint that the user names."""
        if options.model is None:
            raise UsageError(
                "No model is named: give one with --model FOLDER, or choose one for good by `wavllm models default`."
            )
        check_source(options.model)
        return cls(options.model, options)

    @classmethod
    def live(
        cls, name: str, model: WavLLMForConditionalGeneration, processor: WavLLMProcessor, decoding: Decoding
    ) -> Self:
        """A model that is in memory already, where and as it is."""
        system = cls(name, Options(device=str(model.device), decoding=decoding))
        system.config, system.model, system.processor, system.dtype = model.config, model, processor, model.dtype
        return system

    # --- its parts ---

    @cached_property
    def config(self) -> WavLLMConfig:
        return described_config(self.name, self.options.trust)

    @cached_property
    def processor(self) -> WavLLMProcessor:
        return load_processor(self.name, self.options.trust)

    @cached_property
    def model(self) -> WavLLMForConditionalGeneration:
        """The network on its device.

        Raises:
            UsageError: it cannot be moved there, or has no room for an answer.
            WavLLMError: the model's files are damaged.
        """
        model, self.processor = load_model(self.name, self.dtype, self.options.trust)
        self.config = model.config
        new = self.decoding.max_new_tokens or new_tokens(self.name) or 1
        require_room(new, limits.positions(model.config), "the language model")
        encode = remembering(model.get_audio_features)  # the next question may be about the same clip
        model.get_audio_features = encode  # type: ignore[method-assign]
        try:
            return model.to(self.device)
        except RuntimeError as error:
            raise UsageError(f"The model cannot be moved to device {self.device!r}: {error}") from error

    def fingerprint(self) -> Fingerprint:
        """Of the model's files, and how it decodes. A folder's files are read twice, at the same time."""
        with ThreadPoolExecutor(max_workers=1) as pool:
            digest = pool.submit(model_digest, self.name) if Path(self.name).is_dir() else None
            self.load()
            content = model_digest(self.name) if digest is None else digest.result()
        return Fingerprint(content, self.settings())

    # --- what fits ---

    @cached_property
    def longest_clip(self) -> float:  # type: ignore[override]
        """The longest it was taught with; where that is not known, what its acoustic encoder hears at once."""
        return taught_seconds(self.name) or self.config.acoustic_window or math.inf

    @cached_property
    def window(self) -> float:  # type: ignore[override]
        return taught_seconds(self.name) or super().window

    def problem(self, item: Item) -> str | None:
        """Why the LLM has no room for a clip, its instruction and an answer."""
        text = len(self.processor.encode(item.prompt, bool(item.length))[0]) - bool(item.length)
        return limits.position_problem(self.config, item.length, text, self._new_tokens())

    def memory_problem(self, item: Item) -> str | None:
        """Why a clip cannot be encoded alone."""
        memory = limits.available_memory(self.device)
        return limits.memory_problem(self.config, item.length, self.dtype, memory)

    def fits(self, items: Sequence[Item]) -> bool:
        """Whether clips can be encoded together."""
        longest = max(item.length for item in items)
        needed = limits.encoding_memory(self.config, longest, self.dtype, len(items))
        return needed <= limits.available_memory(self.device)

    def _new_tokens(self) -> int:
        loaded = "model" in vars(self)
        own = self.model.generation_config.max_new_tokens if loaded else new_tokens(self.name)
        return self.decoding.max_new_tokens or own or 1

    # --- answers ---

    def prepare(self, items: Sequence[Item]) -> Any:
        return self.processor(text=[item.prompt for item in items], audio=[item.samples for item in items])

    def answer(self, items: Sequence[Item], inputs: Any) -> list[Answer | Failure]:
        return self.generate(inputs, [item.id for item in items])

    def stream(self, item: Item) -> Generator[str, None, Answer | Failure]:
        if (self.generation.num_beams or 1) > 1:  # beams are known at the end only
            return (yield from super().stream(item))
        inputs = self.prepare([item])
        return (yield from streamed(lambda to: self.generate(inputs, [item.id], to)[0], self._text))

    def generate(self, inputs: Any, ids: Sequence[str], streamer: BaseStreamer | None = None) -> list[Answer | Failure]:
        """The answers to a batch of the processor's, whose rows have these ids."""
        self._require_known(inputs["input_ids"])
        self._require_known(inputs["prompt_ids"])
        inputs = inputs.to(self.device)
        return generated(
            self.model, inputs, ids, self.decoding, lambda new: self.processor.answers(new, inputs), streamer
        )

    def _require_known(self, ids: torch.Tensor) -> None:
        """A token that the LLM cannot embed would end in a crash deep inside it."""
        vocabulary = self.model.get_input_embeddings().num_embeddings
        foreign = ids[(ids >= vocabulary) & (ids != self.model.config.audio_token_id)]
        if len(foreign):
            raise WavLLMError(
                f"An instruction needs token {int(foreign[0])}, but the model {self.name} embeds {vocabulary}: "
                "its tokenizer was made for another LLM."
            )

    def _text(self, ids: list[int]) -> str:
        return self.processor.decode(ids, skip_special_tokens=True).strip()
