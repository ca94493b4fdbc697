"""The end of an answer that goes round in circles, as those of small models do up to their greatest length."""

from collections.abc import Sequence
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
        kept: of each row that it has ended, by the row: how many new tokens there are once each stretch stands once.
    """

    def __init__(self, prompt: int, ends: list[int | None]):
        self.prompt, self.ends = prompt, ends
        self.kept: dict[int, int] = {}

    def __call__(self, input_ids: Tensor, scores: Any, **kwargs: Any) -> Tensor:
        """(B, L) -> (B,) bool"""
        periods = torch.zeros(len(input_ids), dtype=torch.long, device=input_ids.device)
        if input_ids.shape[1] - self.prompt < TAIL:
            return periods.bool()
        tail = input_ids[:, -TAIL:]
        for period in range(LONGEST, 0, -1):  # the shortest one stays
            periods[(tail[:, period:] == tail[:, :-period]).all(dim=1)] = period
        for row in periods.nonzero()[:, 0].tolist():
            if row not in self.kept and not set(tail[row].tolist()) & set(self.ends):
                self.kept[row] = once_around(input_ids[row, self.prompt :].tolist(), int(periods[row]))
        return periods.bool()


def once_around(tokens: Sequence[int], period: int) -> int:
    """How many tokens there are up to the end of the first round of what they end with, a round being `period` long."""
    start = len(tokens) - period
    while start > 0 and tokens[start - 1] == tokens[start - 1 + period]:
        start -= 1
    return start + period
