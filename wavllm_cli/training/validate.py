"""How well a model does on the validation manifest: the loss of all of it, and a few answers to look at."""

from dataclasses import dataclass
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.utils import gather_object

from wavllm_cli import console
from wavllm_cli.data.batch import Batch, Collator
from wavllm_cli.errors import WavLLMError
from wavllm_cli.model.modeling_wavllm import WavLLMForConditionalGeneration
from wavllm_cli.model.processing_wavllm import IGNORE, WavLLMProcessor
from wavllm_cli.recipe import Recipe, Stage, Validation
from wavllm_cli.systems.asking import ask
from wavllm_cli.systems.base import Failure, Item
from wavllm_cli.systems.decoding import Decoding
from wavllm_cli.systems.wavllm import WavLLM
from wavllm_cli.training.dataset import load_utterances, validation_batches
from wavllm_cli.training.encoder_cache import EncoderCache
from wavllm_cli.training.encoding import encode
from wavllm_cli.training.room import Room
from wavllm_cli.training.tokens import packed


@dataclass(frozen=True)
class Loss:
    """The mean loss of an answer token; None where no row could be used. `left_out`: ids whose loss was no number."""

    value: float | None
    left_out: list[str]


class Validator:
    """The validation manifest of a stage, shared by all processes.

    Raises:
        ManifestError, UsageError: the manifest cannot be used.
    """

    def __init__(
        self,
        recipe: Recipe,
        stage: Stage,
        section: Validation,
        processor: WavLLMProcessor,
        room: Room,
        accelerator: Accelerator,
        collator: Collator,
        cache: EncoderCache | None,
    ):
        self.processor, self.accelerator = processor, accelerator
        self.samples = section.samples
        self.decoding = Decoding(max_new_tokens=recipe.generation.max_new_tokens, temperature=0)
        self.utterances = load_utterances(recipe.manifest(section.manifest), stage.max_audio_seconds, room)
        self.collator, self.cache = collator, cache
        self.packed = packed(self.utterances, stage, processor)

    @torch.no_grad()
    def loss(self, model: WavLLMForConditionalGeneration) -> Loss:
        """Of all rows over all processes; batches whose loss is no number are left out and named."""
        model.eval()
        accelerator = self.accelerator
        total = torch.zeros(2, device=accelerator.device, dtype=torch.float64)
        left_out: list[str] = []
        heard = self.utterances.cached(self.cache) if self.cache else self.utterances
        rank, world = accelerator.process_index, accelerator.num_processes
        for batch in validation_batches(heard, self.packed[rank::world], self.collator):
            summed = self._summed(model, batch)
            if torch.isfinite(summed):
                total += torch.stack([summed.double(), (batch.inputs["labels"] != IGNORE).sum().to(total)])
            else:
                left_out += [row.id for row in batch.rows]
        loss, tokens = accelerator.reduce(total).tolist()
        return Loss(loss / tokens if tokens else None, gather_object(left_out))

    def _summed(self, model: WavLLMForConditionalGeneration, batch: Batch) -> torch.Tensor:
        with self.accelerator.autocast():
            if self.cache:
                encode(batch, model, self.cache)
            return model(**batch.inputs.to(self.accelerator.device), num_items_in_batch=1).loss

    def answers(self, model: WavLLMForConditionalGeneration) -> list[dict[str, Any]]:
        """The first rows' ids, references and greedy answers; what has none is named."""
        model.eval()
        system = WavLLM.live("the model in training", model, self.processor, self.decoding)
        rows, items = [], []
        for clip in self.utterances.clips[: self.samples]:
            try:
                samples, _ = clip.load()
            except WavLLMError:
                continue  # the loss has named it
            rows.append(clip.row)
            items.append(Item.of(clip.row, samples))
        with self.accelerator.autocast():
            outcomes = ask(system, items)
        answers = []
        for row, outcome in zip(rows, outcomes, strict=True):
            if isinstance(outcome, Failure):
                console.warn(f"{row.id} has no answer: {outcome.sentence}")
            else:
                answers.append({"id": row.id, "reference": row.target, "hypothesis": outcome.text})
        return answers
