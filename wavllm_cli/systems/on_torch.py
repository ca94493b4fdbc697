"""What systems share that torch computes: their device and dtype, and how its errors are to be read."""

import torch

from wavllm_cli.errors import UsageError, reason
from wavllm_cli.systems.base import Options, System, SystemFailed

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
