import pytest

from wavllm_cli.audit.letter_case import CAPITALS, LOWER, MIXED, NOTHING, WORD, Cases, way
from wavllm_cli.data.schema import Utterance


def found(*targets: str, task: str = "asr", corpora: str = "") -> list[tuple[int, bool]]:
    cases = Cases()
    for number, target in enumerate(targets):
        corpus = corpora[number] if corpora else None
        cases.add(Utterance(id=str(number), audio="a", task=task, prompt="", target=target, corpus=corpus))
    return [(row, is_lower) for row, _, is_lower in cases.found()]


@pytest.mark.parametrize(
    ("text", "is_written"),
    [("one two", LOWER), ("One two", MIXED), ("iPhone", MIXED), ("ONE TWO", CAPITALS), ("USA", WORD), ("A 2 3", WORD),
     ("", NOTHING), ("你好 12", NOTHING), ("größe", LOWER)],
)  # fmt: skip
def test_ways_of_writing(text, is_written):
    assert way(text) == is_written


def test_exceptions_are_found_and_a_corpus_without_one_way_has_none():
    assert found(*["one two"] * 9, "One two") == [(9, True)]
    assert found(*["one two"] * 9, "USA") == [(9, True)]
    assert found(*["One two"] * 9, "one two", "USA") == [(9, False)]
    assert found(*["one two"] * 5, *["One two"] * 5) == found("USA", "UK") == found("你好") == found() == []


def test_capitals_throughout_would_be_right_in_lower_case():
    assert found(*["ONE TWO"] * 3) == [(0, True), (1, True), (2, True)]
    assert found(*["ONE TWO"] * 9, "USA", "one two") == [(row, True) for row in range(10)]
    assert found(*["One two"] * 9, "ONE TWO") == [(9, False)]


def test_every_corpus_has_its_own_way_and_only_what_is_said_has_one():
    assert found(*["one two"] * 5, *["One two"] * 5, corpora="aaaaabbbbb") == []
    assert found(*["one two"] * 9, "ONE TWO", task="sqa") == []
