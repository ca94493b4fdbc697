"""A stage's utterances: read from its manifests, checked before the first step, drawn as batches by a plan."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

import numpy as np
from torch.utils.data import DataLoader, Dataset

from wavllm_cli import console
from wavllm_cli.data.audio import warn_once
from wavllm_cli.data.augment import Augmenter
from wavllm_cli.data.batch import Batch, Clip, Collator
from wavllm_cli.data.mixture import Curriculum, Pairs, share
from wavllm_cli.errors import UsageError, WavLLMError
from wavllm_cli.recipe import Recipe, Stage
from wavllm_cli.training.augmented import AugmentedClip, blank
from wavllm_cli.training.encoder_cache import EncoderCache
from wavllm_cli.training.encoding import CachedClips
from wavllm_cli.training.room import Room
from wavllm_cli.training.survey import Survey, surveyed

NAMED = 5  # of the utterances left out for one reason


@dataclass(frozen=True)
class Utterances:
    """The usable rows of one manifest.

    Attributes:
        seconds: (N,) of each, 0 for text.
        text_bytes: (N, 2) of its instruction and answer.
    """

    clips: Sequence[Clip]
    seconds: np.ndarray
    text_bytes: np.ndarray

    def cached(self, cache: EncoderCache) -> "Utterances":
        """The same, whose clips are looked for in a cache first."""
        return replace(self, clips=CachedClips(self.clips, cache))


def load_utterances(manifest: Path, max_seconds: float, room: Room) -> Utterances:
    """Read a manifest and leave out, by name and number, what cannot be trained on.

    Args:
        max_seconds: the longest clips that are used.
        room: of the language model; what is longer is left out too.

    Raises:
        ManifestError: the manifest cannot be read.
        UsageError: nothing usable is left.
    """
    found = surveyed(manifest, for_good=True)
    left_out = {reason: rows.tolist() for reason, rows in found.unusable(max_seconds).items()}
    details: dict[int, str] = {}
    seconds = found.seconds.copy()
    for number in _in_doubt(found, found.usable(left_out), room):
        try:
            seconds[number] = _measured(found.clips[number], max_seconds, room)
        except _LeftOut as why:
            left_out.setdefault(why.reason, []).append(number)
            details[number] = why.detail
    for reason, rows in left_out.items():
        ids = {number: found.clips[number].row.id for number in sorted(rows)[:NAMED]}
        names = [f"{id}: {details[number]}" if details.get(number) else id for number, id in ids.items()]
        console.warn(f"{manifest}: {len(rows)} utterances left out, {reason} (first: {'; '.join(names)}).")
    usable = found.usable(left_out)
    if not usable.size:
        raise UsageError(f"{manifest} has no usable utterance left to train on.")
    return Utterances(found.clips.only(usable), seconds[usable], found.text_bytes[usable])


def _in_doubt(found: Survey, rows: np.ndarray, room: Room) -> Iterator[int]:
    """Rows whose manifest does not tell how long they are, or that there is room for them."""
    unknown = rows[np.isnan(found.seconds[rows])]
    if room.holds(np.nanmax(found.seconds[rows], initial=0.0), found.most_tokens[rows].max(initial=0)):
        yield from unknown.tolist()
        return
    for number, seconds, tokens in zip(rows.tolist(), found.seconds[rows], found.most_tokens[rows], strict=True):
        if np.isnan(seconds) or not room.holds(seconds, tokens):
            yield number


class _LeftOut(Exception):
    def __init__(self, reason: str, detail: str = ""):
        super().__init__(reason)
        self.reason, self.detail = reason, detail


def _measured(clip: Clip, max_seconds: float, room: Room) -> float:
    """Duration; a file is opened only where the manifest lacks it.

    Raises:
        _LeftOut: the row cannot be used.
    """
    try:
        seconds = clip.seconds()
    except WavLLMError as error:
        raise _LeftOut("audio unreadable", str(error).rstrip(".")) from error
    if seconds > max_seconds:
        raise _LeftOut(f"longer than {max_seconds:g} s")
    if clip.paths and seconds <= 0:
        raise _LeftOut("no audio after its start")
    if problem := room.problem(clip.row, seconds):
        raise _LeftOut("too long for the language model", problem)
    return seconds


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


def validation_batches(utterances: Utterances, packed: Sequence[Sequence[int]], collator: Collator) -> Iterator[Batch]:
    """One pass over this process's part of the validation manifest.

    Args:
        packed: the numbers of the utterances of each batch.
    """
    for indices in packed:
        batch = collator([utterances.clips[i] for i in indices])
        say_what_is_wrong(batch)
        if batch.inputs is not None:
            yield batch
