"""What a model is trained in: the memory of the GPU, or of the machine."""

import torch

from wavllm_cli.data.memory import installed_memory


def memory() -> tuple[int, str]:
    """Bytes of the memory that a process trains in, and what that is: the GPU's, or without one the machine's."""
    if torch.cuda.is_available():
        device = torch.cuda.get_device_properties(0)
        return device.total_memory, f"the {device.name} here"
    return installed_memory(), "this machine"
