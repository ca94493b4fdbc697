import random
import re
import time

import pytest

from wavllm_cli.prompts import wording_checks as checks
from wavllm_cli.prompts.pools import ATTACH_TASKS, load_pool, load_roles
from wavllm_cli.prompts.wording_checks import Known, find_fault, tidy

ROLES = [(kind, role) for kind in ("ii", "cot") for role in load_roles(kind)]

BAD = [
    ("asr", "", checks.EMPTY),
    ("asr", "?!", checks.EMPTY),
    ("asr", "Write down the words.\nEach of them.", checks.LINE_BREAK),
    ("asr", "Write down the words; leave nothing out.", checks.SEPARATOR),
    ("asr", "Write down the words " + "and the words " * 20, checks.TOO_LONG),
    ("asr", "Transcribe the speech in {language}.", checks.SLOT),
    ("asr", "Transcribe [audio file].", checks.SLOT),
    ("asr", "Transcribe {the audio.", checks.SLOT),
    ("asr", "Transcribe the audio and return JSON.", checks.FORMAT),
    ("asr", "Write the words as a bulleted list.", checks.FORMAT),
    ("asr", "Give a transcript with timestamps.", checks.FORMAT),
    ("asr", "Give a transcript with a time stamp for each word.", checks.FORMAT),
    ("asr", "Transcribe everything IN UPPER CASE.", checks.FORMAT),
    ("asr", "Transcribe the recording with speaker labels.", checks.FORMAT),
    ("asr", "Write out the speech with correct punctuation.", checks.FORMAT),
    ("asr", "Write the words under headings in Markdown.", checks.FORMAT),
    ("asr", "Transcribe the speech and write numbers as digits.", checks.FORMAT),
    ("asr", "Write down what is said and translate it.", checks.FOREIGN),
    ("asr", "Summarise what is said in the recording.", checks.FOREIGN),
    ("asr", "Write the words and name the emotion.", checks.FOREIGN),
    ("asr", "Write down how many people speak.", checks.FOREIGN),
    ("asr", "Write the answer to the question that you hear.", checks.FOREIGN),
    ("asr", "Describe this recording for me.", checks.LACKING),
    ("asr", "Bitte schreibe auf, was du hörst.", checks.LACKING),
    ("st", "Translate the audio.", checks.SLOT),
    ("st", "Translate the {language} audio into {language}.", checks.SLOT),
    ("st", "Translate the audio into {target}.", checks.SLOT),
    ("st", "Translate the German audio into {language}.", checks.NAMES_LANGUAGE),
    ("st", "say this in {language}, not in english", checks.NAMES_LANGUAGE),
    ("st", "Give a transcript and a {language} translation.", checks.FOREIGN),
    ("st", "Summarise the speech in {language}.", checks.FOREIGN),
    ("st", "Translate into {language} and explain idioms with footnotes.", checks.FORMAT),
    ("sv", "Are there two speakers in this clip?", checks.TURNED),
    ("sv", "Are the voices different?", checks.TURNED),
    ("sv", "Do you hear more than one person?", checks.TURNED),
    ("sv", "Does the speaker change at some point?", checks.TURNED),
    ("sv", "Is anyone else talking in this clip?", checks.TURNED),
    ("sv", "Is it one speaker or are there several people?", checks.TURNED),
    ("sv", "Same person or two different people?", checks.TURNED),
    ("sv", "Say yes for two speakers and no for one.", checks.TURNED),
    ("sv", "Reply yes if more than one person speaks.", checks.TURNED),
    ("sv", "Answer no if the same person speaks throughout, yes otherwise.", checks.TURNED),
    ("sv", "Is it the same speaker? Explain how you know.", checks.FORMAT),
    ("sv", "Is the gender of the voice the same throughout?", checks.FOREIGN),
    ("sv", "Is the mood of the voice the same throughout?", checks.FOREIGN),
    ("sv", "Is this a dialogue?", checks.LACKING),
    ("er", "Which emotion is it, with a confidence score?", checks.FORMAT),
    ("er", "Name the emotion and justify your choice.", checks.FORMAT),
    ("er", "Transcribe the speech and name the emotion.", checks.FOREIGN),
    ("er", "Is the speaker male or female?", checks.FOREIGN),
    ("er", "What is this person saying?", checks.LACKING),
    ("sqqa", "Transcribe the question that is asked.", checks.FOREIGN),
    ("sqqa", "Repeat the question word for word.", checks.FOREIGN),
    ("sqqa", "Answer the question in a table, as a table.", checks.FORMAT),
    ("sqqa", "Look out of the window.", checks.LACKING),
    ("sqa", "Pick the right letter.", checks.SLOT),
    ("sqa", "{prompt} {prompt}", checks.SLOT),
    ("sqa", "{prompt} Answer with the letter.", checks.SLOT_NOT_LAST),
    ("sqa", "Pick a letter and explain your choice. {prompt}", checks.FORMAT),
    ("sqa", "Translate the talk before you choose. {prompt}", checks.FOREIGN),
    ("sft", "Carry this out: {language}", checks.SLOT),
    ("sft", "Listen to the recording and do this: {prompt}", checks.FOREIGN),
    ("sft", "Do this and answer in bullet points: {prompt}", checks.FORMAT),
    ("ii first", "Shall we begin?", checks.QUESTION),
    ("ii first", "Finally", checks.FOREIGN),
    ("ii first", "Before we come to all of the other things that I would like you to do", checks.TOO_LONG),
    ("ii next", "At the start", checks.FOREIGN),
    ("ii last", "Next", checks.FOREIGN),
    ("ii text", "using the audio", checks.LACKING),
    ("ii text", "without delay", checks.LACKING),
    ("cot first", "After that", checks.FOREIGN),
    ("cot given", "With that in hand", checks.LACKING),
    ("cot translate", "translate this text", checks.SLOT),
    ("cot translate", "translate this German text into {language}", checks.NAMES_LANGUAGE),
    ("cot translate", "translate the summary into {language}", checks.FOREIGN),
    ("cot summarise", "summarise it in {words} words", checks.LACKING),
    ("cot translate-summary", "translate the text into {language}", checks.LACKING),
]

GOOD = [
    ("asr", "Transcribe this without punctuation, capital letters or time stamps."),
    ("asr", "Write the words, don’t translate or summarise them."),
    ("asr", "Type what is said, punctuation-free."),
    ("asr", "Run ASR on this, digits spelled out."),
    ("st", "Don't transcribe: give the {language} translation alone."),
    ("sv", "Do the two voices belong to the same speaker?"),
    ("sv", "Are the two voices identical?"),
    ("sv", "Confirm that no other speakers are present."),
    ("sv", "Reply yes for one speaker and no for several speakers."),
    ("sv", "Is there only one speaker, with no other voice?"),
    ("sv", "Is the same speaker heard in different parts of the clip?"),
    ("sv", "Answer no if the speaker is not the same."),
    ("sv", "Determine whether the speaker is unchanged."),
    ("sv", "You are a diarization engine: say yes if exactly one speaker cluster is found and no otherwise."),
    ("sv", "Operate as a speaker-change detector and answer yes if you detect no change of speaker."),
    ("er", "As an analyst, label the speaker's mood."),
    ("sqqa", "Answer, but do not repeat or transcribe the question."),
    ("sqa", "Mark one option, no explanation: {prompt}"),
    ("sft", "Ignore the audio. {prompt}"),
    ("ii next", "Once you've finished that"),
    ("ii text", "putting the sound to one side"),
    ("ii text", "never mind what you hear"),
    ("ii text", "don't bother with the recording here"),
    ("ii text", "put the audio out of your mind"),
    ("sqa", "Audio reasoning agent, choose: {prompt}"),
    ("cot summarise", "using {words} words max, sum it up"),
]


def fault(purpose: str, text: str, language: str = "en") -> str | None:
    task, _, role = purpose.partition(" ")
    return find_fault(text, task, language, role or None)


@pytest.mark.parametrize("task", ATTACH_TASKS)
def test_shipped_wordings_keep_the_rules(task):
    assert [(w, f) for w in load_pool(task) if (f := fault(task, w)) or tidy(w) != w] == []


@pytest.mark.parametrize(("kind", "role"), ROLES)
def test_shipped_connectives_keep_the_rules(kind, role):
    wordings = load_roles(kind)[role]
    assert [(w, f) for w in wordings if (f := fault(f"{kind} {role}", w)) or tidy(w, role) != w] == []


@pytest.mark.parametrize(("purpose", "text", "reason"), BAD)
def test_bad_wordings(purpose, text, reason):
    assert fault(purpose, text) == reason


@pytest.mark.parametrize(("purpose", "text"), GOOD)
def test_good_wordings(purpose, text):
    assert fault(purpose, text) is None


def test_every_reason_is_met():
    reasons = {value for name, value in vars(checks).items() if name.isupper() and isinstance(value, str)}
    patterns = {value for value in reasons if re.search(r"[|\\]", value)}
    assert reasons - patterns - {checks.NEAR_DUPLICATE} == {reason for *_, reason in BAD}


def test_other_languages_are_checked_by_form_alone():
    assert fault("asr", "Übersetze nichts, schreibe nur mit.", "de") is None
    assert fault("st", "Übersetze das.", "de") == checks.SLOT
    assert fault("asr", "请把录音写成文字" * 51, "zh") == checks.TOO_LONG


@pytest.mark.parametrize(
    ("text", "role", "tidied"),
    [
        ("  1. Transcribe   this. ", None, "Transcribe this."),
        ("12) Same?", None, "Same?"),
        ("- “Transcribe this.”", None, "Transcribe this."),
        ('"Same speaker?"', None, "Same speaker?"),
        ('"Yes" or "no"', None, '"Yes" or "no"'),
        ('Say "yes"', None, 'Say "yes"'),
        ("'Transcript:'", None, "Transcript:"),
        ("2 voices?", None, "2 voices?"),
        ('"First of all,"', "first", "First of all"),
        ('"', None, '"'),
    ],
)
def test_tidy(text, role, tidied):
    assert tidy(text, role) == tidied == tidy(tidied, role)


@pytest.mark.parametrize(
    ("old", "new", "like"),
    [
        ("Transcribe the audio recording into text.", "transcribe the audio-recording INTO text", True),
        ("Please transcribe the audio recording into text.", "Transcribe the audio recording into text.", True),
        ("Transcribe the audio recording into text.", "Transcribe the sound file as text.", False),
        ("Please transcribe this.", "please transcribe, this", True),
        ("Transcript:", "Transcripts:", True),
        ("First", "First of all", False),
        ("请把这段录音写成文字。", "请把这段录音写成文字吧。", True),
        ("请把这段录音写成文字。", "说话人讲了什么？", False),
    ],
)
def test_likeness(old, new, like):
    assert Known([old]).has_like(new) is Known([new]).has_like(old) is like


def test_likeness_is_jaccard_over_all():
    rng = random.Random(0)
    texts = [" ".join(rng.sample("abcdefghij", rng.randint(4, 9))) for _ in range(300)]
    for i, text in enumerate(texts):
        new = set(text.split())
        expected = any(len(new & old) > 0.75 * len(new | old) for old in map(set, map(str.split, texts[:i])))
        assert Known(texts[:i]).has_like(text) is expected


def test_a_pool_of_thousands_is_compared_within_seconds():
    rng = random.Random(0)
    words = [f"word{i}" for i in range(300)]
    known, start = Known(), time.process_time()
    for _ in range(2600):
        text = " ".join(rng.sample(words, rng.randint(6, 14)))
        known.has_like(text)
        known.add(text)
    assert time.process_time() - start < 20  # about 4 s; generous for a busy machine
