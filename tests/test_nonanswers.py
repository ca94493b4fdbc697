"""What answers nothing, beside its nearest neighbour that does."""

import pytest
from stopwatch import seconds

from wavllm_cli.prompts.pools import load_pool
from wavllm_cli.tasks.answers.nonanswers import is_echo, loops, nothing_said, refuses

QUESTION = "What is the capital of New Zealand?"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "chatter"),
        ("🙂 …", "chatter"),
        ("Sure!", "chatter"),
        ("Certainly.", "chatter"),
        ("Here are the answers to your questions:", "chatter"),
        ("Let me know if you need anything else!", "chatter"),
        ("You're welcome 😊", "chatter"),
        ("I'm sorry, but I can't listen to audio.", "refusal"),
        ("As an AI language model, I have no ears.", "refusal"),
        ("As a text-based assistant I have no access to sound.", "refusal"),
        ("There is no audio clip attached to this message.", "refusal"),
        ("Please provide the recording.", "refusal"),
        ("I don't know.", "refusal"),
        ("It is impossible to tell.", "refusal"),
        ("I will now translate the summary.", "announcement"),
        ("Next, I am going to transcribe it", "announcement"),
        ("Let me summarise the clip for you:", "announcement"),
        ("[your answer here]", "placeholder"),
        ("The translation is [insert translation]", "placeholder"),
        ("<transcription>", "placeholder"),
        ("...", "chatter"),
        ("N/A", "placeholder"),
        (QUESTION, "echo"),
        ("Next, what is the capital of New Zealand", "echo"),
    ],
)
def test_what_answers_nothing(text, why):
    assert nothing_said(text, QUESTION) == why


@pytest.mark.parametrize(
    "text",
    [
        "Wellington",
        "The capital of New Zealand is Wellington.",
        "Sure, the capital is Wellington.",
        "Certainly not a big city",
        "He is sure that she will come.",
        "I will always love you.",
        "I can see a house by the sea.",
        "She could not sleep that night.",
        "The list (in order) is long",
        "The well-known mother-in-law",
        "Well... I think it was Tuesday",
        "Yes",
        "B",
        "42",
    ],
)
def test_what_is_an_answer(text):
    assert nothing_said(text, QUESTION) is None


def test_a_transcription_of_a_refusal_is_none():
    heard = "i'm sorry i can't hear you could you say that again"
    assert nothing_said("I'm sorry, I can't hear you. Could you say that again?", transcript=heard) is None
    assert nothing_said("I'm sorry, I can't listen to audio clips.", transcript=heard) == "refusal"


def test_a_refusal_comes_at_the_beginning():
    assert refuses("I cannot hear any audio.")
    assert not refuses("The band played on. " * 20 + "I cannot hear any audio.")


def test_an_echo_is_the_instruction_in_its_words_whatever_leads_in():
    prompt = "translate this English summary into German"
    assert is_echo("Finally, translate this English summary into German.", prompt)
    assert is_echo("Translate the English summary into German", prompt)
    assert not is_echo("Translate this English summary into German: Der Bus war weg.", prompt)
    assert not is_echo("This English summary", prompt)  # too little of it
    assert not is_echo("", prompt) and not is_echo(prompt, "")


def test_an_answer_in_the_words_of_its_question_is_no_echo():
    assert not is_echo(
        "Yes, there is only one speaker in the audio clip.", "Is there only one speaker in the audio clip?"
    )
    assert not is_echo("The capital of New Zealand is Wellington", QUESTION)


@pytest.mark.parametrize("pool", ["asr", "st", "sv", "er"])
def test_every_wording_of_a_pool_is_an_echo_of_itself_alone(pool):
    wordings = [wording.replace("{language}", "German") for wording in load_pool(pool)]
    long = [wording for wording in wordings if len(wording.split()) > 3]
    assert long and all(is_echo(wording, wording) for wording in long)
    assert not any(is_echo("the bus left at ten", wording) for wording in wordings)


def test_a_loop_is_told_by_its_end():
    assert loops("the bus left. " * 20)
    assert loops("She went home early in the rain and said that " + "it was late " * 30)
    assert loops("今天天气" * 20)
    assert loops("no " * 12)
    assert not loops("no " * 11)
    assert not loops("The bus left at ten and we had to walk all the way home in the rain.")
    assert not loops(
        "it was late " * 30 + "but then, after the long cold night, a bright new morning came over the hills "
        "and everybody who had been asleep until that moment woke up, opened a window, and sang an old song"
    )
    assert not loops("")


@pytest.mark.parametrize(
    "text", ["here is " + "answer " * 5000 + ": x", "[" * 20_000, "-" * 20_000 + "x", "(a" * 10_000]
)
def test_long_answers_are_not_gone_over_again_and_again(text):
    assert seconds(nothing_said, text, QUESTION) < 1.0
