"""What a recipe will cost and what is wrong with it, found out before it costs anything.

`check` asks about every stage, `train` about the one that it begins: by the same function, so that no problem is found
by one of them alone.
"""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from wavllm_cli import console
from wavllm_cli.data.audio import SAMPLE_RATE
from wavllm_cli.data.files import require_folder, require_space
from wavllm_cli.errors import UsageError, WavLLMError
from wavllm_cli.model.build import build_config, build_processor, build_tokenizer, most_tokens
from wavllm_cli.model.configuration_wavllm import BACKBONES, WavLLMConfig
from wavllm_cli.model.processing_wavllm import WavLLMProcessor
from wavllm_cli.model.trial import blank, require_running
from wavllm_cli.recipe import HEARING, PromptAdapter, Recipe
from wavllm_cli.training.augmented import missing_sounds
from wavllm_cli.training.batches import Batches, batches_of
from wavllm_cli.training.encoder_cache import bytes_per_second
from wavllm_cli.training.groups import count_parameters
from wavllm_cli.training.inventory import Inventory, manifests_of, take_inventory
from wavllm_cli.training.machine import memory

BYTES = {"fp32": 4, "bf16": 2}
TRAINED_BYTES = 16  # float32 weight, gradient and Adam's two moments
GIB = 2**30
MOST_GIB = 2**15  # 32 TiB: the largest machines that are sold; a GPU has a hundredth of it
STATES = 3  # training states on the disk at once: two that are kept and one that is being written


@dataclass(frozen=True)
class StagePlan:
    """One stage; memory without activations, which depend on the lengths in a batch.

    `utterances` and `hours` are None where a manifest cannot be read; `hours` are at least so many where the manifests
    do not say the durations of all clips (`unmeasured`). `batches` are None where they cannot be known, and
    where training begins, which will have them anyway. `encoder_cache_gib` is None where a stage has no cache or where
    durations are missing, and too much where manifests share clips.
    """

    stage: int
    trained_parameters: int
    frozen_parameters: int
    weights_gib: float
    training_gib: float
    checkpoint_gib: float
    state_gib: float
    utterances: int | None
    hours: float | None
    unmeasured: int
    updates: int
    batches: Batches | None
    encoder_cache_gib: float | None = None

    def cells(self) -> dict[str, str]:
        """The figures as they are shown, by their names."""
        figures = {name: value for name, value in asdict(self).items() if name not in ("batches", "encoder_cache_gib")}
        shown = {name.replace("_", " "): _cell(value) for name, value in figures.items()}
        if self.hours is not None:
            shown["hours"] = console.hours(self.hours)
        if self.unmeasured:
            least = f"at least {shown['hours']}" if self.hours else "unknown"
            shown["hours"] = f"{least} ({self.unmeasured:,} rows without duration)"
        if self.encoder_cache_gib is not None:
            shown["encoder cache gib"] = f"at most {_cell(self.encoder_cache_gib)}"
        shown |= self.batches.cells() if self.batches else {}
        return {name: text for name, text in shown.items() if name not in ("stage", "unmeasured")}


@dataclass(frozen=True)
class Plan:
    recipe: str
    parameters: dict[str, int]
    stages: list[StagePlan]
    problems: list[str]
    warnings: list[str]

    def data(self) -> dict[str, Any]:
        return asdict(self)

    def show(self) -> None:
        if self.parameters:
            rows = [(group, f"{count:,}") for group, count in self.parameters.items()]
            rows.append(("total", f"{sum(self.parameters.values()):,}"))
            console.table(f"{self.recipe}: parameters", ("group", "count"), rows)
        if self.stages:
            cells = [stage.cells() for stage in self.stages]
            names = dict.fromkeys(name for stage in cells for name in stage)
            lines = [(name, *(stage.get(name, "unknown") for stage in cells)) for name in names]
            console.table("cost (activations not included)", ["", *(f"stage {s.stage}" for s in self.stages)], lines)
        for warning in self.warnings:
            console.warn(warning)
        for problem in self.problems:
            console.error(problem)


def check(recipe: Recipe, output: Path, only: int | None = None, network: bool = True, trust: bool = False) -> Plan:
    """Everything that can be found out without training; problems are collected, not raised.

    Args:
        output: the run's folder, on whose disk there must be room.
        only: the stage (from 1) that is about to be trained here: its data alone is looked at, and memory that this
            machine lacks is a problem. Otherwise it is a warning, since the run may be planned for another machine.
        network: false for a stage that starts from a checkpoint, which brings its own.
        trust: run code that the backbones' files bring along.
    """
    numbers = [only] if only else list(range(1, len(recipe.stages) + 1))
    warnings = recipe.doubts(only)
    problems: list[str] = []
    counts: list[dict[str, int]] = []
    try:
        if network:
            counts, config, processor = _networks(recipe, trust)
            warnings += _too_long(recipe, config)
            per_second = bytes_per_second(config)
    except WavLLMError as error:
        problems += error.args
    inventory = take_inventory(recipe, numbers)
    problems += inventory.problems
    problems += [sentence for number in numbers for sentence in missing_sounds(recipe, recipe.stages[number - 1])]
    problems += [sentence for number in numbers for sentence in _unheard(recipe, number, inventory)]
    problems += [sentence for number in numbers for sentence in _unaligned(recipe, number, inventory)]
    stages = [_stage_plan(number, recipe, counts[number - 1], inventory) for number in numbers if counts]
    if counts:
        caches = [_cache_gib(recipe, stage.stage, per_second, inventory) for stage in stages]
        stages = [replace(stage, encoder_cache_gib=gib) for stage, gib in zip(stages, caches, strict=True)]
        _compare_cache_disks(recipe, stages, problems, warnings)
    if not only and not problems and not recipe.model.language_model.tokenizer:  # which is not trained yet
        stages = [replace(s, batches=batches_of(recipe, recipe.stages[s.stage - 1], processor)) for s in stages]
    _compare_memory(stages, problems, problems if only else warnings)
    if not problems:
        problems += _unwritable(stages, output)
    warnings += [sentence for number in numbers for sentence in inventory.shared_groups(recipe, number)]
    warnings += [] if only else inventory.left_out()  # training says so itself when it reads them
    return Plan(recipe.name, counts[-1] if counts else {}, stages, problems, warnings)


def require_sound(
    recipe: Recipe, stage_number: int, output: Path, start: str | None = None, trust: bool = False
) -> None:
    """Stop before the work if `check` has anything against a stage; say what it doubts.

    Args:
        start: the checkpoint given to start from; the recipe's own model is not built then.
        trust: as for `check`.

    Raises:
        UsageError: every problem.
    """
    plan = check(recipe, output, stage_number, network=start is None, trust=trust)
    for warning in plan.warnings:
        console.warn(warning)
    if plan.problems:
        raise UsageError(*plan.problems)


# --- the network ---


def _networks(recipe: Recipe, trust: bool) -> tuple[list[dict[str, int]], WavLLMConfig, WavLLMProcessor]:
    """The parameters of every stage's network by group, and the last one's configuration and processor."""
    counts: dict[PromptAdapter | None, dict[str, int]] = {}
    tokenizer = build_tokenizer(recipe.model, (), trust)
    tokens = most_tokens(recipe.model, tokenizer)
    for stage in recipe.stages:
        if stage.prompt_adapter not in counts:
            config = build_config(recipe, stage.prompt_adapter, tokenizer, tokens, trust)
            model = blank(recipe, config)
            if not counts:  # the parts that can be tried are the same in all stages
                require_running(recipe, model)
            counts[stage.prompt_adapter] = count_parameters(model)
    processor = build_processor(recipe.model, config, tokenizer, trust)
    return [counts[stage.prompt_adapter] for stage in recipe.stages], config, processor


def _too_long(recipe: Recipe, config: WavLLMConfig) -> list[str]:
    """Stages whose longest clips are more speech tokens than the language model has positions."""
    positions = getattr(config.text_config, "max_position_embeddings", None)
    sentences = []
    for i, stage in enumerate(recipe.stages):
        tokens = config.audio_geometry.tokens(round(stage.max_audio_seconds * SAMPLE_RATE))
        if positions and tokens >= positions:
            sentences.append(
                f"{recipe.key('stages', i, 'max_audio_seconds')} is {stage.max_audio_seconds:g}: clips of that length "
                f"are {tokens:,} speech tokens, but the language model has {positions:,} positions."
            )
    return sentences


def _unheard(recipe: Recipe, number: int, inventory: Inventory) -> Iterator[str]:
    """Manifests with rows that nothing which a stage trains can learn from: a batch of them has no gradient."""
    stage = recipe.stages[number - 1]
    for path in map(recipe.manifest, stage.manifests):
        stock = inventory.stocks.get((number, path))
        if stock and stock.text and set(stage.trainable) <= set(HEARING):
            key = recipe.key("stages", number - 1, "trainable")
            yield (
                f"{key} names only what hears ({', '.join(stage.trainable)}), "
                f"which learns nothing from the {stock.text:,} rows of {path} that have no audio: leave them out."
            )


def _unaligned(recipe: Recipe, number: int, inventory: Inventory) -> Iterator[str]:
    """Manifests of alignments with rows that are no clip and its transcript."""
    for i, phase in enumerate(recipe.stages[number - 1].curriculum):
        for source in phase.mixture if phase.objective == "alignment" else ():
            path = recipe.manifest(source.manifest)
            stock = inventory.stocks.get((number, path))
            if stock and stock.transcribed < stock.utterances:
                key = recipe.key("stages", number - 1, "curriculum", i, "objective")
                yield (
                    f"{key} is alignment, which is of speech and its transcript, but {path} has "
                    f"{stock.utterances - stock.transcribed:,} rows that are not asr with audio: leave them out."
                )


def _stage_plan(number: int, recipe: Recipe, counts: dict[str, int], inventory: Inventory) -> StagePlan:
    stage = recipe.stages[number - 1]
    trained = sum(count for group, count in counts.items() if group in stage.trainable)
    frozen = sum(counts.values()) - trained
    referenced = {part for part in BACKBONES if getattr(recipe.model, part).path and part not in stage.trainable}
    stored = sum(count for group, count in counts.items() if group not in referenced)
    stocks = [inventory.stocks.get((number, recipe.manifest(name))) for name in stage.manifests]
    known = [stock for stock in stocks if stock]
    complete = len(known) == len(stocks)
    weights = frozen * BYTES[stage.precision] + trained * 4
    return StagePlan(
        stage=number,
        trained_parameters=trained,
        frozen_parameters=frozen,
        weights_gib=weights / GIB,
        training_gib=(frozen * BYTES[stage.precision] + trained * TRAINED_BYTES) / GIB,
        checkpoint_gib=stored * BYTES["fp32"] / GIB,
        state_gib=trained * 12 / GIB,  # weight and Adam's two moments
        utterances=sum(stock.utterances for stock in known) if complete else None,
        hours=sum(stock.hours for stock in known) if complete else None,
        unmeasured=sum(stock.unmeasured for stock in known) if complete else 0,
        updates=stage.steps,
        batches=None,
    )


def _cache_gib(recipe: Recipe, number: int, per_second: float, inventory: Inventory) -> float | None:
    """What the encoder cache of a stage will hold, if every row has a clip of its own."""
    stage = recipe.stages[number - 1]
    stocks = [inventory.stocks.get((number, recipe.manifest(name))) for name in manifests_of(stage)]
    known = [stock for stock in stocks if stock and not stock.unmeasured]
    if stage.encoder_cache is None or len(known) < len(stocks):
        return None
    return sum(stock.hours for stock in known) * 3600 * per_second / GIB


# --- the machine ---


def _compare_cache_disks(recipe: Recipe, stages: Sequence[StagePlan], problems: list[str], warnings: list[str]) -> None:
    """Folders for caches that cannot be written, and disks that may be too small: training goes on without them."""
    for stage in stages:
        name = recipe.stages[stage.stage - 1].encoder_cache
        if name is None:
            continue
        folder = recipe.manifest(name)
        try:
            require_folder(folder)
            require_space(folder, max(0, round((stage.encoder_cache_gib or 0) * GIB) - _size(folder)))
        except UsageError as error:
            problems += error.args
        except WavLLMError as error:
            warnings += error.args


def _compare_memory(stages: Sequence[StagePlan], problems: list[str], lacking: list[str]) -> None:
    """Compare the memory of each stage with what there is, anywhere (`problems`) and here (`lacking`)."""
    available, where = memory()
    for stage in stages:
        need = f"Stage {stage.stage} takes at least {stage.training_gib:,.1f} GiB of memory, activations not included"
        if stage.training_gib > MOST_GIB:
            problems.append(f"{need}; no machine has more than {MOST_GIB:,}: look at the sizes under model.")
        elif stage.training_gib * GIB > available:
            lacking.append(f"{need}; {where} has {available / GIB:,.1f}.")


def _unwritable(stages: Sequence[StagePlan], output: Path) -> list[str]:
    """Why the results and states of stages cannot be written, those counted that are there already."""
    needed = 0
    for stage in stages:
        whole = round((stage.checkpoint_gib + STATES * stage.state_gib) * GIB)
        needed += max(0, whole - _size(output / f"stage{stage.stage}"))
    try:
        require_folder(output)
        require_space(output, needed)
    except WavLLMError as error:
        return list(error.args)
    return []


def _size(folder: Path) -> int:
    """Bytes of the files in a folder; 0 if there is none."""
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def _cell(value: float | int | None) -> str:
    if value is None:
        return "unknown"
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:.1g}" if 0 < value < 0.01 else f"{value:,.2f}"
