"""Asking a system: one item costs no other its answer, and only the system itself ends everything."""

import numpy as np
import pytest
from fake_system import FakeSystem, drained

from wavllm_cli.errors import AudioError
from wavllm_cli.systems import asking
from wavllm_cli.systems.asking import ask, stream
from wavllm_cli.systems.base import Answer, Failure, Item, SystemFailed

ITEMS = [Item(name, "hello", np.zeros(samples, np.float32)) for samples, name in enumerate("abcde", 1)]


@pytest.fixture
def system():
    return FakeSystem()


@pytest.fixture
def failing(system):
    """Function: let every batch fail in which an item is, or that is larger than `most`."""

    def arrange(error, item=None, most=100):
        def fault(ids):
            if item in ids or len(ids) > most:
                raise error

        system.fault = fault

    return arrange


def ids(outcomes):
    return [outcome.text[0] if isinstance(outcome, Answer) else outcome.sentence for outcome in outcomes]


def test_answers_come_in_order(system):
    assert ids(ask(system, ITEMS)) == list("abcde")
    assert system.asked == [list("abcde")]
    assert ask(system, []) == []


def test_a_turn_of_a_conversation_is_refused_by_a_system_that_has_none(system, monkeypatch):
    turn = Item("f", "And then?", history=(("What happens?", "Nothing."),))
    assert ids(ask(system, [ITEMS[0], turn])) == [
        "a",
        "it goes on from earlier questions, and this system answers each by itself.",
    ]
    monkeypatch.setattr(system, "converses", True)
    assert ids(ask(system, [turn])) == ["f"]


def test_what_does_not_fit_together_is_halved(system, failing):
    failing(MemoryError(), most=2)
    assert ids(ask(system, ITEMS)) == list("abcde")
    assert [len(batch) for batch in system.asked] == [5, 2, 3, 1, 2]
    assert system.released == 2


def test_what_will_not_fit_is_not_tried(system, monkeypatch):
    monkeypatch.setattr(system, "fits", lambda items: sum(item.length for item in items) <= 5)
    monkeypatch.setattr(system, "memory_problem", lambda item: "it is too long" if item.length > 4 else None)
    assert ids(ask(system, ITEMS)) == ["a", "b", "c", "d", "it is too long."]
    assert system.asked == [["a", "b"], ["c"], ["d"]]


def test_what_can_never_be_answered_is_not_prepared(system, monkeypatch):
    def problem(item):
        if item.id == "b":
            raise KeyError("x")
        return "it is too long" if item.id == "d" else None

    monkeypatch.setattr(system, "problem", problem)
    prepared = asking.prepare(system, ITEMS)
    assert prepared.inputs == [1, 3, 5]
    outcomes = asking.answer(system, prepared)
    assert outcomes["b"].sentence.startswith("it cannot be answered: 'x' is missing")
    assert ids(outcomes[name] for name in "acde") == ["a", "c", "it is too long.", "e"]


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (MemoryError(), "it does not fit into the memory of nowhere, even alone."),
        (RuntimeError("shape '[1]' is invalid"), "it cannot be answered: shape '[1]' is invalid."),
        (AudioError("too short."), "too short."),
    ],
    ids=["memory", "library", "ours"],
)
def test_an_error_is_the_items_that_it_comes_with(system, failing, error, sentence):
    failing(error, item="c")
    assert ids(ask(system, ITEMS)) == ["a", "b", sentence, "d", "e"]


def test_an_error_of_preparing_is_found_out_too(system, monkeypatch):
    prepare = system.prepare

    def failing(items):
        if any(item.id == "c" for item in items):
            raise ValueError("no such token")
        return prepare(items)

    monkeypatch.setattr(system, "prepare", failing)
    assert ids(ask(system, ITEMS)) == ["a", "b", "it cannot be answered: no such token.", "d", "e"]


def test_a_system_that_fails_is_not_asked_again(system, failing):
    failing(SystemFailed("Device x has failed."), item="c")
    with pytest.raises(SystemFailed, match=r"^Device x has failed\.$"):
        ask(system, ITEMS)
    assert len(system.asked) == 1
    with pytest.raises(SystemFailed):
        drained(stream(system, ITEMS[2]))


def test_a_stream_is_the_answer_or_the_failure(system, failing):
    assert drained(stream(system, ITEMS[0])) == (["a in 6: 1"], Answer("a in 6: 1"))
    failing(ValueError("broken"), item="a")
    assert drained(stream(system, ITEMS[0])) == ([], Failure("it cannot be answered: broken."))
