import os
import random

import numpy as np
import pytest
import sacrebleu
from sacrebleu.metrics import BLEU, CHRF, TER
from sacrebleu.significance import PairedTest

from wavllm_cli.scoring.metrics.bleu import bleu, chrf, paired_test, ter

METRICS = [(bleu, BLEU), (chrf, CHRF), (ter, TER)]
REFERENCES = ["Das ist ein kleiner Test.", "Wo ist der Bahnhof?", "Ja.", "", "Er kommt heute nicht mehr zurück."]
HYPOTHESES = ["Das ist ein Test.", "Wo liegt der Bahnhof?", "Ja.", "zu viel", ""]


@pytest.mark.parametrize(("ours", "theirs"), METRICS)
def test_value_and_signature_are_those_of_sacrebleus_public_functions(ours, theirs):
    measure, metric = ours(REFERENCES, HYPOTHESES, "de"), theirs()
    score = metric.corpus_score(HYPOTHESES, [REFERENCES])
    assert measure.value == score.score
    assert measure.signature == f"{score.name}|{metric.get_signature()}"
    assert measure.unit == "points"
    assert measure.lower_is_better == (ours is ter)


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [(bleu, sacrebleu.sentence_bleu), (chrf, sacrebleu.sentence_chrf), (ter, sacrebleu.sentence_ter)],
)
def test_rows_are_sacrebleus_scores_of_sentences(ours, theirs):
    alone = [theirs(text, [reference]).score for reference, text in zip(REFERENCES, HYPOTHESES, strict=True)]
    np.testing.assert_array_equal(ours(REFERENCES, HYPOTHESES, None).rows, alone)
    assert alone[2] == pytest.approx(0 if ours is ter else 100)  # one word, and right


@pytest.mark.parametrize(
    ("language", "tokenizer"),
    [
        ("de", "13a"),
        ("de-DE", "13a"),
        ("German", "13a"),
        ("ar", "13a"),
        (None, "13a"),
        ("zh", "zh"),
        ("zh_CN", "zh"),
        ("Chinese", "zh"),
        ("JA", "ja-mecab"),
        ("japanese", "ja-mecab"),
        ("ko-KR", "ko-mecab"),
        ("Korean", "ko-mecab"),
        ("th", "char"),
        ("Lao", "char"),
        ("km", "char"),
        ("my", "char"),
    ],
)
def test_the_language_decides_how_words_are_told_apart(language, tokenizer):
    assert f"|tok:{tokenizer}" in bleu(["a"], ["a"], language).signature
    asian = tokenizer in ("zh", "ja-mecab", "ko-mecab")
    expected = "|norm:yes|punct:yes|asian:yes|" if asian else "|norm:no|punct:yes|asian:no|"
    assert expected in ter(["a"], ["a"], language).signature


def test_a_chinese_sentence_is_more_than_one_word():
    reference, text = ["我们今天去北京看看。"], ["我们今天去上海看看。"]
    assert bleu(reference, text, "de").value == 0 < bleu(reference, text, "zh").value
    assert ter(reference, text, "de").value == 100 > ter(reference, text, "zh").value == 20


@pytest.mark.parametrize(("ours", "wrong"), [(bleu, 0), (chrf, 0), (ter, 100)])
def test_an_empty_side_is_fully_wrong_and_stops_nothing(ours, wrong):
    assert ours(["ein Test"], [""], "de").value == wrong
    assert ours([""], ["ein Test"], "de").value == wrong
    assert ours(["ein Test", ""], ["", ""], "de").value == wrong


@pytest.mark.parametrize(("ours", "theirs"), METRICS)
def test_no_pairs_and_unequal_lengths(ours, theirs):
    empty = ours([], [], "de")
    assert (empty.value, len(empty.rows), empty.signature) == (0, 0, ours(["a"], ["a"], "de").signature)
    with pytest.raises(ValueError, match="2 references but 1 hypotheses"):
        ours(["a", "b"], ["a"], "de")


@pytest.fixture(scope="module")
def systems():
    """References, and three systems: one with a few mistakes, one with a few more, one with many."""
    rng, words = random.Random(0), [f"word{i}" for i in range(40)]
    references = [" ".join(rng.choices(words, k=8)) for _ in range(150)]

    def system(errors: float) -> list[str]:
        return [" ".join(rng.choice(words) if rng.random() < errors else w for w in r.split()) for r in references]

    return references, system(0.2), system(0.22), system(0.4)


@pytest.mark.parametrize(("ours", "theirs"), METRICS)
def test_p_values_are_those_of_sacrebleus_paired_tests(ours, theirs, systems, monkeypatch):
    references, good, similar, _ = systems
    p_values = paired_test(ours(references, good, "en"), ours(references, similar, "en"), seed=7)
    monkeypatch.setenv("SACREBLEU_SEED", "7")
    for p, test in zip(p_values, ("ar", "bs"), strict=True):
        _, results = PairedTest([("a", good), ("b", similar)], {"m": theirs()}, [references], test_type=test)()
        assert p == next(rows[1].p_value for name, rows in results.items() if name != "System")


def test_a_large_difference_is_significant_and_none_is_not(systems):
    good, similar, bad = (bleu(systems[0], texts, "en") for texts in systems[1:])
    assert max(paired_test(good, bad)) < 0.01 < min(paired_test(good, similar))
    assert paired_test(good, good) == (1, 1)
    nothing, other = (bleu(systems[0], [text] * len(systems[0]), "en") for text in ("qqq", "qqq zzz"))
    assert nothing.value == other.value == 0 and paired_test(nothing, other) == (1, 1)


def test_the_seed_is_kept_even_zero_and_the_environment_is_left_as_it_was(systems, monkeypatch):
    good, similar = (bleu(systems[0], texts, "en") for texts in systems[1:3])
    monkeypatch.setenv("SACREBLEU_SEED", "99")
    assert (
        paired_test(good, similar, seed=0) == paired_test(good, similar, seed=0) != paired_test(good, similar, seed=5)
    )
    assert os.environ["SACREBLEU_SEED"] == "99"
    monkeypatch.delenv("SACREBLEU_SEED")
    paired_test(good, similar)
    assert "SACREBLEU_SEED" not in os.environ


def test_systems_that_cannot_be_compared_are_refused(systems):
    references, good, similar, _ = systems
    for other in (chrf(references, similar, "en"), bleu(good, similar, "en")):
        with pytest.raises(ValueError, match="same metric on the same references"):
            paired_test(bleu(references, good, "en"), other)


SEVERAL = [["the cat sat", "a cat was sitting there"], ["it rains"], ["he came home late", "late he came home", "x"]]
SAID = ["a cat was sitting there", "it rains", "late he came"]


@pytest.mark.parametrize("name", ["bleu", "chrf", "ter"])
def test_several_references_count_as_sacrebleu_counts_them(name):
    import sacrebleu

    ours, theirs = {"bleu": bleu, "chrf": chrf, "ter": ter}[name], getattr(sacrebleu, f"corpus_{name}")
    streams = [[texts[i] if i < len(texts) else None for texts in SEVERAL] for i in range(3)]
    measure = ours(SEVERAL, SAID, "en")
    assert measure.value == pytest.approx(theirs(SAID, streams).score)
    assert "|nrefs:var|" in measure.signature
    assert "|nrefs:2|" in ours([["a", "b"], ["c", "d"]], ["a", "d"], "en").signature
    single = ours([texts[0] for texts in SEVERAL], SAID, "en")
    assert "|nrefs:1|" in single.signature and single.value != measure.value
