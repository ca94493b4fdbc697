import random
import time

import pytest

from wavllm_cli.prompts import wording_checks as checks
from wavllm_cli.prompts.pools import load_pool, load_roles
from wavllm_cli.prompts.wording_checks import Known, find_fault, tidy
from wavllm_cli.tasks.registry import SINGLE

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
    ("st", "Translate the audio.", checks.SLOT),
    ("st", "Translate the {language} audio into {language}.", checks.SLOT),
    ("st", "Translate the audio into {target}.", checks.SLOT),
    ("st", "Translate the German audio into {language}.", checks.NAMES_LANGUAGE),
    ("st", "say this in {language}, not in english", checks.NAMES_LANGUAGE),
    ("st", "Übersetze das deutsche Audio: {language}", checks.NAMES_LANGUAGE),
    ("st", "Übersetze das.", checks.SLOT),
    ("asr", "请把录音写成文字" * 51, checks.TOO_LONG),
    ("sqa", "Pick the right letter.", checks.SLOT),
    ("sqa", "{prompt} {prompt}", checks.SLOT),
    ("sqa", "{prompt} Answer with the letter.", checks.SLOT_NOT_LAST),
    ("sft", "Carry this out: {language}", checks.SLOT),
    ("ii first", "Shall we begin?", checks.QUESTION),
    ("ii first", "Before we come to all of the other things that I would like you to do", checks.TOO_LONG),
    ("cot translate", "translate this text", checks.SLOT),
    ("cot translate", "translate this German text into {language}", checks.NAMES_LANGUAGE),
]

GOOD = [
    ("asr", "Transcribe this without punctuation, capital letters or time stamps."),
    ("st", "Don't transcribe: give the {language} translation alone."),
    ("sqa", "Mark one option, no explanation: {prompt}"),
    ("sft", "Ignore the audio. {prompt}"),
    ("ii next", "Once you've finished that"),
    ("cot summarise", "using {words} words max, sum it up"),
    ("asr", "Übersetze nichts, schreibe nur mit."),
]


def fault(purpose: str, text: str) -> str | None:
    task, _, role = purpose.partition(" ")
    return find_fault(text, task, role or None)


@pytest.mark.parametrize("task", SINGLE)
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
    assert reasons - {checks.NEAR_DUPLICATE} == {reason for *_, reason in BAD}


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


def test_a_large_pool_is_compared_within_seconds():
    rng = random.Random(0)
    words = [f"word{i}" for i in range(300)]
    known, start = Known(), time.process_time()
    for _ in range(1300):
        text = " ".join(rng.sample(words, rng.randint(6, 14)))
        known.has_like(text)
        known.add(text)
    assert time.process_time() - start < 5  # about 1 s; generous for a busy machine
