"""A batch on its device, and what its rows come to by task."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import torch
from torch import Tensor

from wavllm_cli.data.batch import Batch
from wavllm_cli.model.processing_wavllm import IGNORE
from wavllm_cli.tasks.registry import TASKS

CODES = tuple(TASKS)


@dataclass(frozen=True)
class Prepared:
    """What an objective needs of a batch.

    Attributes:
        inputs: the model's; None if no clip of the batch can be used.
        transcribes: (B,) is the answer the transcript of the clip?
        tasks: (B,) places in `CODES`.
        tokens: (B,) of the answers.
    """

    inputs: Any
    transcribes: Tensor
    tasks: Tensor
    tokens: Tensor

    @classmethod
    def of(cls, batch: Batch, device: torch.device) -> Self:
        inputs = None if batch.inputs is None else batch.inputs.to(device)
        rows = [] if inputs is None else batch.rows
        return cls(
            inputs,
            torch.tensor([row.is_transcribed for row in rows], dtype=torch.bool, device=device),
            torch.tensor([CODES.index(row.task) for row in rows], dtype=torch.long, device=device),
            torch.zeros(0, device=device) if inputs is None else (inputs["labels"] != IGNORE).sum(1).float(),
        )

    def summed(self, values: Tensor) -> Tensor:
        """(B,) -> (tasks,)."""
        return torch.zeros(len(CODES), device=values.device).index_add_(0, self.tasks, values.float())


def weights_of(named: Mapping[str, float], device: torch.device) -> Tensor:
    """(tasks,) how much an answer token of each counts."""
    return torch.tensor([named.get(code, 1.0) for code in CODES], device=device)


def means(sums: Tensor, tokens: Tensor) -> dict[str, float]:
    """The mean over tokens for each task that has any; both are (tasks,)."""
    pairs = zip(CODES, sums.tolist(), tokens.tolist(), strict=True)
    return {code: total / count for code, total, count in pairs if count}
