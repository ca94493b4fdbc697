"""What systems share that torch computes: their device and dtype, and how its errors are to be read."""

from copy import deepcopy
from dataclasses import replace
from typing import Any

import torch
from transformers import GenerationConfig, PreTrainedModel

from wavllm_cli.data.packing import Limits
from wavllm_cli.errors import UsageError, reason
from wavllm_cli.systems.base import Options, System, SystemFailed
from wavllm_cli.systems.decoding import Decoding
from wavllm_cli.systems.fingerprint import settings_of

OUT_OF_MEMORY = ("allocate memory", "not enough memory", "out of memory")  # the CPU's allocator has no class for it


class TorchSystem(System):
    """A system on a device of torch: by default a GPU in bfloat16 where there is one, else the CPU in float32.

    Raises:
        UsageError: there is no such device.
    """

    def __init__(self, name: str, options: Options):
        self.name, self.options = name, options
        self.device = usable_device(options.device or usual_device())
        self.dtype = usual_dtype(self.device, options.dtype)

    def is_out_of_memory(self, error: Exception) -> bool:
        if isinstance(error, MemoryError | torch.OutOfMemoryError):
            return True
        return isinstance(error, RuntimeError) and any(words in str(error) for words in OUT_OF_MEMORY)

    def own_failure(self, error: Exception) -> SystemFailed | None:
        if isinstance(error, torch.AcceleratorError):
            return SystemFailed(f"Device {self.device} has failed: {reason(error).rstrip('.')}.")
        return super().own_failure(error)

    def release(self) -> None:
        super().release()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()


class GeneratingSystem(TorchSystem):
    """One network that answers by its `generate`.

    Attributes:
        model: on its device; read when it is first asked for.
        decoding: what is changed of its own generation settings.
    """

    model: PreTrainedModel
    decoding: Decoding

    def load(self) -> None:
        _ = self.model

    @property
    def generation(self) -> GenerationConfig:
        """The model's generation settings with the command's changes."""
        config = deepcopy(self.model.generation_config)
        config.update(**self.decoding.options())
        return config

    def settings(self) -> dict[str, Any]:
        """All that answers depend on besides the content of the model, for a fingerprint."""
        where = {"dtype": str(self.dtype).removeprefix("torch."), "device": self.device.split(":")[0]}
        return settings_of(self.generation, self.decoding.seed, logprobs=self.decoding.logprobs, **where)

    def batch_limits(self, utterances: int) -> Limits:
        """As asked for; sampled beams are drawn together, their rows cannot share a batch."""
        drawn_beams = bool(self.generation.do_sample) and (self.generation.num_beams or 1) > 1
        allowed = super().batch_limits(utterances)
        return replace(allowed, max_utterances=1) if drawn_beams else allowed


def usual_device() -> str:
    return "cuda" if torch.cuda.is_available() else "cpu"


def usual_dtype(device: str, name: str | None = None) -> torch.dtype:
    """The dtype of this name; without one bfloat16 on a GPU, else float32."""
    return getattr(torch, name or ("bfloat16" if device.startswith("cuda") else "float32"))


def usable_device(name: str) -> str:
    """A device's name, if it is one that can hold a model.

    Raises:
        UsageError: torch knows no such device, or nothing can be computed on it.
    """
    try:
        device = torch.device(name)
        if device.type == "meta":
            raise UsageError("Device 'meta' holds no numbers: give cpu, cuda, or another device that computes.")
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:  # each build has its own for a device it lacks
        raise UsageError(f"Device {name!r} cannot be used: {str(error).splitlines()[0]}") from error
    return name
