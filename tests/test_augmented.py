"""Augmentation in training: SpecAugment, lengths that plans count with, batches the same wherever begun."""

from itertools import islice

import pytest
import torch

from wavllm_cli.data.batch import Collator
from wavllm_cli.data.mixture import Curriculum
from wavllm_cli.recipe import SpecAugment
from wavllm_cli.training.augmented import augmenter_of, missing_sounds, spec_augment
from wavllm_cli.training.dataset import MixtureDataset, Stream, training_manifests
from wavllm_cli.training.room import Room

SPEED = "stages.0.augmentation.speed={factors: [0.5, 0.9, 1.1]}"
NOISE = "stages.0.augmentation.noise={source: train.jsonl, snr: [0, 10]}"
GAPS = "{time_masks: 2, time_width: 0.2, time_share: 0.5, frequency_masks: 1, frequency_width: 8}"
SPEC = f"stages.0.augmentation.spec_augment={GAPS}"


@pytest.fixture
def room(tiny_config, tiny_processor):
    return Room(tiny_config(), tiny_processor)


@pytest.fixture
def stream(room, tiny_processor):
    """Function: the batches of a recipe's first stage, from a step on."""

    def make(recipe, step=0, rank=0, world=1, workers=0):
        stage = recipe.stages[0]
        manifests = training_manifests(recipe, stage, room)
        clips, seconds = [m.clips for m in manifests], [m.seconds for m in manifests]
        augmenter = augmenter_of(recipe, stage, clips, seconds, room)
        plan = Curriculum(stage, seconds, recipe.seed, augmenter.speeds if augmenter else None)
        dataset = MixtureDataset(manifests, Collator(tiny_processor, with_targets=True), augmenter)
        return Stream(dataset, plan, step, rank, world, workers)

    return make


def inputs(stream, steps):
    return [dict(b.inputs.items()) for batches in islice(stream_steps(stream), steps) for b in batches]


def stream_steps(stream):
    while True:
        yield next(stream)


def same(ours, theirs):
    return len(ours) == len(theirs) and all(map(equal, ours, theirs))


def equal(ours, theirs):
    return ours.keys() == theirs.keys() and all(torch.equal(ours[key], theirs[key]) for key in ours)


def lengths_of(part):
    return tuple(sorted(part["audio_lengths"].tolist())) if "audio_lengths" in part else ()


def test_batches_are_the_same_wherever_begun_and_whoever_reads_them(beep_recipe, stream):
    recipe = beep_recipe(SPEED, NOISE, SPEC)
    whole = inputs(stream(recipe), 7)  # more than two epochs
    assert same(inputs(stream(recipe, step=4), 3), whole[4:])
    assert same(inputs(stream(recipe, workers=2), 7), whole)
    shared = [inputs(stream(recipe, rank=rank, world=2), 2) for rank in (0, 1)]
    alone = {lengths_of(part) for part in whole[:2]}
    assert {tuple(sorted((*lengths_of(a), *lengths_of(b)))) for a, b in zip(*shared, strict=True)} == alone
    assert not same(inputs(stream(beep_recipe(SPEED, NOISE, SPEC, "seed=77")), 2), whole[:2])


def test_a_clip_is_never_the_same_twice(beep_recipe, stream):
    batches = stream_steps(stream(beep_recipe(NOISE)))
    heard = {}
    for batch in (b for step in islice(batches, 12) for b in step):
        waves = zip(batch.rows, batch.inputs["input_values"], batch.inputs["audio_lengths"], strict=True)
        for row, values, length in waves:
            if length:
                heard.setdefault(row.id, []).append(values[:length].numpy().tobytes())
    assert all(len({*versions}) == len(versions) > 1 for versions in heard.values())


def test_plans_count_with_the_length_that_is_heard(beep_recipe, stream):
    recipe = beep_recipe(SPEED, "stages.0.batch={max_seconds: 2.5, max_utterances: 4}")
    factors = set()
    for batch in (b for step in islice(stream_steps(stream(recipe)), 20) for b in step):
        lengths = batch.inputs.get("audio_lengths", torch.zeros(len(batch.rows))) / 16_000
        assert len(batch.rows) == 1 or float(lengths.max()) * len(batch.rows) <= 2.5 + 1e-3
        factors |= {
            round(row.duration / float(n), 2) for row, n in zip(batch.rows, lengths, strict=True) if row.duration
        }
    assert factors == {0.5, 0.9, 1.1}


def test_clips_are_slowed_down_only_as_far_as_there_is_room(beep_recipe, room):
    recipe = beep_recipe(SPEED, "stages.0.max_audio_seconds=1.3")
    stage = recipe.stages[0]
    manifests = training_manifests(recipe, stage, room)
    clips, seconds = [m.clips for m in manifests], [m.seconds for m in manifests]
    speeds = augmenter_of(recipe, stage, clips, seconds, room).speeds
    for row, lasting in enumerate(seconds[0]):
        drawn = {speeds.factor(0, row + times * len(seconds[0])) for times in range(30)}
        allowed = {f for f in (0.5, 0.9) if lasting / f <= 1.3}
        assert drawn == allowed | {1.1} | ({1.0} if not allowed else set()), lasting
    assert speeds.factor(1, 0) in (0.5, 0.9, 1.1)  # of text, to which nothing happens


def test_spec_augment_blanks_bands_and_stretches_of_what_is_heard():
    section = SpecAugment(time_masks=2, time_width=0.3, time_share=0.25, frequency_masks=2, frequency_width=5)
    features = torch.rand(3, 16, 100) + 1
    samples = 230 * 160 + 7  # the last window has 31 frames of it
    seen = []
    for seed in range(60):
        changed = spec_augment(features, samples, section, seed)
        assert torch.equal(changed, spec_augment(features, samples, section, seed))
        whole, before = (part.transpose(0, 1).reshape(16, 300) for part in (changed, features))
        assert torch.equal(whole[:, 231:], before[:, 231:])
        blank = whole[:, :231] == 0
        bands, frames = blank.all(1), blank.all(0)
        assert torch.equal(whole[:, :231], torch.where(bands[:, None] | frames, 0.0, before[:, :231]))
        assert bands.sum() <= 8 and frames.sum() <= 2 * 29
        seen.append((int(bands.sum()), int(frames.sum())))
    assert max(b for b, _ in seen) >= 5 and max(f for _, f in seen) > 29 and (features > 0).all()
    state = torch.get_rng_state()
    spec_augment(features, samples, section, 1)
    assert torch.equal(torch.get_rng_state(), state)


def test_waveforms_have_no_gaps_and_validation_no_augmentation(beep_recipe, stream, room):
    ours, plain = (inputs(stream(recipe), 6) for recipe in (beep_recipe(SPEC), beep_recipe()))
    for changed, before in zip(ours, plain, strict=True):
        assert {key for key in before if not torch.equal(changed[key], before[key])} == {"input_features"}


def test_noise_that_is_not_there_is_a_problem_beforehand(beep_recipe):
    recipe = beep_recipe("stages.0.augmentation.noise={source: nowhere, snr: [0, 10]}")
    (problem,) = missing_sounds(recipe, recipe.stages[0])
    assert "nowhere does not exist" in problem and not missing_sounds(recipe, recipe.stages[1])
