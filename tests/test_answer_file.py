"""Answers as files: what their suffix says, or a sentence."""

import json

import pytest

from wavllm_cli.errors import UsageError, WavLLMError
from wavllm_cli.inference.answer_file import require_writable, write_answers
from wavllm_cli.inference.inquiry import Question, Replies, Reply
from wavllm_cli.inference.sources import Recording
from wavllm_cli.systems.base import Answer, Failure

TALK = Question("talk", Recording("talk.wav", None), "Transcribe.")
STEPS = [{"name": "transcript", "text": "Hello.", "start": 0.0, "end": 1.5}]
ONE = Replies([Reply(TALK, Answer("Hello.", steps=STEPS), "fake")])
THREE = Replies(
    [
        Reply(Question("a", TALK.recording, "Transcribe.", "# a"), Answer("Hello.\nYou."), "fake"),
        Reply(Question("b", TALK.recording, "Transcribe.", "# b"), Failure("it is too long."), "fake"),
        Reply(Question("c", TALK.recording, "Transcribe.", "# c"), Answer("Bye."), "fake"),
    ]
)


@pytest.mark.parametrize(
    ("name", "replies", "content"),
    [
        ("a.txt", ONE, "Hello.\n"),
        ("a.txt", THREE, "# a\nHello.\nYou.\n\n# c\nBye.\n"),
        ("a.srt", ONE, "1\n00:00:00,000 --> 00:00:01,500\nHello.\n"),
        ("a.vtt", ONE, "WEBVTT\n\n00:00:00.000 --> 00:00:01.500\nHello.\n"),
    ],
)
def test_text_and_subtitles(tmp_path, name, replies, content):
    write_answers(tmp_path / name, replies)
    assert (tmp_path / name).read_text() == content


def test_json_is_what_stdout_would_get(tmp_path):
    for name, replies in (("1.json", ONE), ("3.json", THREE)):
        write_answers(tmp_path / name, replies)
        assert json.loads((tmp_path / name).read_text()) == replies.data()


def test_subtitles_need_times(tmp_path):
    with pytest.raises(WavLLMError, match=r"a\.srt is not written: nothing says when the words .* are spoken"):
        write_answers(tmp_path / "a.srt", Replies([Reply(TALK, Answer("Hello."), "fake")]))
    assert not (tmp_path / "a.srt").exists()


def test_nothing_that_is_there_is_lost(tmp_path):
    require_writable(tmp_path / "a.txt", 3)
    (tmp_path / "a.txt").touch()
    require_writable(tmp_path / "a.txt", 3)
    (tmp_path / "a.txt").write_text("mine")
    with pytest.raises(UsageError, match=r"a\.txt exists already"):
        require_writable(tmp_path / "a.txt", 1)
    with pytest.raises(UsageError, match=r"a\.vtt would be the subtitles of one recording, but there are 2 questions"):
        require_writable(tmp_path / "a.vtt", 2)
