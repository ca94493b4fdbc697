"""Golden verdicts: what a careful reader takes the answer to be."""

import pytest

from wavllm_cli.tasks.answers.commitment import NO_MENTION, SEVERAL
from wavllm_cli.tasks.answers.emotion import read_emotion


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


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The speaker sounds fröhlich", "happy"),
        ("说话人很悲伤。", "sad"),
        ("Il est en colère.", "angry"),
        ("sadly, no sadism", NO_MENTION),
        ("She is glad, delighted even", "happy"),
    ],
)
def test_emotions_in_other_words_and_languages(text, expected):
    assert read_emotion(text) == expected


def test_a_corpus_may_bring_emotions_of_its_own():
    assert read_emotion("Clearly bored.", extra=["Bored"]) == "bored"


def test_two_emotions_of_a_corpus_are_two():
    assert read_emotion("bored or tired", extra=["bored", "tired"]) == SEVERAL
    assert read_emotion("Joyful and cheerful", extra=["Happy"]) == "happy"
