"""What the batches of a stage ask of the language model: how like each other they are, and how much of them is padding.

Known before anything is trained, from the manifests and the tokenizer.
"""

from dataclasses import dataclass

import numpy as np

from wavllm_cli.data.mixture import Curriculum
from wavllm_cli.model.processing_wavllm import WavLLMProcessor
from wavllm_cli.recipe import Recipe, Stage
from wavllm_cli.training.dataset import Utterances
from wavllm_cli.training.survey import surveyed
from wavllm_cli.training.tokens import tokens_of


@dataclass(frozen=True)
class Batches:
    """Of one epoch of a stage's mixture, clips at their own speed.

    Attributes:
        fewest, most: tokens of a batch, padding included.
        padding: share of all tokens that nobody wrote or said.
        per_step: batches that a step learns from.
        balance: the work of a step that as many cards share, over what they have time for until the last is done.
    """

    fewest: int
    most: int
    padding: float
    per_step: int
    balance: float

    def cells(self) -> dict[str, str]:
        """The figures as they are shown, by their names."""
        cards = f"{self.per_step} {'card' if self.per_step == 1 else 'cards'}"
        return {
            "tokens per batch": f"{self.fewest:,} to {self.most:,}",
            "padding": f"{self.padding:.1%}",
            "balance": f"{self.balance:.1%} over {cards}",
        }


def batches_of(recipe: Recipe, stage: Stage, processor: WavLLMProcessor) -> Batches | None:
    """The batches of the mixture, of rows whose durations the manifests say; None where one says none.

    Raises:
        ManifestError: a manifest cannot be read.
    """
    manifests = [_measured(recipe, name, stage) for name in stage.manifests]
    if not all(len(m.clips) for m in manifests):
        return None
    tokens = tokens_of(manifests, processor)
    plan = Curriculum(stage, [m.seconds for m in manifests], recipe.seed, tokens=tokens).plans[-1]
    batches = [np.array(batch) for batch in plan.epoch(0)]
    lengths = [plan.lengths(batch) for batch in batches]
    costs = np.array([len(each) * each.max() for each in lengths])
    per_step = stage.batch.accumulate
    steps = costs[: max(1, len(costs) // per_step) * per_step]
    slowest = np.maximum.reduceat(steps, np.arange(0, len(steps), per_step))
    return Batches(
        fewest=int(costs.min()),
        most=int(costs.max()),
        padding=float(1 - sum(each.sum() for each in lengths) / costs.sum()),
        per_step=per_step,
        balance=float(steps.sum() / (slowest.sum() * per_step)),
    )


def _measured(recipe: Recipe, name: str, stage: Stage) -> Utterances:
    found = surveyed(recipe.manifest(name))
    usable = found.usable(found.unusable(stage.max_audio_seconds))
    known = usable[~np.isnan(found.seconds[usable])]
    return Utterances(found.clips.only(known), found.seconds[known], found.text_bytes[known])
