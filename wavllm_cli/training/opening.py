"""How a stage is opened: begun, continued, or found finished. Nothing is trained here."""

import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path

from wavllm_cli import console
from wavllm_cli.data.files import digest, owned, replacing, require_folder
from wavllm_cli.errors import UsageError, WavLLMError
from wavllm_cli.prompts import shipped_texts
from wavllm_cli.recipe import Recipe
from wavllm_cli.recipe.changes import changes
from wavllm_cli.training.checkpoint import RECIPE, RESULT, RunFolder
from wavllm_cli.training.comparison import compare, in_one_sentence
from wavllm_cli.training.inventory import manifests_of, missing_manifests
from wavllm_cli.training.record import Record, Start, describe, describe_start
from wavllm_cli.training.state import step_of
from wavllm_cli.training.survey import surveyed

TOLD = 100_000  # rows of a manifest that a tokenizer is trained on, at most


@dataclass(frozen=True)
class Opening:
    """What a stage is trained with: a recipe that describes its model, and the checkpoint it starts from, if any."""

    recipe: Recipe
    source: str | None
    finished: bool = False


@dataclass(frozen=True)
class Request:
    """What is asked for on the command line."""

    recipe: Recipe
    stage_number: int
    start: str | None = None
    restart: bool = False
    trust: bool = False

    @property
    def steps_key(self) -> str:
        return f"stages.{self.stage_number - 1}.steps"


def open_stage(request: Request, folder: RunFolder, stack: ExitStack) -> Opening:
    """Compare a request with what the stage's folder holds, and write or complete its record.

    Args:
        stack: holds the folder's lock for as long as it is written.

    Raises:
        UsageError, ManifestError, WavLLMError: see `stages.train`.
    """
    restart = request.restart
    if not restart and os.path.isdir(folder.path) and folder.finished and (opening := _found_finished(request, folder)):
        return opening
    require_folder(folder.path)
    source = _source(request, folder)
    _require_manifests(request)
    anew = request.restart or not folder.has_begun()
    planned = _planned(request, folder, source) if anew else None
    stack.enter_context(owned(folder.path))
    folder.reread()  # as it is now that nobody else writes it
    if not restart and folder.has_begun():
        return _continued(request, folder, source)
    return _begun(request, folder, source, planned or _planned(request, folder, source))


# --- finished ---


def _found_finished(request: Request, folder: RunFolder) -> Opening | None:
    """The finished stage, if it is the one that is asked for; None if there is more to be done."""
    then = folder.record
    assert then is not None and then.result is not None
    if damage := folder.damage_of_result():
        console.warn(f"{damage}: the result of stage {then.stage} is written again from its last state.")
        return None
    try:
        start = _start(request, _source(request, folder), then)
    except UsageError:
        if request.start:
            raise
        start = None  # what a finished stage began from may have been deleted
    now = describe(_as_recorded(request.recipe, then), then.stage, start, then)
    found = compare(then, now)
    if now.section.steps > then.section.steps and not found.refused:
        return None
    if problems := [*found.refused, *found.noted]:
        raise UsageError(
            f"Stage {then.stage} is finished in {folder.path}, but as another training: {in_one_sentence(problems)}. "
            "Choose another --output, or train it again with --restart."
        )
    with suppress(WavLLMError), owned(folder.path):
        pass  # the lock of a process that was killed after its last step is gone by now
    gone = f"; {', '.join(found.gone)} cannot be compared any more" if found.gone else ""
    console.info(f"Stage {then.stage} is finished: {folder.path} (--restart trains it again){gone}.")
    for change in changes(then.recipe, now.recipe, then.stage):
        if change.key.startswith("generation."):
            console.info(
                f"{change.key} stays {change.old!r} in the finished model: `wavllm infer` has an option for it."
            )
    return Opening(now.recipe, None, finished=True)


# --- continued ---


def _continued(request: Request, folder: RunFolder, source: str | None) -> Opening:
    then = folder.record
    assert then is not None
    now = describe(_as_recorded(request.recipe, then), then.stage, _start(request, source, then), then)
    found = compare(then, now)
    if found.refused:
        raise UsageError(
            f"{folder.path} holds another training: {in_one_sentence(found.refused)}. Choose another --output, or "
            "start over with --restart."
        )
    newest = folder.newest_state()
    if newest is None:
        raise WavLLMError(f"{folder.path} has no training state to continue from: start over with --restart.")
    done = step_of(newest)
    if now.section.steps < done:
        raise UsageError(
            f"{request.steps_key} is {now.section.steps}, but {done} steps are done in {folder.path}: choose another "
            "--output, or start over with --restart."
        )
    if then.result and now.section.steps > then.result.steps:
        console.info(
            f"stage {then.stage} was finished with {then.result.steps} steps; continuing to {now.section.steps} (from "
            "here on with the learning rates of so long a run)"
        )
    _require_sound(request, now.recipe, folder)
    changed = [*found.noted, *found.noted_data]
    if changed:
        console.info(f"continuing with changes: {in_one_sentence(changed)}")
    _require_beginning(folder, now.recipe, source, request.trust)
    kept = {"begin": then.begin, "changes": then.changes, "result": then.result}
    folder.accept(now.model_copy(update=kept), done, changed)
    folder.show_recipe()
    return Opening(now.recipe, source)


def _as_recorded(recipe: Recipe, then: Record) -> Recipe:
    """The recipe with the model that the run took over from the checkpoint it began from."""
    if then.start is None or not then.start.adopted:
        return recipe
    index = then.stage - 1
    stages = list(recipe.stages)
    if stages[index].prompt_adapter is None:
        stages[index] = stages[index].model_copy(update={"prompt_adapter": then.section.prompt_adapter})
    return recipe.model_copy(update={"model": then.recipe.model, "stages": tuple(stages)})


def _require_beginning(folder: RunFolder, recipe: Recipe, source: str | None, trust: bool) -> None:
    """Tokenizer and configuration are those that the run began with; where a file of theirs is lost, they are remade.

    Raises:
        WavLLMError: they cannot be remade.
    """
    assert folder.record is not None
    if _digests(folder.begin) == folder.record.begin:
        return
    console.warn(f"{folder.begin} is not as the run began: it is made again from the same data.")
    _keep_beginning(folder, recipe, source, trust)
    if _digests(folder.begin) != folder.record.begin:
        raise WavLLMError(
            f"{folder.begin} held the tokenizer and configuration of the run, is damaged, and cannot be made again as "
            "it was: start over with --restart."
        )


# --- begun ---


def _planned(request: Request, folder: RunFolder, source: str | None) -> Record:
    """The record of a run that is to begin; nothing is written yet."""
    if request.restart:
        folder.require_own()
    elif folder.record is None:
        folder.require_free()
    recipe, adopted = request.recipe, False
    if source is not None:
        from wavllm_cli.training.adoption import settle

        settled = settle(recipe, request.stage_number, source, request.trust)
        recipe, adopted = settled.recipe, settled.adopted
        if settled.taken_over:
            console.warn(
                f"the model is {source}'s own, and {RECIPE} will say so: {in_one_sentence(settled.taken_over)}."
            )
    _require_sound(request, recipe, folder)
    start = _start(request, source, None, adopted)
    return describe(recipe, request.stage_number, start)


def _begun(request: Request, folder: RunFolder, source: str | None, record: Record) -> Opening:
    if request.restart:
        folder.clear()
    elif folder.record is None:
        folder.require_free()
    _keep_beginning(folder, record.recipe, source, request.trust)
    folder.write_record(record.model_copy(update={"begin": _digests(folder.begin)}))
    return Opening(record.recipe, source)


def _keep_beginning(folder: RunFolder, recipe: Recipe, source: str | None, trust: bool) -> None:
    from wavllm_cli.training.beginning import keep_beginning

    shutil.rmtree(folder.begin, ignore_errors=True)
    with replacing(folder.begin) as draft:
        keep_beginning(draft, recipe, source, _texts(recipe), trust)


def _digests(folder: Path) -> dict[str, str]:
    files = sorted(folder.iterdir()) if folder.is_dir() else []
    return {file.name: digest(file) for file in files if file.is_file()}


def _texts(recipe: Recipe) -> Iterator[str]:
    """What a tokenizer is trained on: the texts of stage 1, and the shipped wordings that stage 2 will meet.

    Of a manifest with more than `TOLD` rows every second is read, or every third, and so on.
    """
    for manifest in recipe.stages[0].manifests:
        rows = surveyed(recipe.manifest(manifest)).rows
        for number in range(0, len(rows), -(-len(rows) // TOLD)):
            row = rows[number]
            yield from (row.prompt, row.target or "")
    yield from shipped_texts()


# --- what a stage needs ---


def _require_manifests(request: Request) -> None:
    """All manifests of a stage exist, or one error names all that don't: said at once, before torch is imported."""
    stage = request.recipe.stages[request.stage_number - 1]
    if problem := missing_manifests(request.recipe, manifests_of(stage)):
        raise UsageError(problem)


def _require_sound(request: Request, recipe: Recipe, folder: RunFolder) -> None:
    """Stop at whatever `check` finds, before anything is written."""
    from wavllm_cli.training.plan import require_sound

    require_sound(recipe, request.stage_number, folder.path.parent, request.start, request.trust)


def _start(request: Request, source: str | None, then: Record | None, adopted: bool = False) -> Start | None:
    """The checkpoint that a stage starts from, as it is now."""
    if source is None:
        return None
    known = then.start.adopted if then and then.start else adopted
    return describe_start(source, request.start is not None, known)


def _source(request: Request, folder: RunFolder) -> str | None:
    """What stage N starts from: --start, or the result of stage N - 1; stage 1 starts from the recipe's backbones.

    Raises:
        UsageError: stage N - 1 has no result.
    """
    if request.start or request.stage_number == 1:
        return request.start
    number = request.stage_number - 1
    previous = RunFolder(folder.path.with_name(f"stage{number}"))
    problem = _lack(previous)
    if problem:
        raise UsageError(
            f"Stage {request.stage_number} starts from stage {number}, which {problem} in {previous.path}: run "
            f"`wavllm train --stage {number}` with the same recipe first, or give a checkpoint with --start."
        )
    return str(previous.path)


def _lack(previous: RunFolder) -> str | None:
    """Why a stage's result cannot be started from, as a part of a sentence."""
    if previous.finished:
        damage = previous.damage_of_result()
        return f"is finished, but {damage}," if damage else None
    if previous.record is None and (previous.path / RECIPE).is_file() and (previous.path / RESULT).is_file():
        return None  # a run of an earlier version, which kept no record
    return "is not finished" if previous.has_begun() else "has not been trained"
