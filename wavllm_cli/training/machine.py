"""What this machine has: the memory that a model is trained in."""

import os
from pathlib import Path

import torch

CGROUP_LIMIT = Path("/sys/fs/cgroup/memory.max")  # of a container; "max" where there is none


def memory() -> tuple[int, str]:
    """Bytes of the memory that a process trains in, and what that is: the GPU's, or without one the machine's."""
    if torch.cuda.is_available():
        device = torch.cuda.get_device_properties(0)
        return device.total_memory, f"the {device.name} here"
    installed = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return min(installed, _limit() or installed), "this machine"


def _limit() -> int | None:
    try:
        return int(CGROUP_LIMIT.read_text())
    except (OSError, ValueError):
        return None
