"""Golden verdicts: what a careful reader takes the answer to be."""

import pytest

from wavllm_cli.tasks.answers.choice import listed_choices, parse_choices, read_letter
from wavllm_cli.tasks.answers.commitment import NO_MENTION, SEVERAL

CHOICES = ["By bus", "In the man’s car", "In her father’s car"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("B", "B"),
        ("(b)", "B"),
        (" c.\n", "C"),
        ("A", "A"),
        ("The answer is B.", "B"),
        ("answer: b", "B"),
        ("the answer is b, because he offers", "B"),
        ("The correct answer is (C) In her father's car", "C"),
        ("B. In the man's car", "B"),
        ("**B**", "B"),
        ("I think it is A.", "A"),
        ("Option C is right", "C"),
        ("In her father's car.", "C"),
        ("She goes home by bus", "A"),
        ("The answer is B because A is wrong", "B"),
        ("The correct answer is B, not A", "B"),
        ("She doesn't go by bus; she goes in the man's car.", "B"),
        ("The answer is A or B", SEVERAL),
        ("Both A and B", SEVERAL),
        ("A. In the man's car", SEVERAL),
        ("by bus, or in the man's car", SEVERAL),
        ("D", NO_MENTION),
        ("A man and a woman talk", NO_MENTION),
        ("I don't know", NO_MENTION),
        ("The answer is not B", NO_MENTION),
        ("It is not by bus", NO_MENTION),
        ("", NO_MENTION),
    ],
)
def test_read_letter(text, expected):
    assert read_letter(text, CHOICES) == expected


def test_a_choice_within_a_longer_one_is_not_a_second_answer():
    assert read_letter("by bus and train", ["By bus", "By bus and train"]) == "B"
    assert read_letter("he takes the bus", ["bus", "business"]) == "A"


@pytest.mark.parametrize(
    ("prompt", "choices"),
    [
        ("How does she go? A. By bus; B. In the man’s car; C. In her father’s car.", CHOICES),
        ("When? (A) now (B) later", ["now", "later"]),
        ("When?\nA: now\nB: later", ["now", "later"]),
        ("Who is Mr. A. Smith?", []),
        ("What is the capital of New Zealand?", []),
    ],
)
def test_parse_choices(prompt, choices):
    assert [c.replace("’", "'") for c in parse_choices(prompt)] == [c.replace("’", "'") for c in choices]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"answer": "B"}', "B"),
        ('```json\n{"answer": "B", "reason": "he offers, A is wrong"}\n```', "B"),
        ('{"question": "By bus or on foot?", "answer": "In the man\'s car"}', "B"),
        ('"C"', "C"),
        ('{"letter": null}', NO_MENTION),
        ("{}", NO_MENTION),
        ("A is wrong, B is wrong, so C", "C"),
        ("First I thought A. But my final answer is B.", "B"),
        ("The second option", "B"),
        ("not the first option but the last option", "C"),
        ("选择B。", "B"),
        ("A, B, C", NO_MENTION),
        ("Either A or C", SEVERAL),
        ("I cannot hear the audio.", NO_MENTION),
        ("How does she go home? By bus.", "A"),
    ],
)
def test_letters_in_json_reasons_and_other_words(text, expected):
    assert read_letter(text, CHOICES, "How does she go home?") == expected


def test_numbers_in_words_are_those_in_digits():
    assert read_letter("It lasts twenty-two minutes.", ["12 minutes", "22 minutes", "2 hours"]) == "B"
    assert read_letter("It lasts 12 minutes.", ["twelve minutes", "twenty-two minutes"]) == "A"


def test_a_repeated_question_names_no_choice():
    question = "Does she go by bus or on foot? A. By bus; B. On foot"
    assert read_letter(f"{question}\nB", ["By bus", "On foot"], question) == "B"
    assert read_letter(question, ["By bus", "On foot"], question) == NO_MENTION


def test_every_choice_is_found_by_its_letter_and_by_its_words():
    choices = ["Ten", "A train", "The Bahamas", "I do not know her", "今天", "3.5 kg", "In the end (perhaps)"]
    for letter, choice in zip("ABCDEFG", choices, strict=True):
        for text in (letter, f"({letter.lower()})", f"{letter}. {choice}", f"The answer is {letter}.", f"{choice}."):
            assert read_letter(text, choices) == letter, text


def test_without_choices_nothing_is_named():
    assert read_letter("B", []) == read_letter("by bus", []) == NO_MENTION


def test_a_denial_after_a_mention_counts():
    assert read_letter("By bus – incorrect. In the man's car ❌. In her father's car", CHOICES) == "C"
    assert read_letter("A is not mentioned; B is ruled out; C", CHOICES) == "C"


def test_choices_beyond_z_are_found_by_their_words():
    choices = [f"choice{i}" for i in range(28)]
    assert read_letter("one two", choices) == NO_MENTION
    assert read_letter("It is choice25.", choices) == "Z"
    assert read_letter("It is choice26.", choices) == "AA"
    assert read_letter("AB. choice27", choices) == "AB"
    assert read_letter("D", choices) == "D"


@pytest.mark.parametrize(
    "answer",
    [
        "By bus. On foot.",
        "By bus\nOn foot",
        "(A) By bus\n(B) On foot",
        "A. By bus. B. On foot.",
        "The answer is A. By bus or B. On foot",
    ],
)
def test_two_choices_stated_in_full_are_two(answer):
    for choices in (["By bus", "On foot"], ["By bus", "On foot", "By train"]):
        assert read_letter(answer, choices) == SEVERAL


@pytest.mark.parametrize(
    "written",
    [
        ["by bus", "it's on foot"],
        {"A": "by bus", "B": "it's on foot"},
        """['by bus', "it's on foot"]""",
        '["by bus", "it\'s on foot"]',
        """['by bus'\n "it's on foot"]""",
        '{"A": "by bus", "B": "it\'s on foot"}',
        "by bus\nit's on foot",
        "A. by bus\nB. it's on foot",
    ],
)
def test_choices_are_a_list_however_they_are_written(written):
    assert listed_choices(written) == ["by bus", "it's on foot"]
    assert read_letter("It's on foot", listed_choices(written)) == "B"


def test_what_is_no_list_of_choices_stays_as_it_is():
    assert [listed_choices(value) for value in (None, 5, "[by bus, on foot]")] == [None, 5, "[by bus, on foot]"]


def test_choices_may_bring_their_letters():
    labelled = ["(A) By bus", "(B) On foot"]
    assert [read_letter(text, labelled) for text in ("On foot.", "(B) On foot", "B")] == ["B"] * 3
