"""Golden verdicts: what a careful reader takes the answer to be."""

import pytest

from wavllm_cli.prompts.pools import load_pool
from wavllm_cli.tasks.answers.commitment import NO_MENTION, SEVERAL
from wavllm_cli.tasks.answers.yes_no import asks_for_several, read_yes_no


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


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"only_one_speaker": true}', "yes"),
        ('{"multiple_speakers": true}', "no"),
        ('{"multiple_speakers": false}', "yes"),
        ('{"clip": 3, "several_speakers": true}', "no"),
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


def test_the_question_decides_what_two_speakers_mean():
    assert read_yes_no("There are two speakers", "Are there two different speakers?") == "yes"
    assert read_yes_no("There are two speakers", "Is it one speaker or are there two speakers?") == "no"


def test_every_wording_of_the_pool_means_one_speaker_by_yes():
    assert not [wording for wording in load_pool("sv") if asks_for_several(wording)]


def test_a_repeated_question_is_no_yes():
    assert read_yes_no("Is there only one speaker? No.", "Is there only one speaker?") == "no"
    assert read_yes_no("Is there only one speaker?", "Is there only one speaker?") == NO_MENTION
