"""What the manifests of a recipe hold for its stages, as far as they tell it themselves: no audio is opened."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from wavllm_cli.data.files import why_unreadable
from wavllm_cli.errors import WavLLMError, shortened
from wavllm_cli.recipe import Recipe, Stage
from wavllm_cli.training.survey import Survey, survey


@dataclass(frozen=True)
class Stock:
    """The rows of a manifest that a stage can use.

    Attributes:
        hours: of those whose duration the manifest says.
        unmeasured: clips whose duration only their file tells.
        text: rows without audio.
        transcribed: rows whose right answer is what is said in the clip.
        groups: conversations, sessions or talks that they come from, where they say it.
        left_out: why rows cannot be used, how many, and the id of the first.
    """

    utterances: int
    hours: float
    unmeasured: int
    text: int
    transcribed: int
    groups: frozenset[str]
    left_out: dict[str, tuple[int, str]]


@dataclass(frozen=True)
class Inventory:
    """By stage (from 1) and path of the manifest; one that cannot be read is missing, and a problem says why."""

    stocks: dict[tuple[int, Path], Stock]
    problems: list[str]

    def left_out(self) -> list[str]:
        """A sentence for each reason why rows of a manifest cannot be used."""
        sentences = [
            f"{path}: {count} utterances will be left out, {reason} (first: {shortened(example)})."
            for (_, path), stock in self.stocks.items()
            for reason, (count, example) in stock.left_out.items()
        ]
        return list(dict.fromkeys(sentences))

    def shared_groups(self, recipe: Recipe, number: int) -> list[str]:
        """A sentence for each manifest of a stage that has conversations of its validation."""
        stage = recipe.stages[number - 1]
        held_out = recipe.manifest(stage.validation.manifest) if stage.validation else None
        validated = self.stocks.get((number, held_out)) if held_out else None
        if not validated:
            return []
        sentences = []
        for path in map(recipe.manifest, stage.manifests):
            stock = self.stocks.get((number, path))
            shared = sorted(stock.groups & validated.groups) if stock and path != held_out else []
            if shared:
                sentences.append(
                    f"{held_out} validates stage {number}, but {len(shared)} of its groups are in {path} too, which "
                    f"trains it (first: {shortened(shared[0])}): keep a conversation in one split."
                )
        return sentences


def take_inventory(recipe: Recipe, numbers: Iterable[int]) -> Inventory:
    """Read every manifest of these stages once."""
    uses: dict[str, list[int]] = {}
    for number in numbers:
        for name in manifests_of(recipe.stages[number - 1]):
            uses.setdefault(name, []).append(number)
    missing = missing_manifests(recipe, uses)
    inventory = Inventory({}, [missing] if missing else [])
    for name, stages in uses.items():
        path = recipe.manifest(name)
        if _exists(path):
            _take(recipe, path, stages, inventory)
    return inventory


def manifests_of(stage: Stage) -> list[str]:
    """What a stage reads, to train and to validate."""
    validation = [stage.validation.manifest] if stage.validation else []
    return list(dict.fromkeys([*stage.manifests, *validation]))


def missing_manifests(recipe: Recipe, names: Iterable[str]) -> str | None:
    """One sentence for all manifests that do not exist."""
    missing = [str(path) for name in names if not _exists(path := recipe.manifest(name))]
    if not missing:
        return None
    return (
        f"Recipe {recipe.name} needs {', '.join(missing)}, which {'does' if len(missing) == 1 else 'do'} not exist: "
        "make them with `wavllm prep` and `wavllm gen-prompts` (the recipe's header says how), or point to your data "
        "with --set data=FOLDER."
    )


def _exists(path: Path) -> bool:
    return not (why_unreadable(path) or "").startswith("does not exist")


def _take(recipe: Recipe, path: Path, numbers: Sequence[int], inventory: Inventory) -> None:
    """Add what one manifest holds for each of the stages that use it."""
    try:
        found = survey(path)
    except WavLLMError as error:
        inventory.problems.extend(error.args)
        return
    for number in numbers:
        stock = _stock(found, recipe.stages[number - 1].max_audio_seconds)
        inventory.stocks[number, path] = stock
        if not stock.utterances:
            reasons = ", ".join(f"{count} {reason}" for reason, (count, _) in stock.left_out.items())
            inventory.problems.append(f"{path} has no utterance that stage {number} can use: {reasons}.")


def _stock(found: Survey, longest: float) -> Stock:
    unusable = found.unusable(longest)
    used = found.usable(unusable)
    seconds = found.seconds[used]
    return Stock(
        utterances=len(used),
        hours=float(np.nansum(seconds)) / 3600,
        unmeasured=int(np.isnan(seconds).sum()),
        text=int(found.is_text[used].sum()),
        transcribed=int(found.is_transcribed[used].sum()),
        groups=found.groups(used),
        left_out={reason: (len(rows), found.clips[rows[0]].row.id) for reason, rows in unusable.items()},
    )
