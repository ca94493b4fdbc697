import math
import random
from importlib.metadata import version

import jiwer
import numpy as np
import pytest

from wavllm_cli.scoring.metrics import wer
from wavllm_cli.scoring.metrics.wer import alignment, character_error_rate, word_error_rate
from wavllm_cli.text.normalize import get_normalizer

NONE, BASIC = map(get_normalizer, ("none", "basic"))


def test_counts_worked_out_by_hand():
    # "a b c d" -> "a x c": b is replaced, d is missing; "e" -> "e f": f is too much.
    measure = word_error_rate(["a b c d", "e"], ["A, x c!", "e f"], BASIC)
    assert measure.counts == {
        "substitutions": 1, "deletions": 1, "insertions": 1, "hits": 3, "reference_words": 5,
    }  # fmt: skip
    np.testing.assert_array_equal(measure.statistics, [[2, 4], [1, 1]])
    assert measure.value == 3 / 5
    assert measure.lower_is_better
    assert measure.signature == f"wer|norm:basic|jiwer:{version('jiwer')}"


def test_characters_include_the_spaces_between_words():
    # "a b" -> "ab": the space is missing; " cd " -> "ce": spaces around a text are none of it.
    measure = character_error_rate(["a b", " cd "], ["ab", "ce"], NONE)
    assert measure.counts == {
        "substitutions": 1, "deletions": 1, "insertions": 0, "hits": 3, "reference_characters": 5,
    }  # fmt: skip
    np.testing.assert_array_equal(measure.statistics, [[1, 3], [1, 2]])
    assert measure.signature == f"cer|norm:none|jiwer:{version('jiwer')}"


@pytest.mark.parametrize("rate", [word_error_rate, character_error_rate])
def test_each_row_is_that_pair_alone_whatever_block_it_falls_in(rate, monkeypatch):
    monkeypatch.setattr(wer, "PAIRS", 7)
    rng = random.Random(1)
    references, hypotheses = ([" ".join(rng.choices("abcdef", k=rng.randrange(8))) for _ in range(50)] for _ in "rh")
    together = rate(references, hypotheses, NONE)
    alone = [rate([r], [h], NONE) for r, h in zip(references, hypotheses, strict=True)]
    np.testing.assert_array_equal(together.statistics, np.concatenate([one.statistics for one in alone]))
    assert together.counts == {name: sum(one.counts[name] for one in alone) for name in together.counts}
    errors = sum(together.counts[name] for name in ("substitutions", "deletions", "insertions"))
    assert together.statistics[:, 0].sum() == errors


def test_an_empty_reference_counts_insertions_and_an_empty_hypothesis_deletions():
    measure = word_error_rate(["", "a b c"], ["x y", ""], BASIC)
    assert [measure.counts[name] for name in ("insertions", "deletions", "substitutions", "hits")] == [2, 3, 0, 0]
    assert measure.value == 5 / 3


def test_without_any_reference_word_the_rate_is_zero_or_infinite_never_a_count():
    assert word_error_rate(["", ""], ["", "!"], BASIC).value == 0
    assert word_error_rate([""], ["two words"], BASIC).value == math.inf
    assert jiwer.process_words("", "two words").wer == 2


def test_no_pairs_and_unequal_lengths():
    assert word_error_rate([], [], BASIC).statistics.shape == (0, 2)
    with pytest.raises(ValueError, match="2 references but 1 hypotheses"):
        word_error_rate(["a", "b"], ["a"], BASIC)


def test_an_alignment_shows_runs_of_words():
    assert alignment("The cat sat on the mat.", "a cat on the big mat", BASIC) == [
        ("substitute", "the", "a"),
        ("equal", "cat", "cat"),
        ("delete", "sat", ""),
        ("equal", "on the", "on the"),
        ("insert", "", "big"),
        ("equal", "mat", "mat"),
    ]
    assert alignment("", "", BASIC) == []


def test_both_sides_can_be_read_off_an_alignment_and_so_can_the_errors():
    rng = random.Random(2)
    for _ in range(100):
        reference, hypothesis = (" ".join(rng.choices("abcd", k=rng.randrange(8))) for _ in "rh")
        chunks = alignment(reference, hypothesis, NONE)
        assert " ".join(ref for _, ref, _ in chunks if ref) == reference
        assert " ".join(hyp for _, _, hyp in chunks if hyp) == hypothesis
        errors = sum(max(len(ref.split()), len(hyp.split())) for kind, ref, hyp in chunks if kind != "equal")
        assert errors == word_error_rate([reference], [hypothesis], NONE).statistics[0, 0]


def test_rows_that_the_normaliser_erases_are_in_no_rate_but_counted():
    libri = get_normalizer("librispeech")
    references, hypotheses = ["привет мир", "a b", "", ""], ["пока луна", "a c", "", "привет"]
    measure = word_error_rate(references, hypotheses, libri)
    assert measure.value == 1 / 2 and measure.counts["erased"] == 2
    np.testing.assert_array_equal(measure.rows, [math.nan, 1 / 2, math.nan, math.nan])
    assert "'librispeech' does not fit the script of 2 of 4 rows" in measure.notes[0]
    alone = character_error_rate(references[:1], hypotheses[:1], libri)
    assert math.isnan(alone.value) and all(map(math.isnan, alone.interval()))
    assert not word_error_rate(["", "a"], ["", "a"], libri).notes
