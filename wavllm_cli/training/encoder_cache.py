"""What frozen encoders make of clips, kept on the disk in float16: `encoder_cache` of a stage.

FOLDER/ENCODER/AB/CLIP.safetensors holds what one encoder makes of one clip. ENCODER stands for its tensors and sizes
and for how it is fed, CLIP for the content of the audio files and the parts of them that are heard: another encoder, or
other audio under the same name, never finds it. Stages, runs and processes may share a folder; where they differ in one
encoder, what the other makes is still made once.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import fields
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from transformers import PreTrainedConfig

from wavllm_cli import console
from wavllm_cli.data.audio import SAMPLE_RATE
from wavllm_cli.data.batch import Clip
from wavllm_cli.data.files import digest, replacing
from wavllm_cli.data.shards import address_of, file_of, member_of, read_member
from wavllm_cli.errors import WavLLMError
from wavllm_cli.model.configuration_wavllm import POSITIONS_PER_SECOND, WavLLMConfig
from wavllm_cli.model.encoders import Encoded
from wavllm_cli.model.modeling_wavllm import WavLLMForConditionalGeneration
from wavllm_cli.model.processing_wavllm import WavLLMProcessor
from wavllm_cli.recipe import Recipe, Stage

STATES = "states"  # the tensor of a file
UNUSED = "masked_spec_embed"  # but by masking; where a checkpoint lacks it, it is at random
FEEDING = ("feature_size", "n_samples", "n_fft", "hop_length", "sampling_rate", "padding_value", "dither")
REMEMBERED = 1 << 17  # files whose digests a process keeps


class Entry(NamedTuple):
    """A clip of so many samples, encoded and rounded."""

    samples: int
    encoded: Encoded


class EncoderCache:
    """The encoded clips in a folder.

    Args:
        encoders: what each of them is known by, see `fingerprints`.
    """

    def __init__(self, folder: Path, encoders: Mapping[str, str]):
        self._folders = {encoder: folder / known for encoder, known in encoders.items()}
        self._is_writable = True

    def get(self, clip: str) -> Entry | None:
        """What both encoders made of a clip; None unless both is kept."""
        semantic = self.get_from("semantic", clip)
        acoustic = self.get_from("acoustic", clip) if semantic else None
        return Entry(semantic[0], Encoded(semantic[1], acoustic[1])) if semantic and acoustic else None

    def get_from(self, encoder: str, clip: str) -> tuple[int, Tensor] | None:
        """Samples of a clip, and what one encoder made of it; None for nothing, or for what a bad disk has left."""
        try:
            with safe_open(self._file(encoder, clip), framework="pt") as file:
                return int(file.metadata()["samples"]), file.get_tensor(STATES)
        except (OSError, SafetensorError, KeyError, TypeError, ValueError):
            return None

    def put(self, encoder: str, clip: str, samples: int, states: Tensor) -> Tensor:
        """Keep what an encoder made, rounded, as it will be read. Where nothing can be written that is said, once."""
        states = rounded(states)
        try:
            if self._is_writable:
                with replacing(self._file(encoder, clip)) as draft:
                    save_file({STATES: states}, draft, {"samples": str(samples)})
        except WavLLMError as error:
            self._is_writable = False
            console.warn(f"{error} Clips that are not in the encoder_cache are encoded each time.")
        return states

    def _file(self, encoder: str, clip: str) -> Path:
        return self._folders[encoder] / clip[:2] / f"{clip}.safetensors"


def cache_of(
    recipe: Recipe, stage: Stage, model: WavLLMForConditionalGeneration, processor: WavLLMProcessor
) -> EncoderCache | None:
    """The cache of a stage; None where it has none."""
    if stage.encoder_cache is None:
        return None
    return EncoderCache(recipe.manifest(stage.encoder_cache), fingerprints(model, processor))


def rounded(states: Tensor) -> Tensor:
    """In float16, on the CPU; what is beyond its range is its largest number."""
    most = torch.finfo(torch.float16).max
    return states.clamp(-most, most).to("cpu", torch.float16).contiguous()


def bytes_per_second(config: WavLLMConfig) -> float:
    """Of audio, on the disk."""
    semantic, acoustic = config.semantic_config, config.acoustic_config
    frames = SAMPLE_RATE / torch.tensor(acoustic.conv_stride).prod().item()
    states = (acoustic.num_hidden_layers + 1) * acoustic.hidden_size
    return 2 * (POSITIONS_PER_SECOND * semantic.d_model + frames * states)


# --- what encoders and clips are known by ---


def fingerprints(model: WavLLMForConditionalGeneration, processor: WavLLMProcessor) -> dict[str, str]:
    """Of all that decides what a clip is encoded as, by encoder."""
    config, extractor = model.config, processor.feature_extractor
    semantic = {
        "encoder": _sizes(config.semantic_config),
        "features": [type(extractor).__name__, *(getattr(extractor, name, None) for name in FEEDING)],
    }
    acoustic = {
        "encoder": _sizes(config.acoustic_config),
        "window": config.acoustic_window,
        "normalised": processor.acoustic_feature_extractor.do_normalize,
    }
    return {
        "semantic": _fingerprint(model.semantic_encoder.model, semantic),
        "acoustic": _fingerprint(model.acoustic_encoder.model, acoustic),
    }


def _fingerprint(encoder: nn.Module, described: Mapping[str, object]) -> str:
    """Of an encoder's tensors, and of what is described."""
    total = hashlib.sha256()
    for name, tensor in encoder.state_dict().items():
        if name != UNUSED:
            total.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
            total.update(_bytes(tensor))
    total.update(json.dumps(described, sort_keys=True, default=str).encode())
    return total.hexdigest()[:32]


def _bytes(tensor: Tensor) -> bytes:
    return tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()


def _sizes(config: PreTrainedConfig) -> dict[str, object]:
    """What a configuration says of an encoder; ids of tokens and decoders are other parts' and no matter."""
    own = {field.name for field in fields(type(config))} - {field.name for field in fields(PreTrainedConfig)}
    return {name: getattr(config, name) for name in own if "token" not in name and "decoder" not in name}


def content(clip: Clip) -> str | None:
    """SHA-256 of what is heard in a clip; None for text, and for what cannot be read, as loading it then says."""
    try:
        parts = [
            [_digest(path), piece.start, piece.duration, piece.channel, piece.level]
            for path, piece in zip(clip.paths, clip.row.pieces, strict=True)
        ]
    except (OSError, ValueError, WavLLMError):
        return None
    if not parts:
        return None
    whole = None if isinstance(clip.row.audio, str) else [clip.row.gap, clip.row.duration]
    return hashlib.sha256(json.dumps([parts, whole]).encode()).hexdigest()


def _digest(path: Path) -> str:
    """SHA-256 of an audio file, read once by each process for as long as it stays the same."""
    if address_of(path):
        return _digest_of_state(path, 0, 0)
    state = file_of(path).stat()
    return _digest_of_state(path, state.st_size, state.st_mtime_ns)


@lru_cache(REMEMBERED)
def _digest_of_state(path: Path, size: int, changed: int) -> str:
    member = member_of(path)
    return hashlib.sha256(read_member(path, member)).hexdigest() if member else digest(path)
