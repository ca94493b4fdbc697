"""Golden verdicts: what a careful reader takes the answer to be."""

import math

import pytest

from wavllm_cli.prompts.pools import load_pool
from wavllm_cli.scoring.choice import (
    NO_MENTION,
    SEVERAL,
    accuracy,
    asks_for_several,
    parse_choices,
    read_emotion,
    read_letter,
    read_yes_no,
)

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
        ("Yes", "yes"),
        ("no.", "no"),
        ("Yes, there is only one speaker.", "yes"),
        ("No, there are two different speakers.", "no"),
        ("The answer is yes.", "yes"),
        ("It is the same person", "yes"),
        ("It isn’t the same speaker", "no"),
        ("There is more than one speaker", "no"),
        ("The two voices belong to the same person.", "yes"),
        ("The two voices are different.", "no"),
        ("There is no other speaker", "yes"),
        ("No doubt, only one person", "yes"),
        ("Yes, there are two speakers", SEVERAL),
        ("yes and no", SEVERAL),
        ("I cannot tell", NO_MENTION),
        ("", NO_MENTION),
    ],
)
def test_read_yes_no(text, expected):
    assert read_yes_no(text, "Is there only one speaker in the audio clip?") == expected


def test_the_question_decides_what_two_speakers_mean():
    assert read_yes_no("There are two speakers", "Are there two different speakers?") == "yes"
    assert read_yes_no("There are two speakers", "Is it one speaker or are there two speakers?") == "no"


def test_every_wording_of_the_pool_means_one_speaker_by_yes():
    assert not [wording for wording in load_pool("sv") if asks_for_several(wording)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("sad", "sad"),
        ("The speaker is unhappy.", "sad"),
        ("Anger!", "angry"),
        ("He sounds mad, really furious", "angry"),
        ("not sad but angry", "angry"),
        ("neither happy nor sad; neutral", "neutral"),
        ("She doesn’t sound happy, she sounds frustrated", "frustrated"),
        ("happy or sad", SEVERAL),
        ("not happy", NO_MENTION),
        ("bored", NO_MENTION),
        ("", NO_MENTION),
    ],
)
def test_read_emotion(text, expected):
    assert read_emotion(text) == expected


def test_a_corpus_may_bring_emotions_of_its_own():
    assert read_emotion("Clearly bored.", extra=["Bored"]) == "bored"


def test_accuracy_counts_what_was_not_answered_as_wrong():
    r = accuracy(["A", "B", NO_MENTION, SEVERAL], ["A", "C", "A", "A"], "letter")
    assert (r.value, r.n, r.correct, r.unanswered, r.ambiguous) == (0.25, 4, 1, 1, 1)
    assert r.low <= r.value <= r.high
    assert r.signature.startswith("accuracy|answer:letter|")


def test_the_interval_of_an_accuracy_is_near_the_binomial_one():
    r = accuracy(["A"] * 800 + ["B"] * 200, ["A"] * 1000, "letter")
    half = 1.96 * math.sqrt(0.8 * 0.2 / 1000)
    assert r.low == pytest.approx(0.8 - half, abs=0.004)
    assert r.high == pytest.approx(0.8 + half, abs=0.004)
