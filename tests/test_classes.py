import math
import random

import numpy as np
import pytest

from wavllm_cli.scoring.metrics.classes import accuracy, balanced_accuracy, confusion, exact, macro_f1
from wavllm_cli.tasks.answers.commitment import NO_MENTION, SEVERAL

KEYS = ["sad", "sad", "happy", "angry", "angry", "angry"]
ANSWERS = ["sad", "angry", "happy", "angry", NO_MENTION, SEVERAL]
METRICS = [accuracy, balanced_accuracy, macro_f1]


def random_answers(n: int, seed: int = 0) -> tuple[list[str], list[str]]:
    """(answers, keys): one class is rare, another is answered but never right."""
    rng = random.Random(seed)
    keys = rng.choices(["angry", "happy", "neutral", "sad"], weights=[30, 10, 60, 3], k=n)
    others = ["angry", "happy", "neutral", "sad", "excited", NO_MENTION, SEVERAL]
    return [key if rng.random() < 0.6 else rng.choice(others) for key in keys], keys


def by_definition(answers: list[str], keys: list[str]) -> tuple[float, float]:
    """Balanced accuracy and macro-F1 from precision and recall of each class among the keys."""
    recalls, f1s = [], []
    for name in set(keys):
        hits = sum(a == k == name for a, k in zip(answers, keys, strict=True))
        recall = hits / keys.count(name)
        precision = hits / answers.count(name) if name in answers else 0
        recalls.append(recall)
        f1s.append(2 * precision * recall / (precision + recall) if hits else 0)
    return sum(recalls) / len(recalls), sum(f1s) / len(f1s)


def test_figures_by_hand():
    assert accuracy(ANSWERS, KEYS, "emotion").value == 3 / 6
    assert balanced_accuracy(ANSWERS, KEYS, "emotion").value == pytest.approx((1 / 2 + 1 + 1 / 3) / 3)
    # precision: 1 of 1 sad, 1 of 1 happy, 1 of 2 angry; recall as above
    assert macro_f1(ANSWERS, KEYS, "emotion").value == pytest.approx((2 / 3 + 1 + 2 / 5) / 3)


def test_what_could_not_be_read_is_wrong_and_counted_apart():
    assert accuracy(ANSWERS, KEYS, "emotion").counts == {"correct": 3, NO_MENTION: 1, SEVERAL: 1}
    unread = [NO_MENTION, SEVERAL, NO_MENTION]
    for metric in METRICS:
        assert metric(unread, ["yes", "no", "no"], "yes-no").value == 0


def test_figures_are_those_of_precision_and_recall():
    for seed in range(20):
        answers, keys = random_answers(80, seed)
        recall, f1 = by_definition(answers, keys)
        assert balanced_accuracy(answers, keys, "emotion").value == pytest.approx(recall)
        assert macro_f1(answers, keys, "emotion").value == pytest.approx(f1)


@pytest.mark.parametrize("metric", METRICS)
def test_the_figure_of_some_rows_is_that_of_these_rows_alone_even_if_they_lack_a_class(metric):
    answers, keys = random_answers(60)
    whole, rng = metric(answers, keys, "emotion"), random.Random(1)
    lacking = 0
    for _ in range(50):
        drawn = rng.choices(range(60), k=12)
        some = metric([answers[i] for i in drawn], [keys[i] for i in drawn], "emotion")
        assert whole.figure(whole.statistics[drawn].sum(axis=0, keepdims=True))[0] == pytest.approx(some.value)
        lacking += {keys[i] for i in drawn} != set(keys)
    assert lacking > 10


@pytest.mark.parametrize("metric", METRICS)
def test_a_row_alone_is_right_or_wrong(metric):
    np.testing.assert_array_equal(metric(ANSWERS, KEYS, "emotion").rows, [1, 0, 1, 1, 0, 0])


@pytest.mark.parametrize("metric", METRICS)
def test_an_interval_holds_the_figure_though_a_class_is_rare(metric):
    measure = metric(["yes"] * 30 + ["no"] * 10 + ["no"], ["yes"] * 40 + ["no"], "yes-no")
    low, high = measure.interval()
    assert 0 < low < measure.value < high <= 1


def test_guessing_the_commonest_class_gains_nothing_but_accuracy():
    keys = ["yes"] * 90 + ["no"] * 10
    always = ["yes"] * 100
    assert accuracy(always, keys, "yes-no").value == 0.9
    assert balanced_accuracy(always, keys, "yes-no").value == 0.5
    assert macro_f1(always, keys, "yes-no").value == pytest.approx(0.9 / 1.9)


@pytest.mark.parametrize("metric", METRICS)
def test_the_signature_names_the_metric_and_what_was_read(metric):
    measure = metric(["A"], ["A"], "letter")
    assert measure.signature.startswith(f"{measure.metric}|answer:letter|wavllm:")


@pytest.mark.parametrize("metric", METRICS)
def test_no_rows_and_unequal_lengths(metric):
    none = metric([], [], "letter")
    assert len(none.rows) == 0 and not none.value > 0
    assert all(map(math.isnan, none.interval()))
    with pytest.raises(ValueError, match="2 references but 1 hypotheses"):
        metric(["A"], ["A", "A"], "letter")


# --- the confusion matrix ---


def test_a_confusion_matrix_has_a_column_for_what_could_not_be_read():
    assert confusion(ANSWERS, KEYS) == {
        "angry": {"angry": 1, "happy": 0, "sad": 0, NO_MENTION: 1, SEVERAL: 1},
        "happy": {"angry": 0, "happy": 1, "sad": 0, NO_MENTION: 0, SEVERAL: 0},
        "sad": {"angry": 1, "happy": 0, "sad": 1, NO_MENTION: 0, SEVERAL: 0},
    }


def test_columns_are_in_alphabetical_order_and_those_of_the_unread_come_last_if_there_are_any():
    assert list(confusion(["zest", SEVERAL, NO_MENTION], ["zest"] * 3)["zest"]) == ["zest", NO_MENTION, SEVERAL]
    assert list(confusion(["b", "c"], ["a", "a"])["a"]) == ["a", "b", "c"]
    assert confusion([], []) == {}


def test_every_row_stands_in_one_cell():
    answers, keys = random_answers(200)
    matrix = confusion(answers, keys)
    assert {key: sum(row.values()) for key, row in matrix.items()} == {
        key: keys.count(key) for key in sorted(set(keys))
    }
    for given in set(answers):
        assert sum(row[given] for row in matrix.values()) == answers.count(given)


# --- texts ---


def test_exact_compares_whole_texts_by_their_words_and_an_empty_one_is_never_right():
    pairs = [
        ("Wellington.", "wellington"),
        ("Wellington", "It is Wellington"),
        ("x", ""),
        ("!!!", ""),
        ("Größe", "größe!"),
    ]
    references, texts = zip(*pairs, strict=True)
    measure = exact(references, texts)
    np.testing.assert_array_equal(measure.rows, [1, 0, 0, 0, 1])
    assert measure.value == 2 / 5
    assert measure.signature.startswith("exact|norm:basic|")
    assert len(exact([], []).rows) == 0


def test_exact_takes_any_of_several_references():
    measure = exact([["Yes.", "It is"], ["no"], [""]], ["it is", "yes", ""])
    assert measure.rows.tolist() == [1, 0, 0] and "|refs:var|" in measure.signature
