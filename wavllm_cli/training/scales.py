"""What becomes of the prompt adapter's channels: at either end of their range they learn nothing any more."""

import torch
from torch import Tensor, nn

from wavllm_cli.model.prompt_lora import PromptAdapter


class Scales:
    """Looks at every scale that a prompt adapter emits; at none where there is no adapter."""

    def __init__(self, adapter: PromptAdapter | None):
        self._seen: list[Tensor] = []
        if adapter is not None:
            adapter.register_forward_hook(self._look)

    def _look(self, adapter: nn.Module, _: tuple, scale: Tensor) -> None:
        ends = torch.stack([scale == 0, scale == adapter.maximum])
        self._seen.append(ends.float().flatten(1).mean(1))

    def shares(self) -> dict[str, float]:
        """The shares of dead (0) and clipped channels since the last call, if anything was emitted."""
        seen, self._seen = self._seen, []
        if not seen:
            return {}
        dead, clipped = torch.stack(seen).mean(0).tolist()
        return {"scale_dead": dead, "scale_clipped": clipped}
