"""Plain requests for a transcript or a translation."""

import pytest

from wavllm_cli.prompts.plain_requests import plain_task
from wavllm_cli.prompts.pools import load_pool

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
    "Write down everything that is said",
    "Transcribe the lecture.",
]
TRANSLATION = [
    "Translate the audio.",
    "Translate into German.",
    "translate the podcast into Portuguese and French, please",
    "Give me the Chinese translation of this recording",
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
    "Is this German?",
    "Does the speaker speak German?",
    "Translate the word house.",
    "Who is the speaker?",
    "What is the emotion of the speaker?",
    "Give me a title for this clip",
]


@pytest.mark.parametrize(
    ("task", "instruction"),
    [*(("asr", said) for said in PLAIN), *(("st", said) for said in TRANSLATION), *((None, said) for said in OTHER)],
)
def test_a_request_is_plain_or_asks_for_more_or_something_else(task, instruction):
    assert plain_task(None, instruction) == task


def test_a_task_that_has_no_prompt_of_its_own_decides():
    assert plain_task("st", "Transcribe.") == "st" and plain_task("er", "Transcribe.") == "er"
    assert plain_task("sqa", "Transcribe.") == "asr" and plain_task("sqa", "Why?") is None


def test_the_pools_tell_themselves_apart():
    assert {plain_task(None, wording) for wording in load_pool("asr")} == {"asr"}
    assert {plain_task(None, wording.replace("{language}", "German")) for wording in load_pool("st")} == {"st"}
    others = [wording for task in ("er", "sv", "sqqa", "summ") for wording in load_pool(task)]
    assert {plain_task(None, wording) for wording in others} == {None}
