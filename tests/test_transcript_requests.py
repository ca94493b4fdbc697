"""Plain requests for a transcript."""

import pytest

from wavllm_cli.prompts.pools import load_pool
from wavllm_cli.prompts.transcript_requests import asks_for_transcript

PLAIN = [
    "Transcribe the audio.",
    "Transcribe.",
    "TRANSCRIPT PLEASE",
    "Please write down what is said",
    "Please transcribe the following audio into text",
    "Write out the words spoken.",
    "Give me the transcript of this recording",
    "Convert this audio to text",
    "Type what you hear.",
]
OTHER = [
    "",
    "Summarise.",
    "Correct the speech.",
    "Summarize the talk, then translate the summary into German.",
    "Transcribe the audio and translate it into French.",
    "Transcribe the audio and then summarize it.",
    "What does the speaker say about France?",
    "What is the audio about?",
    "How many people speak?",
    "Which language is spoken?",
    "Who is the speaker?",
    "What is the emotion of the speaker?",
    "Give me a title for this clip",
]


@pytest.mark.parametrize("instruction", PLAIN)
def test_a_request_for_the_words_alone(instruction):
    assert asks_for_transcript(instruction)


@pytest.mark.parametrize("instruction", OTHER)
def test_whatever_asks_for_more_or_something_else(instruction):
    assert not asks_for_transcript(instruction)


def test_the_pools_tell_themselves_apart():
    assert all(map(asks_for_transcript, load_pool("asr")))
    others = [wording for task in ("st", "er", "sv", "sqqa") for wording in load_pool(task)]
    assert not [wording for wording in others if asks_for_transcript(wording)]
