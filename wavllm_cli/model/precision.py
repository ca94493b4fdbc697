"""In which precision a clip is encoded and an instruction is read: the same in training as in inference."""

from contextlib import AbstractContextManager, nullcontext

import torch

HALF = (torch.float16, torch.bfloat16)


def half_precision(device: torch.device, dtype: torch.dtype) -> AbstractContextManager:
    """Autocast for a model whose LLM is held in `dtype`, unless the caller runs it under autocast already.

    A half-precision stage trains under autocast: products in half precision; on a GPU norms, and with them WavLM's
    whole residual stream, in float32. A model that is loaded in half precision would compute all of it in half
    without this, and hear other features than its adapters were trained on.
    """
    if dtype not in HALF or torch.is_autocast_enabled(device.type):
        return nullcontext()
    return torch.autocast(device.type, dtype)
