"""What happens at each step of decoding besides the network's own work.

Every row draws its tokens from a generator of its own, so that a sampled answer depends neither on the rows beside it
nor on their order. Logits that are no numbers end the row that they belong to and are noted, never drawn from.
"""

import hashlib
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from transformers import GenerationConfig, LogitsProcessorList, PreTrainedModel
from transformers.generation import LogitsProcessor
from transformers.generation.streamers import BaseStreamer


def row_seed(seed: int, row_id: str) -> int:
    """The seed of one row's draws: 63 bits that depend on both and nothing else."""
    content = f"{seed} {row_id}".encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.sha256(content).digest()[:8]) >> 1


class FirstLook(LogitsProcessor):
    """Sees the network's logits before anything else: notes rows that are not finite and makes them harmless.

    Attributes:
        broken: (rows,) bool, whether any step of a row had logits that are not finite; None before the first step.
        logits: (rows, V) of the newest step.
    """

    def __init__(self) -> None:
        self.broken: Tensor | None = None
        self.logits: Tensor | None = None

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        broken = ~scores.amax(dim=-1).isfinite()  # NaN, inf, or nothing but -inf
        self.broken = broken if self.broken is None else self.broken | broken
        self.logits = scores.masked_fill(self.broken[:, None], 0.0)
        return self.logits


class Choice(LogitsProcessor):
    """Chooses each row's token after all other processors, by leaving no other to choose.

    Args:
        look: the first look of the same steps.
        generators: one a row, to draw from the distribution; None takes the most probable token.
        eos: what ends a row that is broken.
        logprobs: keep the network's own log-probability of each token chosen.
    """

    def __init__(self, look: FirstLook, generators: list[torch.Generator] | None, eos: int | None, logprobs: bool):
        self.look, self.generators, self.eos = look, generators, eos
        self.logprobs: list[Tensor] | None = [] if logprobs else None

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        assert self.look.broken is not None and self.look.logits is not None
        tokens = self._draw(scores, self.generators) if self.generators else scores.argmax(dim=-1)
        if self.eos is not None:
            tokens = tokens.masked_fill(self.look.broken, self.eos)
        if self.logprobs is not None:
            self.logprobs.append(self.look.logits.log_softmax(dim=-1).gather(1, tokens[:, None])[:, 0])
        return torch.full_like(scores, -torch.inf).scatter(1, tokens[:, None], 0.0)

    @staticmethod
    def _draw(scores: Tensor, generators: list[torch.Generator]) -> Tensor:
        """(B, V) scores -> (B,) tokens, where one number in [0, 1) a row falls among the cumulative probabilities."""
        cumulative = scores.softmax(dim=-1, dtype=torch.float64).cumsum(dim=-1)
        numbers = torch.cat([torch.rand(1, dtype=torch.float64, generator=generator) for generator in generators])
        points = numbers.to(scores.device)[:, None] * cumulative[:, -1:]
        return torch.searchsorted(cumulative, points, right=True)[:, 0].clamp(max=scores.shape[1] - 1)


class Steps:
    """One call of `generate`, to be given to it as `custom_generate=Steps(…).decode`.

    Args:
        seeds: one for each row of the batch, see `row_seed`.
        eos: an end-of-sequence token, if the model has one.
        logprobs: keep the log-probability of each token chosen (not with beams, whose tokens are chosen later).
        streamer: receives each token of a single row as it is chosen (not with beams); `generate` itself would not
            hand one on to a `custom_generate`.
    """

    def __init__(
        self,
        seeds: Sequence[int],
        eos: int | None = None,
        logprobs: bool = False,
        streamer: BaseStreamer | None = None,
    ):
        self.seeds, self.eos, self.wants_logprobs, self.streamer = seeds, eos, logprobs, streamer
        self.look = FirstLook()
        self.choice: Choice | None = None

    def decode(
        self,
        model: PreTrainedModel,
        input_ids: Tensor,
        logits_processor: LogitsProcessorList,
        stopping_criteria: Any,
        generation_config: GenerationConfig,
        **kwargs: Any,
    ) -> Any:
        """As transformers calls a method of decoding, all processors prepared."""
        arguments = {"stopping_criteria": stopping_criteria, "generation_config": generation_config, **kwargs}
        processors = [self.look, *logits_processor]
        if (generation_config.num_beams or 1) > 1:
            if generation_config.do_sample:
                assert len(self.seeds) == 1, "sampled beams are drawn together: give their rows one by one"
                torch.manual_seed(self.seeds[0])
            return type(model)._beam_search(model, input_ids, LogitsProcessorList(processors), **arguments)
        generators = [torch.Generator().manual_seed(seed) for seed in self.seeds]
        self.choice = Choice(
            self.look, generators if generation_config.do_sample else None, self.eos, self.wants_logprobs
        )
        generation_config.do_sample = False  # nothing is left to draw
        processors.append(self.choice)
        return type(model)._sample(
            model, input_ids, LogitsProcessorList(processors), streamer=self.streamer, **arguments
        )

    def broken(self) -> list[bool]:
        """For each row of the batch, whether the network's output was not finite at some step."""
        assert self.look.broken is not None
        return self.look.broken.view(len(self.seeds), -1).any(dim=1).tolist()

    def logprobs(self) -> Tensor:
        """(B, new) log-probabilities (natural) of the tokens chosen."""
        assert self.choice is not None and self.choice.logprobs is not None
        return torch.stack(self.choice.logprobs, dim=1)
