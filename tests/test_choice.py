"""Golden verdicts: what a careful reader takes the answer to be."""

import pytest
from stopwatch import seconds

from wavllm_cli.prompts.pools import load_pool
from wavllm_cli.scoring.choice import (
    NO_MENTION,
    SEVERAL,
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


def test_two_emotions_of_a_corpus_are_two():
    assert read_emotion("bored or tired", extra=["bored", "tired"]) == SEVERAL
    assert read_emotion("Joyful and cheerful", extra=["Happy"]) == "happy"


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
    assert read_yes_no("Is there only one speaker? No.", "Is there only one speaker?") == "no"
    assert read_yes_no("Is there only one speaker?", "Is there only one speaker?") == NO_MENTION


def test_every_choice_is_found_by_its_letter_and_by_its_words():
    choices = ["Ten", "A train", "The Bahamas", "I do not know her", "今天", "3.5 kg", "In the end (perhaps)"]
    for letter, choice in zip("ABCDEFG", choices, strict=True):
        for text in (letter, f"({letter.lower()})", f"{letter}. {choice}", f"The answer is {letter}.", f"{choice}."):
            assert read_letter(text, choices) == letter, text


def test_without_choices_nothing_is_named():
    assert read_letter("B", []) == read_letter("by bus", []) == NO_MENTION


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"only_one_speaker": true}', "yes"),
        ('{"multiple_speakers": true}', "no"),
        ('{"multiple_speakers": false}', "yes"),
        ("Yes. Is that all you want to know?", "yes"),
        ("A man asks and a woman answers.", "no"),
        ("It is a monologue.", "yes"),
        ("A conversation between friends", "no"),
        ("Ja.", "yes"),
        ("Nein, es sind zwei.", "no"),
        ("是的，只有一个人在说话。", "yes"),
        ("不是", "no"),
        ("No way to tell, I cannot hear the clip", NO_MENTION),
        ("Yes, I can't hear a second voice", "yes"),
        ("I wonder whether there is only one speaker", NO_MENTION),
        ("No one else is speaking.", "yes"),
    ],
)
def test_yes_and_no_in_json_and_other_words(text, expected):
    assert read_yes_no(text, "Is there only one speaker in the audio clip?") == expected


def test_a_denial_after_a_mention_counts():
    assert read_letter("By bus – incorrect. In the man's car ❌. In her father's car", CHOICES) == "C"
    assert read_letter("A is not mentioned; B is ruled out; C", CHOICES) == "C"


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
