"""What the processor of an audio chat model makes of instructions about clips.

All have a chat template and turn clips into features; beyond that each family of models has ways of its own. What a
processor can be asked is found out from it; the few things that it does not tell stand in `FAMILIES`.
"""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import chain
from typing import Any

import numpy as np
import soxr
from jinja2 import TemplateError
from transformers import ProcessorMixin
from transformers.utils import is_mistral_common_available

from wavllm_cli.chat.speech import audio_part
from wavllm_cli.data.audio import SAMPLE_RATE
from wavllm_cli.errors import UsageError
from wavllm_cli.systems.base import Item

SHORTEST = SAMPLE_RATE // 10  # samples: of less some encoders make no frame at all, silence is put behind it
PIECE = 30.0  # seconds, to see how many tokens a clip takes
TRIAL = "Listen."  # an instruction, to see what a template makes of one


@dataclass(frozen=True)
class Family:
    """What models of one type do in a way of their own.

    Attributes:
        text_first: they were trained on instructions that stand before the clip.
        hears_padding: the encoder has no mask, it would hear the silence that fills up the shorter clips of a batch.
        takes_wavs: there is no template to be read, its tokenizer (mistral-common) takes messages with wavs in them.
        adapter: the folder beside the model with the LoRA without which it was not made to listen.
    """

    text_first: bool = False
    hears_padding: bool = False
    takes_wavs: bool = False
    adapter: str | None = None


FAMILIES = {
    "audioflamingo3": Family(text_first=True),
    "musicflamingo": Family(text_first=True),
    "granite_speech": Family(hears_padding=True),
    "granite_speech_plus": Family(hears_padding=True),
    "phi4_multimodal": Family(adapter="speech-lora"),
    "voxtral": Family(takes_wavs=True),
}


def require_family(name: str, model_type: str) -> None:
    """
    Raises:
        UsageError: models of this type cannot be asked here, or not before a package is installed.
    """
    family = FAMILIES.get(model_type, Family())
    if family.adapter:
        raise UsageError(
            f"{name} listens by an adapter in its folder {family.adapter}, which is not read here: ask the model at a "
            "server with --system remote."
        )
    if family.takes_wavs and not is_mistral_common_available():
        raise UsageError(f"{name} is asked through the package mistral-common: pip install 'wavllm[voxtral]'.")


class AudioPrompts:
    """Instructions about clips as a model's inputs.

    Args:
        name: of the model, for messages.
        model_type: as its configuration has it.
        processor: its own.

    Raises:
        UsageError: it hears nothing, or its model was not made to follow instructions.
    """

    def __init__(self, name: str, model_type: str, processor: ProcessorMixin):
        self.name, self.processor = name, processor
        self.family = FAMILIES.get(model_type, Family())
        made_by = f"The processor of {name} ({type(processor).__name__})"
        self.extractor = getattr(processor, "feature_extractor", None) or getattr(processor, "audio_processor", None)
        self.placeholder: str = getattr(processor, "audio_token", None) or ""
        if self.extractor is None or not self.placeholder:
            raise UsageError(f"{made_by} takes no audio: name a model that listens.")
        self.template = None if self.family.takes_wavs else processor.chat_template or processor.tokenizer.chat_template
        if not (self.template or self.family.takes_wavs):
            raise UsageError(
                f"{made_by} has no chat template, so nobody knows how the model is to be asked: name one that was made "
                "to follow instructions, such as an -instruct or -chat model."
            )
        self.rate = getattr(self.extractor, "sampling_rate", SAMPLE_RATE)
        processor.tokenizer.padding_side = "left"
        if processor.tokenizer.pad_token is None:
            processor.tokenizer.pad_token = processor.tokenizer.eos_token
        self.takes_parts = self.family.takes_wavs or self._takes_parts()

    def inputs(self, items: Sequence[Item]) -> Any:
        """The inputs of the model for items that either all have clips or all have none, padded on the left."""
        if self.family.takes_wavs:
            messages = [self._messages(item) for item in items]
            return self.processor.apply_chat_template(messages, tokenize=True, return_dict=True, return_tensors="pt")
        texts = [self.text(item) for item in items]
        clips = [self._clip(item.samples) for item in items if item.samples is not None and item.length]
        bos = self.processor.tokenizer.bos_token
        tokens: dict[str, Any] = {"padding": True}
        if bos and texts[0].startswith(bos):  # a second one would be put before it
            tokens["add_special_tokens"] = False
        heard = {"audio": clips, "audio_kwargs": {"sampling_rate": self.rate}} if clips else {}
        return self.processor(text=texts, text_kwargs=tokens, return_tensors="pt", **heard)

    def text(self, item: Item) -> str:
        """The whole prompt, with one placeholder for the clip if there is one."""
        return self._written(self._messages(item))

    def separately(self, items: Sequence[Item]) -> list[list[int]]:
        """The places of items that go together: with clips or without, and where padding is heard of one length."""
        groups: dict[int, list[int]] = {}
        for place, item in enumerate(items):
            groups.setdefault(item.length if self.family.hears_padding else bool(item.length), []).append(place)
        return list(groups.values())

    def problem(self, item: Item) -> str | None:
        """Why the processor cannot take an item, to end a sentence about it."""
        if any(self.placeholder in text for text in (item.prompt, *chain.from_iterable(item.history))):
            return f"its instruction has {self.placeholder!r} in it, which stands for the clip"
        seconds = item.length / SAMPLE_RATE
        if seconds > self.longest:
            return f"its clip has {seconds:.1f} s, of which {self.name} would hear the first {self.longest:g} only"
        return None

    def tokens(self, item: Item) -> int:
        """How many an item takes, reckoned without making its features."""
        text = self.inputs([replace(item, samples=None)])["input_ids"].shape[1]
        return text + math.ceil(item.length / SAMPLE_RATE * self._tokens_per_second)

    @cached_property
    def longest(self) -> float:
        """Seconds of the longest clip that is heard to its end: most processors cut what is longer without a word."""
        if (stated := getattr(self.processor, "max_audio_len", None)) is not None:
            return float(stated)
        window = getattr(self.extractor, "chunk_length", None)
        if window is None or self._length(2 * window) > self._length(window):
            return math.inf
        return float(window)

    @cached_property
    def _tokens_per_second(self) -> float:
        seconds = min(PIECE, self.longest)
        return (self._length(seconds) - self._length(0)) / seconds

    def _length(self, seconds: float) -> int:
        """Tokens of a question about so much silence."""
        silence = np.zeros(int(seconds * SAMPLE_RATE), np.float32)
        return self.inputs([Item("", TRIAL, silence)])["input_ids"].shape[1]

    def _takes_parts(self) -> bool:
        """Whether the template writes messages of several parts; others are given the placeholder within the text.

        Raises:
            UsageError: it loses the clip in both ways.
        """
        for content in ([{"type": "audio"}, {"type": "text", "text": TRIAL}], f"{self.placeholder}{TRIAL}"):
            try:
                written = self._written([{"role": "user", "content": content}])
            except (TemplateError, TypeError):
                continue
            if self.placeholder in written and TRIAL in written:
                return isinstance(content, list)
        raise UsageError(f"The chat template of {self.name} has no place for a clip.")

    @cached_property
    def takes_history(self) -> bool:
        """Whether what was said before is written down too: the clip, and then every turn."""
        turns = (("First?", "One."), ("Second?", "Two."))
        item = Item("", TRIAL, np.zeros(SHORTEST, np.float32), history=turns)
        try:
            written = self.processor.tokenizer.decode(self.inputs([item])["input_ids"][0])
        except (TemplateError, TypeError, ValueError):
            return False
        in_order = [*chain.from_iterable(turns), TRIAL]
        return re.findall("|".join(map(re.escape, in_order)), written) == in_order

    def _messages(self, item: Item) -> list[dict[str, Any]]:
        """The whole conversation; the clip stands in the user's first message."""
        messages: list[dict[str, Any]] = []
        for asked, answer in (*item.history, (item.prompt, None)):
            messages.append({"role": "user", "content": self._content(asked, None if messages else item)})
            if answer is not None:
                messages.append({"role": "assistant", "content": self._content(answer)})
        return messages

    def _content(self, text: str, item: Item | None = None) -> Any:
        """A message with the clip of an item, if it has one and is given: its parts, or all in one text."""
        clip: list[dict[str, str]] = [{"type": "audio"}] if item and item.length else []
        if clip and self.family.takes_wavs and item and item.samples is not None:
            clip[0]["base64"] = audio_part(self._clip(item.samples))["input_audio"]["data"]
        words = [{"type": "text", "text": text}] if text else []
        parts = [*words, *clip] if self.family.text_first else [*clip, *words]
        return parts if self.takes_parts else "".join(part.get("text", self.placeholder) for part in parts)

    def _written(self, messages: list[dict[str, Any]]) -> str:
        options = {"chat_template": self.template} if isinstance(self.template, str) else {}
        return self.processor.apply_chat_template(messages, add_generation_prompt=True, tokenize=False, **options)

    def _clip(self, samples: np.ndarray) -> np.ndarray:
        samples = np.pad(samples, (0, max(0, SHORTEST - len(samples))))
        return samples if self.rate == SAMPLE_RATE else soxr.resample(samples, SAMPLE_RATE, self.rate, quality="HQ")
