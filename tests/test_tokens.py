"""Tokens of rows: exact where they are counted, close where they are estimated, alike everywhere."""

import numpy as np
import pytest

from wavllm_cli.data.batch import Clip
from wavllm_cli.data.schema import Utterance
from wavllm_cli.training import tokens
from wavllm_cli.training.dataset import Utterances

PROMPTS = ("Transcribe the audio clip into text.", "What is said?", "Übersetze das bitte.")
WORDS = ["the", "quick", "brown", "fox", "jumps", "over", "the", "lazy", "dog", "while", "nobody", "looks", "on"]


@pytest.fixture
def utterances():
    generator = np.random.default_rng(0)
    rows = []
    for i in range(60):
        answer = " ".join(generator.choice(WORDS, generator.integers(1, 40)))
        audio = "a.wav" if i % 3 else None
        rows.append(Utterance(id=str(i), audio=audio, task="sqa", prompt=PROMPTS[i % 2], target=answer))
    sizes = [[len(text.encode()) for text in (row.prompt, row.target)] for row in rows]
    seconds = np.array([generator.uniform(0.01, 9) if row.audio else 0.0 for row in rows])
    return Utterances([Clip(row, ()) for row in rows], seconds, np.array(sizes))


@pytest.fixture
def read(utterances, tiny_processor):
    """What the processor makes of the rows, padded or not: the tokens of each."""
    clips = [np.zeros(round(lasting * 16_000), np.float32) for lasting in utterances.seconds.tolist()]
    rows = [clip.row for clip in utterances.clips]
    heard = [tiny_processor.audio_tokens(len(samples)) for samples in clips]
    pairs = zip(rows, heard, strict=True)
    return np.array([len(tiny_processor.encode(row.prompt, n, row.target)[0]) for row, n in pairs])


def test_counted_rows_are_as_long_as_the_model_reads_them(utterances, read, tiny_processor):
    found = tokens.tokens_of([utterances], tiny_processor)
    assert (found.written[0] + found.spoken(utterances.seconds)).tolist() == read.tolist()


def test_most_rows_of_a_large_manifest_are_estimated(utterances, read, tiny_processor, monkeypatch):
    monkeypatch.setattr(tokens, "COUNTED", 8)
    found = tokens.tokens_of([utterances], tiny_processor)
    estimated = found.written[0] + found.spoken(utterances.seconds)
    assert estimated.dtype == np.int64 and not np.array_equal(estimated, read)
    assert np.abs(estimated / read - 1).max() < 0.15
    assert estimated.sum() == pytest.approx(read.sum(), rel=0.03)


def test_validation_is_packed_within_the_limits_of_the_stage(utterances, read, tiny_processor):
    from wavllm_cli import recipe

    for limit, is_within in (("", False), (", max_tokens: 600", True)):
        batch = f"stages.0.batch={{max_seconds: 40, max_utterances: 16{limit}}}"
        batches = tokens.packed(utterances, recipe.load("tiny", [batch]).stages[0], tiny_processor)
        assert sorted(i for some in batches for i in some) == list(range(len(read)))
        assert all(len(some) * read[some].max() <= 600 for some in batches) == is_within
