"""What a recipe will cost, found out before it costs anything: parameters, memory, disk, compute."""

from dataclasses import asdict, dataclass
from typing import Any

from wavllm_cli import console
from wavllm_cli.data.manifest import read_manifest
from wavllm_cli.errors import WavLLMError
from wavllm_cli.model.build import build_config, build_tokenizer, most_tokens
from wavllm_cli.model.configuration_wavllm import BACKBONES
from wavllm_cli.model.trial import blank
from wavllm_cli.recipe import Recipe, Stage
from wavllm_cli.training.groups import count_parameters

BYTES = {"fp32": 4, "bf16": 2}
TRAINED_BYTES = 16  # float32 weight, gradient and Adam's two moments
GIB = 2**30


@dataclass(frozen=True)
class StagePlan:
    """One stage; memory without activations, which depend on the lengths in a batch."""

    stage: int
    trained_parameters: int
    frozen_parameters: int
    weights_gib: float
    training_gib: float
    checkpoint_gib: float
    state_gib: float
    utterances: int | None
    hours: float | None
    updates: int


@dataclass(frozen=True)
class Plan:
    recipe: str
    parameters: dict[str, int]
    stages: list[StagePlan]
    problems: list[str]

    def data(self) -> dict[str, Any]:
        return asdict(self)

    def show(self) -> None:
        if self.parameters:
            rows = [(group, f"{count:,}") for group, count in self.parameters.items()]
            rows.append(("total", f"{sum(self.parameters.values()):,}"))
            console.table(f"{self.recipe}: parameters", ("group", "count"), rows)
        if self.stages:
            names = list(asdict(self.stages[0]))
            lines = [(name.replace("_", " "), *(_cell(asdict(s)[name]) for s in self.stages)) for name in names[1:]]
            console.table("cost (activations not included)", ["", *(f"stage {s.stage}" for s in self.stages)], lines)
        for problem in self.problems:
            console.error(problem)


def check(recipe: Recipe, trust: bool = False) -> Plan:
    """Everything that can be found out without training; problems are collected, not raised."""
    problems: list[str] = []
    stages: list[StagePlan] = []
    counts: dict[str, int] = {}
    try:
        tokenizer = build_tokenizer(recipe.model, (), trust)
        tokens = most_tokens(recipe.model, tokenizer)
        for number, stage in enumerate(recipe.stages, 1):
            config = build_config(recipe, stage.prompt_adapter, tokenizer, tokens, trust)
            counts = count_parameters(blank(recipe, config))
            stages.append(_stage_plan(number, stage, recipe, counts, problems))
    except WavLLMError as error:
        problems += error.args
    return Plan(recipe.name, counts, stages, problems)


def _stage_plan(number: int, stage: Stage, recipe: Recipe, counts: dict[str, int], problems: list[str]) -> StagePlan:
    trained = sum(count for group, count in counts.items() if group in stage.trainable)
    frozen = sum(counts.values()) - trained
    referenced = {part for part in BACKBONES if getattr(recipe.model, part).path and part not in stage.trainable}
    stored = sum(count for group, count in counts.items() if group not in referenced)
    utterances, hours = _data(number, stage, recipe, problems)
    weights = frozen * BYTES[stage.precision] + trained * 4
    return StagePlan(
        stage=number,
        trained_parameters=trained,
        frozen_parameters=frozen,
        weights_gib=weights / GIB,
        training_gib=(frozen * BYTES[stage.precision] + trained * TRAINED_BYTES) / GIB,
        checkpoint_gib=stored * BYTES["fp32"] / GIB,
        state_gib=trained * 12 / GIB,  # weight and Adam's two moments
        utterances=utterances,
        hours=hours,
        updates=stage.steps,
    )


def _data(number: int, stage: Stage, recipe: Recipe, problems: list[str]) -> tuple[int | None, float | None]:
    """Rows and hours of a stage's manifests; None where one cannot be read."""
    rows = []
    complete = True
    names = list(stage.manifests) + ([stage.validation.manifest] if stage.validation else [])
    for i, name in enumerate(names):
        try:
            found = read_manifest(recipe.manifest(name))
        except WavLLMError as error:
            problems.append(f"stage {number}: {error}")
            complete = False
            continue
        rows += found if i < len(stage.manifests) else []
    return (len(rows), sum(r.duration or 0 for r in rows) / 3600) if complete else (None, None)


def _cell(value: float | int | None) -> str:
    if value is None:
        return "?"
    return f"{value:,}" if isinstance(value, int) else f"{value:.2f}"
