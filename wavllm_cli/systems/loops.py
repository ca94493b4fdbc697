"""The end of an answer that goes round in circles, as those of small models do up to their greatest length."""

from typing import Any

import torch
from torch import Tensor
from transformers import StoppingCriteria

TAIL = 96  # tokens; where they are one stretch, again and again …
LONGEST = TAIL // 3  # … which stands there three times at least, nothing new comes


class Loops(StoppingCriteria):
    """Ends the rows of one call of `generate` that repeat themselves (not with beams, whose rows change places).

    Args:
        prompt: positions of the prompt.
        ends: tokens that end a row, and the one that fills it up.

    Attributes:
        ended: new tokens of each row that it has ended, by the row.
    """

    def __init__(self, prompt: int, ends: list[int | None]):
        self.prompt, self.ends = prompt, ends
        self.ended: dict[int, int] = {}

    def __call__(self, input_ids: Tensor, scores: Any, **kwargs: Any) -> Tensor:
        """(B, L) -> (B,) bool"""
        new = input_ids.shape[1] - self.prompt
        repeats = torch.zeros(len(input_ids), dtype=torch.bool, device=input_ids.device)
        if new < TAIL:
            return repeats
        tail = input_ids[:, -TAIL:]
        for period in range(1, LONGEST + 1):
            repeats |= (tail[:, period:] == tail[:, :-period]).all(dim=1)
        for row in repeats.nonzero()[:, 0].tolist():
            if row not in self.ended and not set(tail[row].tolist()) & set(self.ends):
                self.ended[row] = new
        return repeats
