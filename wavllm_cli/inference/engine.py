"""A loaded model that answers: one clip, or a batch of them."""

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from transformers import GenerationConfig

from wavllm_cli.errors import UsageError, WavLLMError
from wavllm_cli.inference.decoding import Decoding
from wavllm_cli.inference.steps import Steps, row_seed
from wavllm_cli.model import limits
from wavllm_cli.model.load import load_model

NOT_FINITE = "the network's output is not a number (NaN or infinite)"


@dataclass(frozen=True)
class Generated:
    """One answer; on request its token ids, EOS included, and the model's log-probability (natural) of each.

    The log-probabilities are those of the network itself, whatever temperature and exclusions it was sampled with.
    """

    text: str
    token_ids: list[int] | None = None
    logprobs: list[float] | None = None
    warnings: list[str] | None = None  # such as that the answer was cut at its greatest length


class Engine:
    """A loaded model, ready to answer.

    Args:
        source: checkpoint folder or hub id.
        device, dtype: by default a GPU in bfloat16 where there is one, else the CPU in float32.
        trust: run code that the model's files bring along.

    Raises:
        UsageError: there is no such model or device, or the model cannot decode so.
        WavLLMError: the model's files are damaged.
    """

    def __init__(
        self,
        source: str,
        device: str | None = None,
        dtype: str | None = None,
        decoding: Decoding | None = None,
        trust: bool = False,
    ):
        self.device = usable_device(device or usual_device())
        self.dtype = usual_dtype(self.device, dtype)
        self.decoding = decoding or Decoding()
        self.source = source
        model, self.processor = load_model(source, self.dtype, trust)
        try:
            self.model = model.to(self.device)
        except RuntimeError as error:
            raise UsageError(f"The model cannot be moved to device {self.device!r}: {error}") from error

        self._require_positions()

    @property
    def generation(self) -> GenerationConfig:
        """The model's generation settings with the command's changes."""
        config = deepcopy(self.model.generation_config)
        config.update(**self.decoding.options())
        return config

    @property
    def one_by_one(self) -> bool:
        """Whether rows cannot share a batch: sampled beams are drawn together."""
        return bool(self.generation.do_sample) and (self.generation.num_beams or 1) > 1

    def answer(self, samples: np.ndarray | None, prompt: str, row_id: str = "") -> Generated:
        """The answer to one instruction about one clip, (samples,) float32 at 16 kHz or None for text alone.

        Raises:
            UsageError: the instruction is beyond the model's vocabulary.
            WavLLMError: clip or instruction are too long for the model or the memory, or the network's output is not a
                number.
        """
        length = 0 if samples is None else len(samples)
        if problem := self.position_problem(length, prompt) or self.memory_problem(length):
            raise WavLLMError(f"There is no answer: {problem}.")
        (answer,) = self.generate(self.processor(text=[prompt], audio=[samples]), [row_id])
        if answer is None:
            raise WavLLMError(f"There is no answer: {NOT_FINITE}.")
        return answer

    @torch.inference_mode()
    def generate(self, inputs: Any, ids: Sequence[str]) -> list[Generated | None]:
        """The answers to a batch of the processor's, whose rows have these ids; None where the output was no number.

        A row's answer does not depend on the others, but for rounding.
        """
        self._require_known(inputs["input_ids"])
        self._require_known(inputs["prompt_ids"])
        inputs = inputs.to(self.device)
        beams = (self.generation.num_beams or 1) > 1
        wanted = self.decoding.logprobs
        ends = self._ends()
        steps = Steps([row_seed(self.decoding.seed, i) for i in ids], next(iter(ends), None), wanted)
        output = self.model.generate(
            **inputs,
            **self.decoding.options(),
            custom_generate=steps.decode,
            return_dict_in_generate=True,
            output_logits=wanted and beams,
        )
        logprobs = self._beam_logprobs(output) if wanted and beams else steps.logprobs() if wanted else None
        texts = self.processor.answers(output.sequences, inputs)
        new = output.sequences[:, inputs["input_ids"].shape[1] :].tolist()
        answers: list[Generated | None] = []
        for row, (text, tokens) in enumerate(zip(texts, new, strict=True)):
            length = next((n for n, token in enumerate(tokens, 1) if token in ends), None)
            warnings = None if length else [f"cut at {len(tokens)} tokens"]
            if logprobs is None:
                answers.append(Generated(text, warnings=warnings))
            else:
                scores = logprobs[row, :length].tolist()
                answers.append(Generated(text, tokens[:length], scores, warnings))
        return [None if broken else answer for answer, broken in zip(answers, steps.broken(), strict=True)]

    # --- what fits ---

    def position_problem(self, samples: int, prompt: str) -> str | None:
        """Why the LLM has no room for a clip, its instruction and an answer, as a sentence; None if it has."""
        text = len(self.processor.encode(prompt, bool(samples))[0]) - bool(samples)
        return limits.position_problem(self.model.config, samples, text, self._new_tokens())

    def memory_problem(self, samples: int) -> str | None:
        """Why a clip cannot be encoded in the memory that is free now, as a sentence; None if it can."""
        return limits.memory_problem(self.model.config, samples, self.dtype, limits.available_memory(self.device))

    def fits(self, samples: int, clips: int) -> bool:
        """Whether so many clips, the longest of so many samples, can be encoded together in the memory free now."""
        needed = limits.encoding_memory(self.model.config, samples, self.dtype, clips)
        return needed <= limits.available_memory(self.device)

    def _new_tokens(self) -> int:
        return self.generation.max_new_tokens or 1

    def _require_positions(self) -> None:
        most, new = limits.positions(self.model.config), self._new_tokens()
        if most is not None and new >= most:
            raise UsageError(f"An answer of {new:,} tokens has no room: the language model has {most:,} positions.")

    # --- answers ---

    def _beam_logprobs(self, output: Any) -> torch.Tensor:
        return self.model.compute_transition_scores(
            output.sequences, output.logits, output.beam_indices, normalize_logits=True
        )

    def _ends(self) -> list[int]:
        ends = self.model.generation_config.eos_token_id
        return ends if isinstance(ends, list) else [] if ends is None else [ends]

    def _require_known(self, ids: torch.Tensor) -> None:
        """A token that the LLM cannot embed would end in a crash deep inside it."""
        vocabulary = self.model.get_input_embeddings().num_embeddings
        foreign = ids[(ids >= vocabulary) & (ids != self.model.config.audio_token_id)]
        if len(foreign):
            raise UsageError(
                f"An instruction needs token {int(foreign[0])}, but the model {self.source} embeds {vocabulary}: "
                "its tokenizer was made for another LLM."
            )


def usual_device() -> str:
    return "cuda" if torch.cuda.is_available() else "cpu"


def usual_dtype(device: str, name: str | None = None) -> torch.dtype:
    """The dtype of this name; without one bfloat16 on a GPU, else float32."""
    return getattr(torch, name or ("bfloat16" if device.startswith("cuda") else "float32"))


def usable_device(name: str) -> str:
    """A device's name, if it is one that can hold a model.

    Raises:
        UsageError: torch knows no such device, or nothing can be computed on it.
    """
    try:
        device = torch.device(name)
        if device.type == "meta":
            raise UsageError("Device 'meta' holds no numbers: give cpu, cuda, or another device that computes.")
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:  # each build has its own for a device it lacks
        raise UsageError(f"Device {name!r} cannot be used: {str(error).splitlines()[0]}") from error
    return name
