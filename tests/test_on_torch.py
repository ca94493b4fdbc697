"""What systems on torch share: devices that are none, and whose fault an error is."""

import pytest
import torch

from wavllm_cli.errors import UsageError
from wavllm_cli.systems.on_torch import usable_device


@pytest.mark.parametrize("name", ["meta", "gpu", "cuda:99", "", "cpu:x"])
def test_devices_that_compute_nothing_are_refused(name):
    with pytest.raises(UsageError, match=r"holds no numbers|cannot be used"):
        usable_device(name)


def test_whose_fault_an_error_is(system):
    allocator = RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 320 bytes.")
    for error in (allocator, torch.OutOfMemoryError("CUDA out of memory."), MemoryError()):
        assert system.is_out_of_memory(error) and not system.own_failure(error)
    broken = torch.AcceleratorError("CUDA error: unspecified launch failure")
    assert not system.is_out_of_memory(broken)
    assert str(system.own_failure(broken)) == "Device cpu has failed: CUDA error: unspecified launch failure."
    other = RuntimeError("shape '[1]' is invalid")
    assert not system.is_out_of_memory(other) and not system.own_failure(other)
