"""A batch answered by one call of `generate`, whatever the network: each row by its own draws, each with its warnings.

A row's answer does not depend on the others, but for rounding.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedModel, StoppingCriteriaList
from transformers.generation.streamers import BaseStreamer

from wavllm_cli.systems.base import CUT, Answer, Failure
from wavllm_cli.systems.decoding import Decoding
from wavllm_cli.systems.loops import Loops
from wavllm_cli.systems.steps import Steps, row_seed

NOT_FINITE = Failure("the network's output is not a number (NaN or infinite).")


@torch.no_grad()  # not inference mode: a model in training would keep what it caches
def generated(
    model: PreTrainedModel,
    inputs: Mapping[str, Any],
    ids: Sequence[str],
    decoding: Decoding,
    texts: Callable[[Tensor], list[str]],
    streamer: BaseStreamer | None = None,
) -> list[Answer | Failure]:
    """One answer a row; of one that goes round in circles the first round, where there are no beams.

    Args:
        model: decoder-only; what it writes follows the prompts.
        inputs: keywords of its `generate`, on its device; `input_ids` are (B, L), padded on the left.
        ids: of the rows' items.
        texts: (B, L + new) ids -> the B texts that are new.
        streamer: receives each token of a single row, where there are no beams.
    """
    settings = model.generation_config
    options = decoding.options()
    beams = (options.get("num_beams") or settings.num_beams or 1) > 1
    wanted = decoding.logprobs
    ends = end_tokens(model)
    length = inputs["input_ids"].shape[1]
    eos = next(iter(ends), None)
    fill = eos if settings.pad_token_id is None else settings.pad_token_id
    loops = Loops(length, [*ends, fill])
    steps = Steps([row_seed(decoding.seed, i) for i in ids], eos, wanted, streamer)
    output = model.generate(
        **inputs,
        **options,
        custom_generate=steps.decode,
        stopping_criteria=StoppingCriteriaList([] if beams or fill is None else [loops]),
        return_dict_in_generate=True,
        output_logits=wanted and beams,
    )
    logprobs = _beam_logprobs(model, output) if wanted and beams else steps.logprobs() if wanted else None
    for row, kept in loops.kept.items():
        output.sequences[row, length + kept :] = fill
    new = output.sequences[:, length:].tolist()
    answers: list[Answer | Failure] = []
    for row, (text, tokens) in enumerate(zip(texts(output.sequences), new, strict=True)):
        looped = loops.kept.get(row)
        end = looped or next((n for n, token in enumerate(tokens, 1) if token in ends), None)
        cut = f"{looped} tokens, which it only repeats" if looped else f"{len(tokens)} tokens"
        warnings = None if end and not looped else [f"{CUT} {cut}"]
        if logprobs is None:
            answers.append(Answer(text, warnings=warnings))
        else:
            answers.append(Answer(text, tokens[:end], logprobs[row, :end].tolist(), warnings=warnings))
    return [NOT_FINITE if broken else answer for answer, broken in zip(answers, steps.broken(), strict=True)]


def end_tokens(model: PreTrainedModel) -> list[int]:
    """The tokens that end an answer."""
    ends = model.generation_config.eos_token_id
    return ends if isinstance(ends, list) else [] if ends is None else [ends]


def _beam_logprobs(model: PreTrainedModel, output: Any) -> Tensor:
    return model.compute_transition_scores(output.sequences, output.logits, output.beam_indices, normalize_logits=True)
