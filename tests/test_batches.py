import pytest

from wavllm_cli import recipe as recipes
from wavllm_cli.data.manifest import write_manifest
from wavllm_cli.data.schema import Utterance
from wavllm_cli.training.batches import batches_of


@pytest.fixture
def batches(tmp_path, tiny_processor):
    """Function: limits of a stage over rows that are one of two lengths, `short` and `long` -> its figures."""

    def row(name, target):
        return Utterance(id=name, audio=None, task="sft", prompt="a", target=target)

    write_manifest(tmp_path / "m.jsonl", [row(str(i), "b" if i % 2 else "b a " * 40) for i in range(32)])
    (tmp_path / "a.wav").touch()
    write_manifest(tmp_path / "unmeasured.jsonl", [Utterance(id="c", audio="a.wav", task="asr", prompt="", target="b")])

    def make(limits, manifest="m.jsonl"):
        mixture = f"stages.0.mixture=[{{manifest: {manifest}, weight: 1}}]"
        batch = f"stages.0.batch={{max_seconds: 9, {limits}}}"
        recipe = recipes.load("tiny", [f"data={tmp_path}", "stages.0.curriculum=[]", mixture, batch])
        return batches_of(recipe, recipe.stages[0], tiny_processor)

    return make


@pytest.fixture
def lengths(tiny_processor):
    return [len(tiny_processor.encode("a", 0, target)[0]) for target in ("b", "b a " * 40)]


def test_figures_of_batches_that_are_known(batches, lengths):
    short, long = lengths
    found = batches(f"max_utterances: 16, max_tokens: {16 * long}, accumulate: 2")
    assert (found.fewest, found.most, found.padding) == (16 * short, 16 * long, 0)
    assert found.balance == pytest.approx((short + long) / (2 * long))


def test_text_that_rides_free_shows_as_padding(batches, lengths):
    _, long = lengths
    found = batches("max_utterances: 16, accumulate: 2")
    assert found.padding > 0.2 and found.most == 16 * long
    assert found.cells()["tokens per batch"] == f"{found.fewest:,} to {16 * long:,}"
    assert found.cells()["balance"].endswith(" over 2 cards")


def test_nothing_is_known_of_clips_without_duration(batches):
    assert batches("max_utterances: 16", "unmeasured.jsonl") is None
