"""A stage's utterances: read from its manifests, checked before the first step, drawn as batches by a plan."""

from array import array
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
from torch.utils.data import DataLoader, Dataset

from wavllm_cli import console
from wavllm_cli.data.audio import warn_once
from wavllm_cli.data.augment import Augmenter
from wavllm_cli.data.batch import Batch, Clip, Collator, clips_of
from wavllm_cli.data.mixture import Curriculum, Pairs, limits_of, share
from wavllm_cli.data.packing import pack
from wavllm_cli.errors import UsageError, WavLLMError
from wavllm_cli.recipe import Recipe, Stage
from wavllm_cli.training.augmented import AugmentedClip, blank
from wavllm_cli.training.room import Room

NAMED = 5  # of the utterances left out for one reason


@dataclass(frozen=True)
class Utterances:
    """The usable rows of one manifest and their durations in seconds (0 for text)."""

    clips: Sequence[Clip]
    seconds: np.ndarray


def load_utterances(manifest: Path, max_seconds: float, room: Room) -> Utterances:
    """Read a manifest and leave out, by name and number, what cannot be trained on.

    Args:
        max_seconds: the longest clips that are used.
        room: of the language model; what is longer is left out too.

    Raises:
        ManifestError: the manifest cannot be read.
        UsageError: nothing usable is left.
    """
    clips = clips_of(manifest)
    usable, seconds = array("q"), array("d")
    left_out: defaultdict[str, list[str]] = defaultdict(list)
    for number, clip in enumerate(clips):
        duration, reason, detail = _measure(clip, max_seconds, room)
        if reason:
            left_out[reason].append(f"{clip.row.id}: {detail}" if detail else clip.row.id)
        else:
            usable.append(number)
            seconds.append(duration)
    for reason, names in left_out.items():
        console.warn(f"{manifest}: {len(names)} utterances left out, {reason} (first: {'; '.join(names[:NAMED])}).")
    if not usable:
        raise UsageError(f"{manifest} has no usable utterance left to train on.")
    return Utterances(clips.only(usable), np.array(seconds))


def _measure(clip: Clip, max_seconds: float, room: Room) -> tuple[float, str | None, str]:
    """Duration, or the reason why this row cannot be used and more about it.

    A file is opened only where the manifest lacks its duration.
    """
    if clip.row.target is None:
        return 0.0, "no target", ""
    if lack := clip.lack():
        return 0.0, lack, ""
    try:
        seconds = clip.seconds()
    except WavLLMError as error:
        return 0.0, "audio unreadable", str(error).rstrip(".")
    if seconds > max_seconds:
        return 0.0, f"longer than {max_seconds:g} s", ""
    if clip.paths and seconds <= 0:
        return 0.0, "no audio after its start", ""
    if problem := room.problem(clip.row, seconds):
        return 0.0, "too long for the language model", problem
    return seconds, None, ""


class MixtureDataset(Dataset):
    """Maps a planned batch of (manifest, draw) pairs to a collated `Batch`.

    Args:
        augmenter: what changes clips; None for nothing.
    """

    def __init__(self, manifests: Sequence[Utterances], collator: Collator, augmenter: Augmenter | None = None):
        self.manifests, self.collator, self.augmenter = manifests, collator, augmenter

    def __getitems__(self, pairs: Pairs) -> Batch:
        batch = self.collator([self._clip(manifest, draw) for manifest, draw in pairs])
        if self.augmenter:
            blank(batch.inputs, [pairs[place] for place in batch.places], self.augmenter)
        return batch

    def _clip(self, manifest: int, draw: int) -> Clip:
        clips = self.manifests[manifest].clips
        clip = clips[draw % len(clips)]
        return AugmentedClip(clip.row, clip.paths, self.augmenter, manifest, draw) if self.augmenter else clip


def identity(batch: Batch) -> Batch:
    return batch


class Stream:
    """One process's share of the batches of each step, endless, from any step on.

    A batch of which no clip can be used has no inputs; it is not replaced, so that every process, and a run that is
    continued by another number of them, draws the same.
    """

    def __init__(self, dataset: MixtureDataset, plan: Curriculum, step: int, rank: int, world: int, workers: int):
        self.per_step = -(-plan.per_step // world)
        sampler = (batch for batches in plan.steps(step) for batch in share(batches, rank, world))
        self._batches = iter(DataLoader(dataset, batch_sampler=sampler, collate_fn=identity, num_workers=workers))

    def __next__(self) -> list[Batch]:
        """The batches of the next step."""
        batches = list(islice(self._batches, self.per_step))
        for batch in batches:
            say_what_is_wrong(batch)
        return batches


def say_what_is_wrong(batch: Batch) -> None:
    """With its clips; a clip comes by in every epoch, its warning once."""
    warn_once([*batch.notes, *batch.skipped, *(f"{name}: silent clip" for name in batch.silent)])


def training_manifests(recipe: Recipe, stage: Stage, room: Room) -> list[Utterances]:
    return [load_utterances(recipe.manifest(name), stage.max_audio_seconds, room) for name in stage.manifests]


def validation_batches(
    utterances: Utterances, stage: Stage, collator: Collator, rank: int, world: int
) -> Iterator[Batch]:
    """One pass over the validation manifest, in batches of similar length."""
    for indices in pack(utterances.seconds.tolist(), limits_of(stage))[rank::world]:
        batch = collator([utterances.clips[i] for i in indices])
        say_what_is_wrong(batch)
        if batch.inputs is not None:
            yield batch
