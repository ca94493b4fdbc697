"""Which utterances make up which batch: a pure function of seed and position, so that any run can be continued.

Nothing here touches audio. A plan is computed from (seed, epoch) alone and knows nothing of processes: a step's batches
are the same however many share them, and a run that was killed asks for the plan from the step where it stopped.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np

from wavllm_cli.data.augment import Speeds
from wavllm_cli.data.packing import Limits, pack, pack_tokens
from wavllm_cli.recipe import Stage

POOL = 64  # batches whose utterances are sorted by length together: alike within a batch, varied between batches

# (manifest, draw) of each utterance of a batch: of a manifest of n rows draw d is of row d mod n, the (d // n)-th time.
Pairs = list[tuple[int, int]]


@dataclass(frozen=True)
class Tokens:
    """How long rows are for the language model.

    Attributes:
        written: for each manifest, the tokens of each row's template, instruction and answer.
        spoken: speech tokens of (n,) seconds.
    """

    written: Sequence[np.ndarray]
    spoken: Callable[[np.ndarray], np.ndarray]


class MixturePlan:
    """An endless sequence of batches drawn from several manifests by weight.

    Args:
        seconds: for each manifest, the duration of each utterance (0 for text).
        weights: for each manifest, how often it is drawn from; 0 is never.
        limits: of one batch.
        speeds: at which clips are played, and so how long they are; None: their own.
        tokens: where batches have a limit of tokens: the batches of a step are then of like cost.
        per_step: batches that make a step.
    """

    def __init__(
        self,
        seconds: Sequence[np.ndarray],
        weights: Sequence[float],
        limits: Limits,
        seed: int,
        speeds: Speeds | None = None,
        tokens: Tokens | None = None,
        per_step: int = 1,
    ):
        self.speeds, self.tokens, self.per_step = speeds, tokens, per_step
        self.seconds = [np.asarray(s, dtype=np.float64) for s in seconds]
        self.limits, self.seed = limits, seed
        total = sum(len(s) for s, weight in zip(seconds, weights, strict=True) if weight)
        # An epoch is as long as all manifests together; each contributes its share of it, at least one utterance.
        self.drawn = [max(1, round(w / sum(weights) * total)) if w else 0 for w in weights]

    def epoch(self, epoch: int) -> list[Pairs]:
        """All batches of one epoch."""
        return list(self._epoch(epoch))

    def batches(self, position: int) -> Iterator[Pairs]:
        """The batches from the `position`-th on, through all epochs."""
        epoch = 0
        while True:
            batches = self._epoch(epoch)
            yield from islice(batches, position, None)
            position = max(0, position - len(batches))
            epoch += 1

    def _epoch(self, epoch: int) -> "_Batches":
        drawn = [self._rows(m, epoch) for m in range(len(self.seconds))]
        rows = np.concatenate([np.stack([np.full_like(r, m), r], axis=1) for m, r in enumerate(drawn)])
        generator = np.random.default_rng((self.seed, epoch))
        rows = rows[generator.permutation(len(rows))]
        seconds = self._seconds(rows)
        lengths = self.lengths(rows) if self.limits.max_tokens else None
        pool = POOL * self.limits.max_utterances
        pools = [np.arange(start, min(start + pool, len(rows))) for start in range(0, len(rows), pool)]
        batches = [some[batch] for some in pools for batch in _packed(some, seconds, lengths, self.limits)]
        generator.shuffle(batches)
        if lengths is not None:
            batches = _in_steps(batches, lengths, self.per_step, generator)
        return _Batches(rows[np.concatenate(batches)], np.cumsum([0, *map(len, batches)]))

    def lengths(self, rows: np.ndarray) -> np.ndarray:
        """(n, 2) manifests and draws -> (n,) tokens that the language model reads of each."""
        assert self.tokens is not None
        return _gathered(self.tokens.written, rows) + self.tokens.spoken(self._seconds(rows))

    def _seconds(self, rows: np.ndarray) -> np.ndarray:
        """(n, 2) manifests and draws -> (n,) seconds as they are heard."""
        seconds = _gathered(self.seconds, rows)
        return seconds / [self.speeds.factor(m, d) for m, d in rows.tolist()] if self.speeds else seconds

    def _rows(self, manifest: int, epoch: int) -> np.ndarray:
        """Draws from one manifest in this epoch: the next slice of an endless chain of permutations of its rows."""
        size, count = len(self.seconds[manifest]), self.drawn[manifest]
        if not count:
            return np.empty(0, dtype=np.int64)
        first, last = epoch * count // size, ((epoch + 1) * count - 1) // size
        chain = [
            i * size + np.random.default_rng((self.seed, manifest, i, 1)).permutation(size)
            for i in range(first, last + 1)
        ]
        start = epoch * count - first * size
        return np.concatenate(chain)[start : start + count]


class _Batches(Sequence[Pairs]):
    """The batches of an epoch, each a list of pairs when it is asked for: of a million rows they would take 200 MB.

    Args:
        rows: (N, 2) manifest and draw of each utterance.
        ends: where batches end in them, after a 0.
    """

    def __init__(self, rows: np.ndarray, ends: np.ndarray):
        self._rows, self._ends = rows, ends

    def __len__(self) -> int:
        return len(self._ends) - 1

    def __getitem__(self, index: Any) -> Any:
        number = range(len(self))[index]
        return [(manifest, draw) for manifest, draw in self._rows[self._ends[number] : self._ends[number + 1]].tolist()]


def _gathered(columns: Sequence[np.ndarray], rows: np.ndarray) -> np.ndarray:
    """What the columns of manifests say of (n, 2) manifests and draws."""
    gathered = np.empty(len(rows), dtype=np.result_type(*columns))
    for manifest, column in enumerate(columns):
        mine = rows[:, 0] == manifest
        gathered[mine] = column[rows[mine, 1] % len(column)]
    return gathered


def _packed(rows: np.ndarray, seconds: np.ndarray, lengths: np.ndarray | None, limits: Limits) -> list[list[int]]:
    if lengths is None:
        return pack(seconds[rows].tolist(), limits)
    return pack_tokens(lengths[rows].tolist(), seconds[rows].tolist(), limits)


def _in_steps(
    batches: list[np.ndarray], lengths: np.ndarray, per_step: int, generator: np.random.Generator
) -> list[np.ndarray]:
    """Batches of like cost one after the other, as many as make a step; the steps in any order."""
    batches = _whole_steps(batches, per_step)
    order = np.argsort([len(batch) * lengths[batch].max() for batch in batches], kind="stable").tolist()
    steps = [order[start : start + per_step] for start in range(0, len(order), per_step)]
    generator.shuffle(steps)
    return [batches[i] for step in steps for i in step]


def _whole_steps(batches: list[np.ndarray], per_step: int) -> list[np.ndarray]:
    """The largest halved where that fills the last step, as far as there are rows."""
    missing = -len(batches) % per_step
    largest = sorted(range(len(batches)), key=lambda i: -len(batches[i]))[:missing]
    for i in largest:
        if len(batches[i]) > 1:
            batches.append(batches[i][1::2])
            batches[i] = batches[i][::2]
    return batches


def limits_of(stage: Stage) -> Limits:
    """The limits of a stage's batches."""
    return Limits(stage.batch.max_seconds, stage.batch.max_utterances, stage.batch.max_tokens)


class Curriculum:
    """A stage's batches: its phases one after the other, then its mixture without end.

    Args:
        seconds: for each of `stage.manifests`, the duration of each utterance.
        speeds: at which their clips are played; None: their own.
        tokens: of their rows, where `stage.batch` has a limit of them.
    """

    def __init__(
        self,
        stage: Stage,
        seconds: Sequence[np.ndarray],
        seed: int,
        speeds: Speeds | None = None,
        tokens: Tokens | None = None,
    ):
        self.per_step = stage.batch.accumulate
        self.plans = []
        limits = limits_of(stage)
        for mixture in [*(phase.mixture for phase in stage.curriculum), stage.mixture]:
            weights = {source.manifest: source.weight for source in mixture}
            drawn = [weights.get(manifest, 0.0) for manifest in stage.manifests]
            self.plans.append(MixturePlan(seconds, drawn, limits, seed, speeds, tokens, self.per_step))
        self.lengths = [phase.steps * self.per_step for phase in stage.curriculum]  # batches

    def steps(self, first: int) -> Iterator[list[Pairs]]:
        """The batches of each optimiser step, from step `first` (0-based) on."""
        batches = self.batches(first * self.per_step)
        while True:
            yield list(islice(batches, self.per_step))

    def batches(self, position: int) -> Iterator[Pairs]:
        """The batches from the `position`-th on."""
        for plan, length in zip(self.plans, self.lengths, strict=False):
            yield from islice(plan.batches(position), max(0, length - position))
            position = max(0, position - length)
        yield from self.plans[-1].batches(position)


def share(batches: Sequence[Pairs], rank: int, world: int) -> list[Pairs]:
    """What process `rank` of `world` does of a step's batches: as many batches as every other, some perhaps empty.

    Where the processes are not as many as they should be for whole batches, batches are dealt out in parts of like
    lengths; none is larger than the batch it comes from.
    """
    parts = -(-len(batches) // world) * world
    each, more = divmod(parts, len(batches))
    dealt = [batch[i :: each + (n < more)] for n, batch in enumerate(batches) for i in range(each + (n < more))]
    return dealt[rank::world]
