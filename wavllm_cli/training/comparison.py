"""Is a training that is asked for the one that a record tells of?"""

from collections.abc import Iterator
from dataclasses import dataclass, field

from wavllm_cli.recipe import Recipe, Source, Stage
from wavllm_cli.recipe.changes import Meaning, changes
from wavllm_cli.training.record import PARTS, Record, Rows, Start

NAMED = 12  # problems in a message


@dataclass(frozen=True)
class Comparison:
    """Parts of sentences.

    Attributes:
        refused: what makes it another training.
        noted: what has been changed on purpose, and may be.
        noted_data: likewise, but nothing that the weights depend on.
        gone: manifests that cannot be compared any more.
    """

    refused: list[str] = field(default_factory=list)
    noted: list[str] = field(default_factory=list)
    noted_data: list[str] = field(default_factory=list)
    gone: list[str] = field(default_factory=list)


def compare(then: Record, now: Record) -> Comparison:
    """What the record of a run says, and what would be recorded if it began now."""
    found = Comparison()
    for change in changes(then.recipe, now.recipe, then.stage):
        if change.meaning is Meaning.FIXED:
            found.refused.append(str(change))
        elif change.meaning is Meaning.NOTED:
            found.noted.append(str(change))
    _compare_manifests(then, now, found)
    found.refused.extend(_sound_problems(then, now))
    if problem := _start_problem(then, now.start):
        found.refused.append(problem)
    if then.start is None and now.start is None:
        found.refused.extend(_backbone_problems(then, now))
    for library, old in then.versions.items():
        if old != now.versions[library]:
            found.noted_data.append(f"the version of {library} was {old}, is {now.versions[library]}")
    return found


def in_one_sentence(problems: list[str]) -> str:
    """All of them, or so many that a screen holds them."""
    rest = len(problems) - NAMED
    return "; ".join(problems[:NAMED]) + (f"; and {rest} more" if rest > 0 else "")


# --- manifests ---


def _compare_manifests(then: Record, now: Record, found: Comparison) -> None:
    old, new = then.section, now.section
    section = f"stages.{then.stage - 1}"
    for key, was, is_ in _paired(old, new):
        problem = _rows_problem(f"{section}.{key}", was, is_, then.manifests.get(was), now.manifests.get(is_))
        if problem and problem not in found.refused:
            found.refused.append(problem)
    if old.validation and new.validation:
        was, is_ = old.validation.manifest, new.validation.manifest
        key = f"{section}.validation.manifest"
        if problem := _rows_problem(key, was, is_, then.manifests.get(was), now.manifests.get(is_)):
            found.noted_data.append(problem)
    found.gone.extend(str(now.recipe.manifest(name)) for name, rows in now.manifests.items() if rows is None)


def _paired(old: Stage, new: Stage) -> Iterator[tuple[str, str, str]]:
    """(key, manifest then, manifest now) for every place of the mixtures that there was and is."""
    for (key, was), (_, is_) in zip(_places(old), _places(new), strict=False):
        yield key, was.manifest, is_.manifest


def _places(stage: Stage) -> Iterator[tuple[str, Source]]:
    for i, phase in enumerate(stage.curriculum):
        for j, source in enumerate(phase.mixture):
            yield f"curriculum.{i}.mixture.{j}.manifest", source
    for j, source in enumerate(stage.mixture):
        yield f"mixture.{j}.manifest", source


def _rows_problem(key: str, was: str, is_: str, old: Rows | None, new: Rows | None) -> str | None:
    """How the rows of a manifest differ; None if they do not, or if one of them cannot be known."""
    if old is None or new is None or old.sha256 == new.sha256:
        return None
    counts = f"{old.rows} rows then, {new.rows} now" if old.rows != new.rows else f"{old.rows} rows, but others"
    if was == is_:
        return f"{was} has changed since the run began ({counts})"
    return f"{key} was {was!r}, is {is_!r}, which is another manifest ({counts})"


def _sound_problems(then: Record, now: Record) -> Iterator[str]:
    for key, old in then.sounds.items():
        if now.sounds.get(key, old) != old:
            where = f"stages.{then.stage - 1}.augmentation.{key}.source"
            yield f"the files in {where} are not those that the run began with"


# --- the weights it began from ---


def _start_problem(then: Record, now: Start | None) -> str | None:
    old = then.start
    if old is None:
        return None if now is None else f"the run began without --start, which names {now.path} now"
    if now is None:
        return None  # a finished stage whose start has been deleted
    if old.same(now):
        return None
    names = sorted(n for n in {*old.files, *now.files} if old.files.get(n) != now.files.get(n))
    names += [part for part in PARTS if old.backbones.get(part) != now.backbones.get(part)]
    others = f" ({', '.join(names)} differ)" if names else ""
    if not (old.chosen or now.chosen):
        previous = then.stage - 1
        return f"stage {previous}'s result has been replaced since stage {then.stage} began{others}"
    if old.path == now.path:
        return f"{now.path}, which the run began from, has changed since{others}"
    what = "--start names another model" if now.chosen else "the run began with another model than the previous stage's"
    return f"{what}: it was {old.path}, is {now.path}{others}"


def _backbone_problems(then: Record, now: Record) -> Iterator[str]:
    for part, old, new in ((p, then.backbones.get(p), now.backbones.get(p)) for p in PARTS):
        if old == new:
            continue
        was, is_ = (_named(record.recipe, part) for record in (then, now))
        if was == is_:
            yield f"the {part} in {is_} has changed since the run began"
        else:
            yield f"model.{part} was {was}, is {is_}"


def _named(recipe: Recipe, part: str) -> str:
    section = getattr(recipe.model, part)
    if section.path is None:
        return "random"
    return section.path + (f" @ {section.revision}" if section.revision else "")
