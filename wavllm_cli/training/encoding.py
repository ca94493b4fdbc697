"""How the clips of a stage with an `encoder_cache` get to the model: read as encoded, or heard and encoded for good.

Processes that read ahead look into the cache; only what is not there is decoded and made into features. The process
that has the model encodes it, by those encoders that have not. A clip is encoded by itself, so that it is the same
numbers whoever does it, in whatever batch: a run that fills the cache, one that reads it and one that was interrupted
train on equal values.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from transformers import BatchFeature

from wavllm_cli.data.audio import is_silent
from wavllm_cli.data.batch import Batch, Clip
from wavllm_cli.data.lazy import Lazy
from wavllm_cli.errors import AudioError
from wavllm_cli.model.encoders import Encoded
from wavllm_cli.model.modeling_wavllm import WavLLMForConditionalGeneration
from wavllm_cli.model.processing_wavllm import WavLLMProcessor
from wavllm_cli.training.encoder_cache import EncoderCache, Entry, content

CLIPS = "clips"  # in the inputs, until they are encoded


class Waveform(NamedTuple):
    """(samples,) of a clip that is not in the cache yet."""

    content: str
    samples: np.ndarray


class Features(NamedTuple):
    """What is to be encoded, see `encode_semantic` and `encode_acoustic` of the model.

    Arrays, since each tensor that goes from one process to another takes a file descriptor, of which there are few.
    """

    content: str
    input_features: np.ndarray
    input_values: np.ndarray

    @property
    def samples(self) -> int:
        return len(self.input_values)


class Found(NamedTuple):
    """An `Entry` in a batch with clips that are still to be encoded; arrays as in `Features`."""

    samples: int
    semantic: np.ndarray
    acoustic: np.ndarray


@dataclass(frozen=True)
class CachedClip(Clip):
    """A clip that is read only if the cache has nothing of it."""

    cache: EncoderCache

    def load(self) -> tuple[Any, list[str]]:
        """An `Entry`, a `Waveform`, or None for text; and what is odd."""
        known = content(self)
        if known and (entry := self.cache.get(known)):
            return entry, []
        samples, notes = super().load()
        if samples is None:
            return None, notes
        if known is None:
            raise AudioError("its audio could not be read at first, and then it could.")
        silent = [f"{self.row.id}: silent clip"] if is_silent(samples) else []
        return Waveform(known, samples), notes + silent


class CachedClips(Lazy[Clip]):
    """Clips that are looked for in a cache first."""

    def __init__(self, clips: Sequence[Clip], cache: EncoderCache):
        self._clips, self._cache = clips, cache

    def __len__(self) -> int:
        return len(self._clips)

    def _made(self, index: int) -> Clip:
        clip = self._clips[index]
        return CachedClip(clip.row, clip.paths, self._cache)


class CachingProcessor:
    """Called by a collator in the place of a processor: rows of a batch, with their clips as far as they are known."""

    def __init__(self, processor: WavLLMProcessor):
        self._processor = processor

    def __call__(
        self, text: Sequence[str], audio: Sequence[Entry | Waveform | None], target: Sequence[str] | None
    ) -> BatchFeature:
        clips = [self._features(clip) if isinstance(clip, Waveform) else clip for clip in audio]
        lengths = [clip.samples if clip else 0 for clip in clips]
        inputs: dict[str, Any] = self._processor.text_inputs(text, lengths, target)
        if any(lengths):
            inputs["audio_lengths"] = torch.tensor(lengths)
            heard = [clip for clip in clips if clip]
            entries = [clip for clip in heard if isinstance(clip, Entry)]
            if len(entries) == len(heard):
                inputs["encoded"] = Encoded.batch([entry.encoded for entry in entries])
            else:
                inputs[CLIPS] = [_found(clip) if isinstance(clip, Entry) else clip for clip in heard]
        return BatchFeature(inputs)

    def _features(self, waveform: Waveform) -> Features:
        inputs = self._processor.audio_inputs(self._processor.clips([waveform.samples], 1))
        return Features(waveform.content, inputs["input_features"][0].numpy(), inputs["input_values"][0].numpy())


def _found(entry: Entry) -> Found:
    return Found(entry.samples, entry.encoded.semantic.numpy(), entry.encoded.acoustic.numpy())


def encode(batch: Batch, model: WavLLMForConditionalGeneration, cache: EncoderCache) -> None:
    """Put what the encoders make of them in the place of a batch's clips, on the model's device."""
    inputs = batch.inputs
    if inputs is not None and CLIPS in inputs:
        inputs["encoded"] = Encoded.batch([_encoded(clip, model, cache) for clip in inputs.pop(CLIPS)])
    if inputs is not None and "encoded" in inputs:
        inputs["encoded"] = inputs["encoded"].to(model.device)


def _encoded(clip: Found | Features, model: WavLLMForConditionalGeneration, cache: EncoderCache) -> Encoded:
    if isinstance(clip, Found):
        return Encoded(torch.from_numpy(clip.semantic), torch.from_numpy(clip.acoustic))

    def held(array: np.ndarray) -> Tensor:
        return torch.from_numpy(array).to(model.device)

    return Encoded(
        _states("semantic", clip, lambda: model.encode_semantic(held(clip.input_features), clip.samples), cache),
        _states("acoustic", clip, lambda: model.encode_acoustic(held(clip.input_values)), cache),
    )


def _states(encoder: str, clip: Features, make: Callable[[], Tensor], cache: EncoderCache) -> Tensor:
    """What one encoder makes of a clip; it may be kept since the batch was read ahead, or by another process."""
    if kept := cache.get_from(encoder, clip.content):
        return kept[1]
    return cache.put(encoder, clip.content, clip.samples, make())
