"""Text-to-speech models of transformers: VITS and MMS, SpeechT5, Bark, and whatever else its pipeline speaks with."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self
from zlib import crc32

import numpy as np
import soxr

from wavllm_cli.data.audio import SAMPLE_RATE
from wavllm_cli.data.files import digest
from wavllm_cli.data.origin import Origin, entry_of, identity, locate, read_json, refuse_code
from wavllm_cli.errors import UsageError, WavLLMError, reason, shortened
from wavllm_cli.speech.engine import Engine, Line, Options, Unspoken, wanted

VITS, SPEECHT5, BARK = "vits", "speecht5", "bark"


class HuggingFace(Engine):
    """A voice is the model itself, MODEL#N where it has several speakers, or what the kind of model knows a voice by:
    an .npy file with an x-vector (SpeechT5), a preset (Bark).

    Nobody but the user knows which language a model speaks.
    """

    name = "hf"
    at_once = 1  # a text that is padded to another's length sounds otherwise

    def __init__(self, origin: Origin, named: Sequence[str], speed: float, device: str | None, trust: bool):
        config = read_json(_required(origin.file("config.json", required=True)))
        self.origin, self.speed, self.kind = origin, speed, str(config.get("model_type"))
        if speed != 1 and self.kind != VITS:
            raise UsageError(
                f"--speed: a model of the kind {self.kind} has no speed that could be changed; leave it out."
            )
        self._voices = _voices(Path(origin.path).name, self.kind, config, named)
        self._patterns = () if self.kind in (SPEECHT5, BARK) else tuple(named)
        self._content = identity(entry_of(origin))
        self._pipeline = _open(origin, device, trust)
        if self.kind == VITS:
            self._pipeline.model.speaking_rate *= speed

    @classmethod
    def open(cls, options: Options) -> Self:
        if not options.model:
            raise UsageError("--engine hf needs a model: give --model with a folder or hub id.")
        origin = locate(options.model)
        refuse_code(origin, options.trust)
        return cls(origin.pinned(), options.voices, options.speed, options.device, options.trust)

    def voices(self, language: str) -> list[str]:
        return wanted(list(self._voices), self._patterns, language)

    def settings(self, voice: str) -> dict[str, Any]:
        vector = digest(Path(str(self._voices[voice]))) if self.kind == SPEECHT5 else None
        return {"model": self._content, "speed": self.speed, "vector": vector}

    def speak(self, lines: Sequence[Line]) -> list[np.ndarray | Unspoken]:
        return [self._spoken(line) for line in lines]

    def _spoken(self, line: Line) -> np.ndarray | Unspoken:
        import torch

        if getattr(self._pipeline.tokenizer, "is_uroman", False) and not line.text.isascii():
            return Unspoken("the model reads Roman letters alone: transcribe the text with uroman.")
        try:
            with torch.random.fork_rng(), torch.inference_mode():
                torch.manual_seed(crc32(f"{line.voice} {line.text}".encode()))
                spoken = self._pipeline(line.text, **self._parameters(line.voice))
        except Exception as error:  # of the tokenizer or the network: another text may fare better
            return Unspoken(f"the model fails on {shortened(line.text)!r} ({reason(error).rstrip('.')}).")
        samples = np.asarray(spoken["audio"], np.float32).reshape(-1)
        return soxr.resample(samples, spoken["sampling_rate"], SAMPLE_RATE, quality="HQ")

    def _parameters(self, voice: str) -> dict[str, Any]:
        """What the pipeline is told of a voice."""
        import torch

        known = self._voices[voice]
        if known is None:
            return {}
        if self.kind == SPEECHT5:
            return {"forward_params": {"speaker_embeddings": torch.from_numpy(_vector(Path(str(known))))}}
        if self.kind == BARK:
            return {"preprocess_params": {"voice_preset": known}}
        return {"forward_params": {"speaker_id": known}}


def _voices(name: str, kind: str, config: dict[str, Any], named: Sequence[str]) -> dict[str, str | int | None]:
    """What each voice is known by to the model."""
    if kind == SPEECHT5:
        if not named:
            raise UsageError("SpeechT5 needs voices: give --voices with .npy files, each an x-vector of a speaker.")
        for file in named:
            _vector(Path(file))
        return {Path(file).stem: file for file in named}
    if kind == BARK and named:
        return {preset: preset for preset in named}
    speakers = config.get("num_speakers") or 1
    return {f"{name}#{n}": n for n in range(speakers)} if speakers > 1 else {name: None}


def _vector(file: Path) -> np.ndarray:
    """(1, D) float32."""
    try:
        vector = np.load(file, allow_pickle=False).astype(np.float32)
    except (OSError, ValueError) as error:
        raise UsageError(f"{file} cannot be read as an x-vector: {reason(error)}.") from error
    return vector.reshape(1, -1)


def _open(origin: Origin, device: str | None, trust: bool) -> Any:
    import torch
    from transformers import pipeline

    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    revision = {} if origin.local else {"revision": origin.revision}
    try:
        return pipeline("text-to-speech", origin.path, device=device, trust_remote_code=trust, **revision)
    except WavLLMError:
        raise
    except Exception as error:  # of two libraries, whose kinds of error are many
        raise WavLLMError(f"{origin} cannot be loaded as a model that speaks: {reason(error).rstrip('.')}.") from error


def _required(file: Path | None) -> Path:
    assert file is not None
    return file
