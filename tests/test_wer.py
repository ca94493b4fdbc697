import math
import random
from importlib.metadata import version

import jiwer
import numpy as np
import pytest

from wavllm_cli.scoring.wer import bootstrap_interval, word_counts, word_error_rate


def test_counts_worked_out_by_hand():
    # "a b c d" -> "a x c": b is replaced, d is missing; "e" -> "e f": f is too much.
    r = word_error_rate(["a b c d", "e"], ["A, x c!", "e f"])
    assert (r.hits, r.substitutions, r.deletions, r.insertions, r.reference_words, r.n) == (3, 1, 1, 1, 5, 2)
    assert r.value == 3 / 5
    assert r.signature == f"wer|norm:basic|jiwer:{version('jiwer')}"


def test_equals_jiwer_on_random_texts():
    rng = random.Random(1)
    texts = [[" ".join(rng.choices("abcdef", k=rng.randrange(8))) for _ in range(500)] for _ in range(2)]
    bare = jiwer.process_words(*texts)
    ours = word_error_rate(*texts, normalizer="none")
    assert ours.value == bare.wer
    assert (ours.hits, ours.substitutions) == (bare.hits, bare.substitutions)
    assert (ours.deletions, ours.insertions) == (bare.deletions, bare.insertions)


def test_each_row_of_counts_is_that_pair_alone():
    references, hypotheses = ["a b", "", "c d e", "f"], ["a", "x y", "c d e", ""]
    together = word_counts(references, hypotheses)
    alone = [word_counts([r], [h])[0] for r, h in zip(references, hypotheses, strict=True)]
    np.testing.assert_array_equal(together, alone)
    np.testing.assert_array_equal(together, [[1, 0, 1, 0], [0, 0, 0, 2], [3, 0, 0, 0], [0, 0, 1, 0]])


def test_an_empty_reference_counts_insertions_and_an_empty_hypothesis_deletions():
    r = word_error_rate(["", "a b c"], ["x y", ""])
    assert (r.insertions, r.deletions, r.substitutions, r.reference_words) == (2, 3, 0, 3)
    assert r.value == 5 / 3


def test_without_any_reference_word_the_rate_is_zero_or_infinite_never_a_count():
    assert word_error_rate(["", ""], ["", "!"]).value == 0
    spoken = word_error_rate([""], ["two words"])
    assert spoken.value == math.inf  # jiwer returns 2 here
    assert math.isnan(spoken.low)
    assert jiwer.process_words("", "two words").wer == 2


def test_no_utterances_and_unequal_lengths():
    assert word_error_rate([], []).n == 0
    with pytest.raises(ValueError, match="2 references but 1 hypotheses"):
        word_error_rate(["a", "b"], ["a"])


def test_the_interval_is_that_of_a_plain_bootstrap():
    rng = np.random.default_rng(3)
    words = rng.integers(1, 30, size=400)
    errors = rng.binomial(words, 0.1)
    drawn = rng.integers(0, 400, size=(20_000, 400))
    plain = np.percentile(errors[drawn].sum(1) / words[drawn].sum(1), [2.5, 97.5])
    ours = bootstrap_interval(errors, words, seed=4, resamples=20_000)
    np.testing.assert_allclose(ours, plain, atol=0.0007)  # the interval is 0.014 wide


def test_the_interval_is_repeatable_and_holds_the_value():
    references = ["a b c d"] * 50
    hypotheses = ["a b c d"] * 40 + ["a b c x"] * 10
    first, second = (word_error_rate(references, hypotheses, seed=s) for s in (7, 7))
    assert first == second
    assert first.low < first.value == 0.05 < first.high
    perfect = word_error_rate(references, references)
    assert (perfect.low, perfect.value, perfect.high) == (0, 0, 0)


def test_blocks_of_resamples_add_up(monkeypatch):
    monkeypatch.setattr("wavllm_cli.scoring.wer.BLOCK", 7)
    low, high = bootstrap_interval(np.arange(10), np.full(10, 10), resamples=333)
    assert 0 < low < 0.45 < high < 1


def test_resamples_without_reference_words_are_left_out():
    low, high = bootstrap_interval(np.array([1, 0, 1]), np.array([0, 4, 2]))
    assert 0 <= low < high < math.inf
