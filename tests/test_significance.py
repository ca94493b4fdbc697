import json
import math
import random
import tracemalloc
from dataclasses import asdict
from itertools import product

import numpy as np
import pytest

from wavllm_cli.data.schema import Hypothesis
from wavllm_cli.scoring.measure import Measure, share
from wavllm_cli.scoring.metrics import bleu
from wavllm_cli.scoring.metrics.classes import macro_f1
from wavllm_cli.scoring.significance import (
    MAX_CHANGES,
    compare,
    paired_interval,
    randomisation_test,
    significantly_best,
)
from wavllm_cli.scoring.tasks import Options, measure
from wavllm_cli.strict_json import finite


def rates(errors, words) -> Measure:
    return Measure("wer", np.stack([errors, words], axis=1), share, "wer", lower_is_better=True)


def two_systems(rows: int, seed: int = 0, a: float = 0.2, b: float = 0.2) -> tuple[Measure, Measure]:
    """Errors on the same sentences at two rates."""
    rng = np.random.default_rng(seed)
    words = rng.integers(3, 12, size=rows)
    return rates(rng.binomial(words, a), words), rates(rng.binomial(words, b), words)


def two_classifiers(rows: int, seed: int = 0) -> tuple[Measure, Measure]:
    rng = random.Random(seed)
    keys = ["sad", "happy", *rng.choices(["sad", "happy"], k=rows - 2)]
    first, second = ([key if rng.random() < p else rng.choice("xy") for key in keys] for p in (0.8, 0.4))
    return macro_f1(first, keys, "emotion"), macro_f1(second, keys, "emotion")


# --- approximate randomisation ---


def exact_randomisation(a: Measure, b: Measure) -> float:
    """The p-value over all ways to swap answers."""
    observed, at_least = abs(b.value - a.value), 0
    for swaps in product([False, True], repeat=len(a.statistics)):
        swapped = np.array(swaps)[:, None]
        one = np.where(swapped, b.statistics, a.statistics).sum(axis=0, keepdims=True)
        other = np.where(swapped, a.statistics, b.statistics).sum(axis=0, keepdims=True)
        at_least += abs(b.figure(other)[0] - a.figure(one)[0]) >= observed - 1e-12
    return at_least / 2 ** len(a.statistics)


@pytest.mark.parametrize(
    "systems",
    [*(two_systems(n, n, 0.1, 0.3) for n in (1, 2, 5, 9, 12)), two_systems(10, 1), two_classifiers(9)],
)
def test_the_p_value_is_that_over_all_ways_to_swap_answers(systems):
    exact, trials = exact_randomisation(*systems), 20_000
    error = math.sqrt(exact * (1 - exact) / trials)
    assert randomisation_test(*systems, trials=trials) == pytest.approx(exact, abs=4 * error + 1 / trials)


def test_under_the_null_hypothesis_small_p_values_are_as_rare_as_they_say():
    p_values = np.array([randomisation_test(*two_systems(60, seed), trials=400) for seed in range(400)])
    assert 0.02 < (p_values < 0.05).mean() < 0.085  # 0.05 give or take three standard errors
    assert 0.43 < (p_values < 0.5).mean() < 0.57
    assert 0.45 < p_values.mean() < 0.55


def test_a_real_difference_is_found():
    assert randomisation_test(*two_systems(300, a=0.1, b=0.2)) == pytest.approx(1 / 10_001)
    assert paired_interval(*two_systems(300, a=0.1, b=0.2))[2] < 0.01


def test_identical_systems_and_systems_that_differ_in_nothing_that_counts_get_1():
    a, b = two_systems(40)
    assert randomisation_test(a, a) == 1
    assert paired_interval(a, a) == (0, 0, 1)
    same = rates(np.array([1, 0]), np.array([4, 4])), rates(np.array([0, 1]), np.array([4, 4]))
    assert randomisation_test(*same) == 1
    assert randomisation_test(a, b) == randomisation_test(b, a)


def test_p_values_are_repeatable_and_depend_on_the_seed():
    systems = two_systems(60, seed=3, a=0.2, b=0.23)
    assert randomisation_test(*systems, seed=1) == randomisation_test(*systems, seed=1)
    assert len({randomisation_test(*systems, seed=seed) for seed in range(5)}) > 1
    assert paired_interval(*systems, seed=1) == paired_interval(*systems, seed=1) != paired_interval(*systems, seed=2)


def two_translators(metric, errors: float) -> tuple[bleu.TranslationMeasure, bleu.TranslationMeasure]:
    """One that gets every fifth word wrong, and one with another rate of errors."""
    rng, words = random.Random(0), [f"word{i}" for i in range(40)]
    references = [" ".join(rng.choices(words, k=8)) for _ in range(100)]
    texts = (
        [" ".join(rng.choice(words) if rng.random() < p else word for word in r.split()) for r in references]
        for p in (0.2, errors)
    )
    a, b = (metric(references, system, "en") for system in texts)
    return a, b


@pytest.mark.parametrize("metric", [bleu.bleu, bleu.chrf, bleu.ter])
def test_p_values_agree_with_those_of_sacrebleu_on_the_same_statistics(metric):
    a, b = two_translators(metric, 0.25)
    ours, theirs = randomisation_test(a, b), bleu.paired_test(a, b)[0]
    error = 4 * math.sqrt(2 * theirs * (1 - theirs) / 10_000)
    assert 0.02 < theirs < 0.5  # where the two could differ
    assert ours > theirs - error
    if metric is not bleu.ter:  # its figures are often equal, and sacrebleu leaves out swaps that are just as far apart
        assert ours < theirs + error


# --- the paired bootstrap ---


def test_the_interval_and_its_p_value_are_those_of_all_resamples():
    words = np.array([5, 6, 4, 7, 9, 3])
    a, b = (rates(np.array(errors), words) for errors in ([0, 2, 1, 0, 3, 1], [1, 4, 1, 2, 3, 0]))
    drawn = np.array(list(product(range(6), repeat=6)))
    exact = b.figure(b.statistics[drawn].sum(axis=1)) - a.figure(a.statistics[drawn].sum(axis=1))
    low, high, p = paired_interval(a, b)
    assert 0.012 < (exact < low + 1e-9).mean() < 0.04 and 0.012 < (exact > high - 1e-9).mean() < 0.04
    observed = b.value - a.value
    assert p == pytest.approx((abs(exact - observed) >= abs(observed) - 1e-12).mean(), abs=0.06)


def test_the_interval_holds_the_difference_and_is_narrower_than_that_of_unpaired_systems():
    words = np.full(200, 10)
    hard = np.random.default_rng(0).integers(0, 8, size=200)  # both fail on the same sentences
    a, b = rates(hard, words), rates(hard + np.arange(200) % 2, words)
    low, high, _ = paired_interval(a, b)
    assert b.value - a.value == pytest.approx(0.05)
    assert low < 0.05 < high
    assert high - low < 0.25 * (a.interval()[1] - a.interval()[0])


@pytest.mark.slow
def test_under_the_null_hypothesis_the_paired_bootstrap_seldom_finds_a_difference():
    p_values = np.array([paired_interval(*two_systems(60, seed))[2] for seed in range(300)])
    assert 0.015 < (p_values < 0.05).mean() < 0.1


def test_sacrebleus_bootstrap_counts_one_of_the_two_tails():
    a, b = two_translators(bleu.chrf, 0.255)
    two_tails, one_tail = paired_interval(a, b)[2], bleu.paired_test(a, b)[1]
    assert 0.01 < one_tail < 0.2
    assert two_tails == pytest.approx(2 * one_tail, abs=4 * math.sqrt(3 * one_tail / 1000))


# --- what is not finite ---


def test_a_difference_that_is_not_finite_has_no_p_value():
    speaks, words = rates(np.array([2, 0]), np.array([0, 0])), np.array([0, 0])
    quiet, louder = rates(np.array([0, 0]), words), rates(np.array([5, 1]), words)
    for a, b in ((quiet, speaks), (speaks, quiet), (speaks, louder)):
        assert math.isnan(randomisation_test(a, b))
        assert all(map(math.isnan, paired_interval(a, b)))
    nothing = rates(np.array([], int), np.array([], int))
    assert randomisation_test(nothing, nothing) == 1
    assert all(map(math.isnan, paired_interval(nothing, nothing)))


def test_words_in_silence_count_though_their_row_has_no_rate_of_its_own():
    words = np.array([0, *[10] * 40])
    a, b = rates(np.array([0] + [1] * 40), words), rates(np.array([90] + [1] * 40), words)
    assert randomisation_test(a, b) == 1  # one row decides: half of all swaps, and the other half is as far apart
    low, high, p = paired_interval(a, b)
    assert 0 == low < b.value - a.value < high
    assert 0 < p <= 1


# --- many rows ---


def test_a_hundred_thousand_rows_are_neither_held_trial_by_trial_nor_scored_one_by_one():
    sizes = []

    def figure(sums):
        sizes.append(len(sums))
        return share(sums)

    rng = np.random.default_rng(0)
    a, b = (Measure("f", np.stack([rng.random(100_000), np.ones(100_000)], axis=1), figure, "f") for _ in "ab")
    tracemalloc.start()
    try:
        p = randomisation_test(a, b, trials=100)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert 0 < p <= 1
    assert peak < 32e6  # the coins of all trials alone would be 80 MB
    assert sum(sizes) == 2 * 100 + 2  # each trial once for each system, and the observed figures


def test_rows_on_which_both_are_alike_take_no_coins():
    sizes = []

    def figure(sums):
        sizes.append(len(sums))
        return share(sums)

    errors = np.zeros(100_000)
    other = np.where(np.arange(100_000) < 10, 1.0, 0.0)
    a, b = (Measure("f", np.stack([e, np.ones(100_000)], axis=1), figure, "f") for e in (errors, other))
    assert randomisation_test(a, b) == pytest.approx(2 / 2**10, abs=4 * math.sqrt(2 / 2**10 / 10_000))
    assert len(sizes) == 4  # all trials at once


# --- whole systems ---


def row(name, target, text, task="asr", prompt="P", **more):
    return Hypothesis(id=name, audio="a.wav", task=task, prompt=prompt, target=target, text=text, **more)


def compared(rows, texts, **options):
    """(system a's rows, the answers of system b) -> differences by task and metric."""
    others = [row.model_copy(update={"text": text}) for row, text in zip(rows, texts, strict=True)]
    comparison = compare(measure(rows, Options(**options)), measure(others, Options(**options)), ("old", "new"))
    assert (comparison.a, comparison.b) == ("old", "new")
    return {(d.task, d.metric): d for d in comparison.differences}


ROWS = [
    row("one", "a b c d", "a b x x"),
    row("two", "e f", "e x"),
    row("three", "g", "g"),
    row("four", "i j k l", "w x y z"),
]
TEXTS = ["a b c d", "e y", "x", "i j k z"]


def test_a_difference_by_hand():
    found = compared(ROWS, TEXTS)["asr", "wer"]
    assert (found.a, found.b) == (7 / 11, 3 / 11)
    assert found.value == pytest.approx(-4 / 11)
    assert found.low <= found.value <= found.high
    assert (found.wins, found.ties, found.losses) == (2, 1, 1)
    assert (found.unit, found.lower_is_better) == ("fraction", True)
    assert "|norm:basic|" in found.signature
    assert [(c.id, c.a, c.b) for c in found.changed] == [("three", 0, 1), ("four", 1, 0.25), ("one", 0.5, 0)]
    change = found.changed[1]
    assert (change.prompt, change.reference, change.text_a, change.text_b) == ("P", "i j k l", "w x y z", "i j k z")


def test_every_metric_of_every_task_is_compared_and_more_is_better_where_it_is():
    question = "Where? A. here; B. there."
    rows = [*ROWS, row("s1", "A", "B", "sqa", question), row("s2", "B", "who knows", "sqa", question)]
    found = compared([*rows, row("none", None, "x", "er")], [*TEXTS, "A", "A", "sad"])
    assert list(found) == [("asr", "wer"), ("asr", "cer"), ("sqa", "accuracy")]
    sqa = found["sqa", "accuracy"]
    assert (sqa.a, sqa.b, sqa.wins, sqa.ties, sqa.losses) == (0, 0.5, 1, 1, 0)
    assert [change.id for change in sqa.changed] == ["s1"]


def best_of(**texts):
    """What is significantly best among systems that give the same answer to 30 rows, or these ones."""
    rows = [row(str(i), "a b c", "") for i in range(30)]
    given = {name: [said] * 30 if isinstance(said, str) else said for name, said in texts.items()}
    groups = {
        name: measure([r.model_copy(update={"text": t}) for r, t in zip(rows, said, strict=True)], Options())
        for name, said in given.items()
    }
    first, *others = groups
    return significantly_best(groups, [compare(groups[first], groups[name], (first, name)) for name in others])


def test_the_best_is_significant_only_where_it_beats_all_others_by_more_than_chance():
    assert best_of(a="a b x", b="a b c") == {("asr", "wer", "b"), ("asr", "cer", "b")}
    assert best_of(a="a b c", b="a b x") == {("asr", "wer", "a"), ("asr", "cer", "a")}
    assert best_of(a="a x x", b="a b c", c="a b c") == frozenset()  # b and c are alike
    nearly = ["a b c"] * 28 + ["a b x"] * 2
    assert best_of(a="a x x", b="a b c", c=nearly) == frozenset()  # two rows may be chance
    assert best_of(a="a x x", b="a b c", c="a b x") == {("asr", "wer", "b"), ("asr", "cer", "b")}
    assert best_of(a="a b c") == frozenset()


def test_the_same_answers_are_no_difference():
    rows = [*ROWS, row("st", "der letzte Bus fährt um zehn", "der letzte Bus fährt um elf", "st")]
    for found in compared(rows, [row.text for row in rows]).values():
        assert (found.value, found.low, found.high, found.p, found.p_bootstrap) == (0, 0, 0, 1, 1)
        assert (found.wins, found.losses, found.changed) == (0, 0, [])
        assert found.ties in (4, 1)


def test_translations_are_tested_by_sacrebleu():
    target = "der letzte Bus fährt um {} Uhr ab"
    rows = [row(str(i), target.format(i), target.format(i if i % 3 else 99), "st") for i in range(12)]
    texts = [target.format(i if i % 2 else 99) for i in range(12)]
    found = compared(rows, texts)
    assert list(found) == [("st", "bleu"), ("st", "chrf"), ("st", "ter")]
    references = [row.target for row in rows]
    for name, scorer in (("bleu", bleu.bleu), ("chrf", bleu.chrf), ("ter", bleu.ter)):
        a, b = scorer(references, [row.text for row in rows], None), scorer(references, texts, None)
        assert (found["st", name].p, found["st", name].p_bootstrap) == bleu.paired_test(a, b)
        assert (found["st", name].wins, found["st", name].losses) == (2, 4)
        assert found["st", name].unit == "points"


def test_the_rows_that_changed_most_come_first_and_are_few():
    rows = [row(str(n), "a b c d e f g h i j k l m n", "") for n in range(MAX_CHANGES + 4)]
    texts = [" ".join(rows[0].target.split()[:n]) for n in range(MAX_CHANGES + 4)]
    found = compared(rows, texts)["asr", "wer"]
    assert [change.id for change in found.changed] == [str(n) for n in range(MAX_CHANGES + 3, 3, -1)]
    assert (found.wins, found.ties) == (MAX_CHANGES + 3, 1)


def test_infinite_figures_of_rows_break_nothing():
    rows = [*ROWS, row("noise", "", ""), row("hum", "", "hm"), row("talk", "", "thank you")]
    found = compared(rows, [*TEXTS, "thanks for watching", "", "you"])["asr", "wer"]
    assert (found.a, found.b) == (10 / 11, 7 / 11)
    assert (found.wins, found.ties, found.losses) == (3, 2, 2)  # two infinite rates are alike
    assert {change.id for change in found.changed[:2]} == {"noise", "hum"}
    assert (found.changed[0].a, found.changed[0].b) == (0, math.inf)
    assert 0 < found.p <= 1 and found.low < found.high
    json.dumps(finite(asdict(found)), allow_nan=False)


def test_nothing_but_silence_has_no_p_value():
    found = compared([row("a", "", ""), row("b", "", "")], ["thank you", ""])["asr", "wer"]
    assert (found.a, found.b, found.value) == (0, math.inf, math.inf)
    assert all(map(math.isnan, (found.low, found.high, found.p, found.p_bootstrap)))
    assert (found.wins, found.ties, found.losses) == (0, 1, 1)
