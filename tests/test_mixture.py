"""The batch plan: a pure function of seed and position, respecting weights and limits."""

import hashlib
import json
from collections import Counter
from itertools import islice

import numpy as np
import pytest

from wavllm_cli import recipe
from wavllm_cli.data.augment import Speeds
from wavllm_cli.data.mixture import Curriculum, MixturePlan, Tokens, share
from wavllm_cli.data.packing import Limits

LIMITS = Limits(max_seconds=40, max_utterances=8)


@pytest.fixture
def seconds():
    generator = np.random.default_rng(0)
    return [generator.uniform(1, 15, 300), generator.uniform(1, 15, 50), np.zeros(40)]


def plan(seconds, **options):
    return MixturePlan(seconds, [2, 1, 1], LIMITS, **{"seed": 3, **options})


def test_continuing_anywhere_gives_the_same_batches(seconds):
    whole = list(islice(plan(seconds).batches(0), 300))  # several epochs
    for position in (0, 1, 57, 120, 299):
        assert list(islice(plan(seconds).batches(position), 300 - position)) == whole[position:]


def test_another_seed_or_epoch_gives_another_order(seconds):
    assert plan(seconds).epoch(0) != plan(seconds, seed=4).epoch(0)
    assert plan(seconds).epoch(0) != plan(seconds).epoch(1)


def test_limits_hold_with_padding_counted(seconds):
    for batch in plan(seconds).epoch(0):
        longest = max(seconds[m][d % len(seconds[m])] for m, d in batch)
        assert len(batch) <= LIMITS.max_utterances
        assert len(batch) == 1 or longest * len(batch) <= LIMITS.max_seconds


def test_manifests_are_drawn_by_weight_and_rows_evenly(seconds):
    draws = [pair for epoch in range(8) for batch in plan(seconds).epoch(epoch) for pair in batch]
    assert len({*draws}) == len(draws)  # a row that comes round again is another draw
    drawn = Counter((manifest, draw % len(seconds[manifest])) for manifest, draw in draws)
    by_manifest = Counter()
    for (manifest, _), count in drawn.items():
        by_manifest[manifest] += count
    total = sum(by_manifest.values())
    assert by_manifest[0] / total == pytest.approx(0.5, abs=0.01)
    assert by_manifest[1] / total == pytest.approx(0.25, abs=0.01)
    for manifest, size in enumerate(map(len, seconds)):
        counts = [drawn[manifest, row] for row in range(size)]
        assert max(counts) - min(counts) <= 1  # no row comes round again before all others have been


@pytest.mark.parametrize(("batches", "world"), [(1, 1), (4, 1), (4, 2), (4, 3), (4, 8), (1, 2), (2, 5)])
def test_processes_share_a_step_without_overlap_and_in_equal_numbers(seconds, batches, world):
    step = plan(seconds).epoch(0)[:batches]
    shares = [share(step, rank, world) for rank in range(world)]
    assert {len(mine) for mine in shares} == {-(-batches // world)}
    dealt = [batch for mine in shares for batch in mine]
    assert sorted(pair for batch in dealt for pair in batch) == sorted(pair for batch in step for pair in batch)
    assert all(set(batch) <= set(whole) for batch in dealt if batch for whole in step if batch[0] in whole)


def test_a_manifest_of_weight_zero_is_never_drawn(seconds):
    drawn = {m for batch in MixturePlan(seconds, [0, 1, 0], LIMITS, seed=1).epoch(0) for m, _ in batch}
    assert drawn == {1}


@pytest.fixture
def stage():
    """Three steps on one manifest, two on another, then both; two batches a step."""
    phases = "[{steps: 3, mixture: [{manifest: a, weight: 1}]}, {steps: 2, mixture: [{manifest: b, weight: 1}]}]"
    mixture = "[{manifest: a, weight: 1}, {manifest: c, weight: 1}]"
    batch = "{max_seconds: 40, max_utterances: 8, accumulate: 2}"
    settings = {"curriculum": phases, "mixture": mixture, "batch": batch}
    return recipe.load("tiny", [f"stages.0.{key}={value}" for key, value in settings.items()]).stages[0]


def test_a_curriculum_goes_through_its_phases(stage, seconds):
    assert stage.manifests == ("a", "b", "c")
    batches = list(islice(Curriculum(stage, seconds, seed=3).batches(0), 40))
    drawn = [{m for m, _ in batch} for batch in batches]
    assert drawn[:6] == [{0}] * 6
    assert drawn[6:10] == [{1}] * 4
    assert set().union(*drawn[10:]) == {0, 2}


def test_a_curriculum_continues_anywhere(stage, seconds):
    whole = list(islice(Curriculum(stage, seconds, seed=3).batches(0), 60))
    for position in (0, 5, 6, 9, 10, 33):
        assert list(islice(Curriculum(stage, seconds, seed=3).batches(position), 60 - position)) == whole[position:]


def test_a_step_has_its_batches_wherever_it_is_begun(stage, seconds):
    curriculum = Curriculum(stage, seconds, seed=3)
    batches = list(islice(curriculum.batches(0), 40))
    steps = list(islice(curriculum.steps(0), 20))
    assert steps == [batches[i : i + 2] for i in range(0, 40, 2)]
    assert list(islice(curriculum.steps(7), 13)) == steps[7:]


def test_lengths_are_those_at_the_speed_of_a_draw(seconds):
    speeds = Speeds([0.5, 1.0, 2.0], [np.zeros(len(some)) for some in seconds], seed=3)
    seen = set()
    for batch in (batch for epoch in range(3) for batch in plan(seconds, speeds=speeds).epoch(epoch)):
        lasting = [seconds[m][d % len(seconds[m])] / speeds.factor(m, d) for m, d in batch]
        assert len(batch) == 1 or max(lasting) * len(batch) <= LIMITS.max_seconds
        seen.add(max(lasting) > 15)
    assert seen == {True, False}


def test_runs_under_way_keep_their_batches(seconds):
    slow = Speeds([0.5, 1.0, 2.0], [np.zeros(len(some)) for some in seconds], seed=3)
    plans = plan(seconds), plan(seconds, speeds=slow)
    texts = [json.dumps([each.epoch(e) for e in range(3)]).encode() for each in plans]
    assert [hashlib.sha256(text).hexdigest()[:16] for text in texts] == ["9952d4790c24bc86", "a1b7216c2746ec68"]


# --- with a limit of tokens ---

COUNTED = Limits(max_seconds=200, max_utterances=32, max_tokens=2000)


@pytest.fixture
def tokens(seconds):
    """Answers of very different lengths; 10 speech tokens a second."""
    generator = np.random.default_rng(1)
    written = [generator.integers(20, 300, len(some)) for some in seconds]
    return Tokens(written, lambda lasting: np.rint(10 * lasting).astype(np.int64))


def costs(counted, batches):
    lengths = [counted.lengths(np.array(batch)) for batch in batches]
    return np.array([len(each) * each.max() for each in lengths]), sum(each.sum() for each in lengths)


def test_no_batch_is_beyond_its_tokens_and_little_is_padding(seconds, tokens):
    counted = MixturePlan(seconds, [2, 1, 1], COUNTED, 3, None, tokens, 4)
    padded, real = costs(counted, counted.epoch(0))
    assert padded.max() <= 2000 and real / padded.sum() > 0.95
    by_seconds = MixturePlan(seconds, [2, 1, 1], LIMITS, 3, None, tokens, 4)
    padded, real = costs(by_seconds, by_seconds.epoch(0))
    assert real / padded.sum() < 0.8


def test_batches_of_a_step_are_of_like_cost_in_every_epoch(seconds, tokens):
    limits = Limits(max_seconds=200, max_utterances=12, max_tokens=2000)  # short rows do not fill their batch

    def balance(together, epoch):
        padded, _ = costs(counted, MixturePlan(seconds, [2, 1, 1], limits, 3, None, tokens, together).epoch(epoch))
        steps = padded[: len(padded) // 4 * 4].reshape(-1, 4)
        return steps.sum() / (4 * steps.max(axis=1).sum())

    counted = MixturePlan(seconds, [2, 1, 1], limits, 3, None, tokens, 4)
    assert {len(counted.epoch(epoch)) % 4 for epoch in range(6)} == {0}
    assert min(balance(4, epoch) for epoch in range(6)) > 0.95
    assert max(balance(1, epoch) for epoch in range(6)) < 0.93


def test_counted_batches_hold_the_same_rows_and_continue_anywhere(seconds, tokens):
    counted = MixturePlan(seconds, [2, 1, 1], COUNTED, 3, None, tokens, 4)
    for epoch in range(2):
        drawn = [sorted(pair for batch in each.epoch(epoch) for pair in batch) for each in (counted, plan(seconds))]
        assert drawn[0] == drawn[1]
    whole = list(islice(counted.batches(0), 300))
    for position in (1, 57, 299):
        assert list(islice(counted.batches(position), 300 - position)) == whole[position:]


def test_rows_too_few_for_a_step_are_all_drawn():
    few = [np.array([1.0, 2.0, 3.0])]
    counted = MixturePlan(few, [1], COUNTED, 3, None, Tokens([np.full(3, 9)], np.zeros_like), 8)
    assert sorted(pair for batch in counted.epoch(0) for pair in batch) == [(0, 0), (0, 1), (0, 2)]
