"""What holds of every reader, and the rules that they share."""

import pytest
from stopwatch import seconds

from wavllm_cli.tasks.answers.choice import read_letter
from wavllm_cli.tasks.answers.commitment import NO_MENTION, SEVERAL, denied, from_json, negated, only, without_question
from wavllm_cli.tasks.answers.emotion import read_emotion
from wavllm_cli.tasks.answers.yes_no import read_yes_no

CHOICES = ["By bus", "In the man’s car", "In her father’s car"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"answer": "B"}', "B"),
        ('{"reason": "A is wrong", "answer": "B", "label": 2}', "B. 2"),
        ('{"mood": "sad", "certain": true}', "sad. yes"),
        ('{"two_speakers": true}', "no"),
        ('```json\n"C"\n```', "C"),
        ('["B", "C"]', '["B", "C"]'),
        ("{B", "{B"),
    ],
)
def test_json_is_read_for_its_answer(text, expected):
    assert from_json(text) == expected


def test_a_question_is_dropped_once_and_only_if_it_is_one():
    assert without_question("HOW is she? How is she? Sad", "How is she?").split() == ["How", "is", "she?", "Sad"]
    assert without_question("Why? Sad", "Why?") == "Why? Sad"


@pytest.mark.parametrize(
    ("text", "before", "after"),
    [
        ("it is X", False, False),
        ("it is not X", True, True),
        ("it doesn't seem X", True, True),
        ("not in the least like X", False, False),  # three words and more are too far away
        ("not Y, but X", False, False),
        ("X is wrong", False, True),
        ("X ❌", False, True),
        ("X because Y is wrong", False, False),
    ],
)
def test_a_mention_is_denied_before_it_or_after_it(text, before, after):
    start = text.index("X")
    assert (negated(text, start), denied(text, start, start + 1)) == (before, after)


def test_only_one_thing_is_an_answer():
    assert [only(set(found)) for found in ("", "A", "AB")] == [NO_MENTION, "A", SEVERAL]


@pytest.mark.parametrize("text", ["", "?!", "[" * 100_000, '{"a":' * 100_000, '{"answer": ' * 900 + '"B"' + "}" * 900])
def test_whatever_the_text_there_is_an_answer(text):
    for answer in (read_letter(text, CHOICES), read_yes_no(text), read_emotion(text)):
        assert answer in {NO_MENTION, SEVERAL, "B"}


@pytest.mark.parametrize(
    "unit",
    [
        *("by bus ", "not by bus ", "the answer is b ", "I would choose A ", "second option ", "A and ", "that is so "),
        *("a man ", "a male ", "one speaker and ", "Yes, ", "is it one ", "sad ", "not ", "word, "),
        *("[", '{"a":', "你", " "),
    ],
)
def test_long_answers_are_not_gone_over_again_and_again(unit):
    text = unit * (20_000 // len(unit))
    assert seconds(read_letter, text, CHOICES, "How does she go home?") < 1.5
    assert seconds(read_yes_no, text, "Is there only one speaker?") < 1.5
    assert seconds(read_emotion, text) < 1.5
