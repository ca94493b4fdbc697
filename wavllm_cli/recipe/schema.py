"""A recipe is a whole experiment in one YAML file: model, data, both training stages.

The pydantic models below *are* the format; what stands in quotes under a key is its meaning in docs/recipes.md. Every
key is checked, a missing one has no silent default unless its absence means something, and presence is the switch: a
stage has a prompt adapter because it has a `prompt_adapter` section. The recipe as resolved is saved with every run and
is itself a valid recipe.
"""

from collections import Counter
from collections.abc import Hashable, Iterable, Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, PrivateAttr, model_validator

from wavllm_cli.recipe.augmentation import Augmentation
from wavllm_cli.recipe.network import HEARING, Model, ParameterGroup, PromptAdapter
from wavllm_cli.recipe.ranges import (
    MAX_ACCUMULATE,
    MAX_BEAMS,
    MAX_NAME,
    MAX_NEW_TOKENS,
    MAX_RATE,
    MAX_SAMPLES,
    MAX_STAGES,
    MAX_STEPS,
    MAX_TEMPERATURE,
    MAX_TOKENS,
    MAX_UTTERANCES,
    MAX_WORKERS,
    MIN_TEMPERATURE,
    Amount,
    Count,
    Real,
    Seconds,
    Steps,
    Text,
    Weight,
    Whole,
    at_most,
)
from wavllm_cli.recipe.section import Section
from wavllm_cli.tasks.registry import TASKS, nearest_task


def _known_task(code: str) -> str:
    if code not in TASKS:
        meant = nearest_task(code, TASKS)
        raise ValueError(f"there is no task {code!r}{f' (did you mean {meant}?)' if meant else ''}")
    return code


TaskCode = Annotated[str, AfterValidator(_known_task)]


def _repeated(items: Iterable[Hashable]) -> list[Hashable]:
    return [item for item, count in Counter(items).items() if count > 1]


# --- the stages ---


class Source(Section):
    """One manifest of the mixture; an utterance is drawn from it `weight` / (sum of weights) of the time."""

    manifest: Text
    """Its name; a relative one lies in `data`."""
    weight: Weight
    """Relative to the others' in the mixture."""


def _each_once(mixture: tuple[Source, ...]) -> tuple[Source, ...]:
    if repeated := _repeated(source.manifest for source in mixture):
        raise ValueError(f"{repeated[0]} occurs twice: name it once, with the sum of its weights")
    return mixture


Mixture = Annotated[tuple[Source, ...], Field(min_length=1), AfterValidator(_each_once)]


Minimised = Literal["answers", "alignment"]


class Phase(Section):
    """A beginning of a stage that draws from a mixture of its own: text before speech, short before long.

    `alignment` minimises CTC alone: the speech tokens of asr rows learn to stand for their words by the language
    model's own head, and its layers, the dearest part of a step, are not run at all.
    """

    steps: Steps
    """How long it lasts."""
    mixture: Mixture
    """What it draws from."""
    objective: Minimised = "answers"
    """What is minimised: the loss of the answers, as in the rest of the stage, or CTC alone."""


class Batch(Section):
    """A batch is full at any limit; padding counts towards the seconds and the tokens.

    Seconds are what the encoders hear. Tokens are what the language model reads, of speech and of text: with
    `max_tokens` rows are alike in them within a batch, and so are the batches of a step, so that no card waits long
    for another. Without it rows are alike in seconds, and text counts for nothing.

    A step learns from `accumulate` batches, over all processes together: a recipe means the same on one card and on
    eight, which share its batches. Give it as many as there are cards, or a multiple.
    """

    max_seconds: Seconds
    """Audio in a batch, padding included."""
    max_tokens: Annotated[Count, at_most(MAX_TOKENS, "more than any device holds at once")] | None = None
    """Speech, template, instruction and answer in a batch, padding included."""
    max_utterances: Annotated[Count, at_most(MAX_UTTERANCES, "more than any device holds at once")]
    """Rows in a batch."""
    accumulate: Annotated[Count, at_most(MAX_ACCUMULATE, "since a step reads all of its batches first")] = 1
    """Batches that a step learns from, over all processes together."""


Rate = Annotated[Amount, at_most(MAX_RATE, "since AdamW moves every weight by about the rate")]


class Optimizer(Section):
    """AdamW; the rate rises linearly over `warmup_steps`, then falls to zero along the schedule."""

    learning_rate: Rate
    """The highest."""
    group_rates: dict[ParameterGroup, Rate] = Field(default={})
    """The highest of single groups, in the place of `learning_rate`: a prompt adapter takes less than adapters do."""
    warmup_steps: Annotated[Whole, Field(ge=0), at_most(MAX_STEPS, "months at ten steps a second")]
    """In which the rate rises from zero."""
    schedule: Literal["linear", "cosine", "constant"]
    """How the rate falls afterwards."""
    weight_decay: Annotated[Real, Field(ge=0, le=1)]
    """AdamW's."""
    betas: tuple[Annotated[Real, Field(ge=0, lt=1)], Annotated[Real, Field(ge=0, lt=1)]] = (0.9, 0.98)
    """AdamW's."""
    max_grad_norm: Amount = 1.0
    """Gradients whose norm is greater are scaled down to it."""


class CTC(Section):
    """An auxiliary CTC loss on the speech tokens of asr rows, for encoders that are trained from nothing."""

    weight: Weight
    """Of the CTC loss beside the answers' cross-entropy."""
    blank: Text | None = None
    """The LLM's token, space before it and all, for frames in which no word ends; absent: its beginning of sequence."""


class Validation(Section):
    """Every `every` steps: the loss on the whole manifest, and `samples` decoded answers beside their references."""

    manifest: Text
    """Its name; a relative one lies in `data`."""
    every: Steps
    """Steps between two validations."""
    samples: Annotated[Count, at_most(MAX_SAMPLES, "since they are decoded in one batch")] = 4
    """Answers that are decoded and shown."""


class Stage(Section):
    trainable: Annotated[tuple[ParameterGroup, ...], Field(min_length=1)]
    """The groups of parameters that learn; all others are frozen."""
    prompt_adapter: PromptAdapter | None = None
    """Scales the LoRA by the user's own instruction."""
    mixture: Mixture
    """What is drawn from, after the `curriculum`."""
    curriculum: tuple[Phase, ...] = ()
    """Beginnings with mixtures of their own, one after the other."""
    max_audio_seconds: Seconds
    """Longer clips are left out, and counted; when they are asked about later, it is window by window."""
    augmentation: Augmentation | None = None
    """What is done to clips so that they are never the same twice."""
    encoder_cache: Text | None = None
    """Folder that keeps what frozen encoders make of clips, each heard once; a relative one lies in `data`."""
    steps: Steps
    """How many, the `curriculum` included."""
    batch: Batch
    """How much is heard at once."""
    optimizer: Optimizer
    """How the weights move."""
    task_weights: dict[TaskCode, Weight] = Field(default={})
    """How much the answer tokens of a task count in the loss, 1 where it is not named: one-word answers hardly do."""
    ctc: CTC | None = None
    """A second loss, for encoders that start from nothing; `alignment` needs the section, but not its weight."""
    precision: Literal["fp32", "bf16"]
    """Of the computation."""
    gradient_checkpointing: bool = False
    """Compute twice what does not fit into memory once."""
    validation: Validation | None = None
    """How well it does, now and then."""
    checkpoint_every: Steps
    """Steps between two states from which a stopped run continues."""
    workers: Annotated[Whole, Field(ge=0), at_most(MAX_WORKERS, "each of them a process")] = 0
    """Processes that read audio ahead; 0 reads it in between."""

    @property
    def manifests(self) -> tuple[str, ...]:
        """Every manifest that the stage draws from, once."""
        mixtures = [*(phase.mixture for phase in self.curriculum), self.mixture]
        return tuple(dict.fromkeys(source.manifest for mixture in mixtures for source in mixture))

    def minimises(self, step: int) -> Minimised:
        """What step `step` (from 0) does."""
        for phase in self.curriculum:
            if step < phase.steps:
                return phase.objective
            step -= phase.steps
        return "answers"

    @model_validator(mode="after")
    def _alignment_trains(self) -> "Stage":
        if any(phase.objective == "alignment" for phase in self.curriculum):
            if self.ctc is None:
                raise ValueError("`curriculum` has an alignment, which is by CTC, but the stage has no `ctc` section")
            if not set(HEARING) & set(self.trainable):
                raise ValueError(
                    f"`curriculum` has an alignment, but `trainable` names nothing that hears ({', '.join(HEARING)})"
                )
        return self

    @model_validator(mode="after")
    def _clips_are_encoded_the_same(self) -> "Stage":
        if self.encoder_cache is not None:
            if trained := [group for group in ("semantic_encoder", "acoustic_encoder") if group in self.trainable]:
                raise ValueError(f"`encoder_cache` keeps what frozen encoders make, but `trainable` names {trained[0]}")
            if self.augmentation:
                raise ValueError("`encoder_cache` keeps what is made of clips, but `augmentation` changes them")
        return self

    @model_validator(mode="after")
    def _prompt_adapter_exists(self) -> "Stage":
        if "prompt_adapter" in self.trainable and self.prompt_adapter is None:
            raise ValueError("`trainable` names prompt_adapter, but the stage has no `prompt_adapter` section")
        return self

    @model_validator(mode="after")
    def _rates_of_trained_groups(self) -> "Stage":
        if idle := [group for group in self.optimizer.group_rates if group not in self.trainable]:
            raise ValueError(f"`optimizer.group_rates` names {idle[0]}, which `trainable` does not")
        return self

    @model_validator(mode="after")
    def _groups_once(self) -> "Stage":
        if repeated := _repeated(self.trainable):
            raise ValueError(f"`trainable` names {repeated[0]} twice")
        return self

    def doubts(self) -> Iterator[tuple[tuple[str, ...], str]]:
        """What can be trained, but hardly is what was meant: keys and the rest of a sentence."""
        warmup, phases = self.optimizer.warmup_steps, sum(phase.steps for phase in self.curriculum)
        if warmup >= self.steps:
            yield (
                ("optimizer", "warmup_steps"),
                f"is {warmup}, but the stage has {self.steps} steps: it ends before the learning rate is "
                f"{self.optimizer.learning_rate:g}",
            )
        if phases >= self.steps:
            yield (
                ("curriculum",),
                f"takes {phases} steps, but the stage has {self.steps}: nothing is drawn from its `mixture`",
            )
        if self.max_audio_seconds > self.batch.max_seconds:
            yield (
                ("max_audio_seconds",),
                f"is {self.max_audio_seconds:g}, above batch.max_seconds {self.batch.max_seconds:g}: a longer clip "
                "makes a batch by itself, beyond the limit",
            )


def _greedy_or_warm(temperature: float) -> float:
    if 0 < temperature < MIN_TEMPERATURE:
        raise ValueError(f"it must be 0, which is greedy, or at least {MIN_TEMPERATURE}")
    return temperature


class Generation(Section):
    """Decoding; `temperature` 0 is greedy."""

    max_new_tokens: Annotated[Count, at_most(MAX_NEW_TOKENS, "longer than any answer")] = 512
    """Longest answer."""
    temperature: Annotated[Real, Field(ge=0, le=MAX_TEMPERATURE), AfterValidator(_greedy_or_warm)] = 0.0
    """0 is greedy; else at least 0.01, and the more the more freely is drawn."""
    num_beams: Annotated[Count, at_most(MAX_BEAMS, "since each beam has a copy of the cache")] = 1
    """Answers that are followed at once."""

    def options(self) -> dict[str, Any]:
        """As keywords of transformers' `generate`."""
        return {"max_new_tokens": self.max_new_tokens, "num_beams": self.num_beams, **sampling(self.temperature)}


def sampling(temperature: float) -> dict[str, Any]:
    """A temperature as keywords of transformers' `generate`: drawn from all tokens, not from its default of 50."""
    if temperature > 0:
        return {"do_sample": True, "temperature": temperature, "top_k": 0}
    return {"do_sample": False, "temperature": None, "top_k": None, "top_p": None}


# --- the whole ---

Location = tuple[str | int, ...]


class Places(dict[Location, str]):
    """Where each key was written, as `FILE:LINE` or `--set KEY=VALUE`; no part of what a recipe says."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Places)

    def of(self, location: Location) -> str:
        """The place of a key, or of the nearest section around it; empty where nothing is known."""
        around = (location[:i] for i in range(len(location), -1, -1))
        return next((self[key] for key in around if key in self), "")


class Recipe(Section):
    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=MAX_NAME)]
    """Of the experiment: its folder is `runs/NAME`."""
    seed: Annotated[Whole, Field(ge=0, lt=2**31)]
    """Of everything that is drawn."""
    data: Text
    """Folder of the manifests."""
    model: Model
    """What is trained."""
    stages: Annotated[tuple[Stage, ...], Field(min_length=1, max_length=MAX_STAGES)]
    """How, one after the other."""
    generation: Generation = Generation()
    """How the trained model decodes unless it is told otherwise."""

    _places: Places = PrivateAttr(default_factory=Places)

    def manifest(self, name: str) -> Path:
        """A manifest's path; relative ones lie in the recipe's `data` folder."""
        return Path(self.data) / name

    def key(self, *location: str | int) -> str:
        """A key as the beginning of a sentence about it: `FILE:LINE: model.lora.rank`."""
        place = self._places.of(location)
        return f"{place}: {'.'.join(map(str, location))}" if place else ".".join(map(str, location))

    def doubts(self, number: int | None = None) -> list[str]:
        """A sentence for everything of a stage (from 1), or of all, that hardly is what was meant."""
        return [
            f"{self.key('stages', i, *keys)} {sentence}."
            for i, stage in enumerate(self.stages)
            if number in (None, i + 1)
            for keys, sentence in stage.doubts()
        ]
