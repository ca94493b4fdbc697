import pytest

from wavllm_cli.audit.rows import CHECKS
from wavllm_cli.data.schema import Utterance


def faults(**fields) -> list[str]:
    row = {
        "id": "r",
        "audio": "audio/a.wav",
        "task": "asr",
        "prompt": "p",
        "target": "one two",
        "language": "en",
    } | fields
    return [fault for fault, wrong in CHECKS.items() if wrong(Utterance(**row))]


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"target": "", "transcript": " "},  # nothing is said, and the row says so
        {"id": "mp3", "audio": "2024.wav", "target": "an mp4 of 2024"},
        {"task": "sqa", "target": "B", "choices": ["one", "two"]},
        {"task": "sqa", "target": "(A) one", "choices": ["one", "two"]},
        {"task": "st", "target": "мир", "target_language": "ru", "transcript": "peace"},
        {"task": "sqa", "target": "мир"},  # in which language a free answer is nobody says
        {"task": "sft", "audio": None},
        {"language": "xx", "target": "мир"},
    ],
)
def test_what_is_right(fields):
    assert faults(**fields) == []


@pytest.mark.parametrize(
    ("fields", "fault"),
    [
        ({"target": None}, "no-target"),
        ({"target": " "}, "no-target"),
        ({"task": "st", "target": "", "transcript": ""}, "no-target"),
        ({"task": "ii", "parts": [{"task": "asr", "prompt": "p", "target": ""}]}, "no-target"),
        ({"task": "sqa", "target": "C", "choices": ["one", "two"]}, "not-a-choice"),
        ({"task": "er", "target": "Happy", "choices": ["happy", "sad"]}, "not-a-choice"),
        ({"target": "one два"}, "foreign-letters"),
        ({"transcript": "one два"}, "foreign-letters"),
        ({"references": ["one два"]}, "foreign-letters"),
        ({"turns": [{"start": 0, "duration": 1, "speaker": "A", "text": "два"}]}, "foreign-letters"),
        ({"task": "st", "target": "peace два", "target_language": "de"}, "foreign-letters"),
        ({"task": "sqa", "target": "schÃ¶n"}, "garbled-text"),
        ({"id": "utt7", "target": "utt7 one two"}, "id-in-text"),
        ({"audio": "x/000560016.opus", "transcript": "000560016: one"}, "id-in-text"),
        ({"audio": None}, "no-audio"),
        ({"audio": None, "speech_text": "one"}, "not-spoken"),
    ],
)
def test_what_is_wrong(fields, fault):
    assert faults(**fields) == [fault]
