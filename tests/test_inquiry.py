"""Questions one after the other: refused before anything is loaded, shown as they come, told by their recordings."""

import numpy as np
import pytest
from fake_system import FakeSystem

from wavllm_cli.data.audio import write_wav
from wavllm_cli.errors import WavLLMError
from wavllm_cli.inference.inquiry import Question, answer_questions
from wavllm_cli.inference.sources import Recording
from wavllm_cli.systems.base import Answer, Failure


@pytest.fixture
def system():
    return FakeSystem()


@pytest.fixture
def questions(tmp_path):
    """Function: questions about recordings of one second; one that is told to be broken is no audio."""

    def make(*names: str, instructions=("hello",), level=0.1):
        made = []
        for name in names:
            path = tmp_path / f"{name}.wav"
            write_wav(path, np.full(16_000, level, np.float32))
            if name == "broken":
                path.write_text("no audio")
            recording = Recording(f"{name}.wav", path)
            heading = f"# {name}" if len(names) > 1 else ""
            made += [Question(f"{name}{n}", recording, text, heading) for n, text in enumerate(instructions)]
        return made

    return make


def ask(system, questions, shown="whole"):
    return answer_questions(lambda: system, questions, shown)


def test_an_answer_is_shown_and_told(system, questions, capsys):
    replies = ask(system, questions("clip"))
    assert capsys.readouterr().out == "clip0 in 6: 16000\n"
    assert replies.data() == {"text": "clip0 in 6: 16000", "audio": "clip.wav", "prompt": "hello", "model": "fake"}
    assert not replies.skipped


def test_a_question_without_words_is_asked_in_the_recording(questions):
    assert [q.task for q in questions("clip", instructions=("", "hello"))] == ["sqqa", "sqa"]


@pytest.mark.parametrize("kind", ["problem", "memory_problem"])
def test_what_does_not_fit_is_refused_before_anything_is_loaded(system, questions, monkeypatch, kind):
    monkeypatch.setattr(system, kind, lambda item: "it is too long")
    monkeypatch.setattr(system, "load", None)
    with pytest.raises(WavLLMError, match=r"^clip\.wav: it is too long\.$"):
        ask(system, questions("clip"))


def test_what_is_odd_is_said(system, questions, monkeypatch, capsys):
    monkeypatch.setattr(system, "answer", lambda items, inputs: [Answer("x", warnings=["cut at 6 tokens"])])
    ask(system, questions("clip", level=0))
    assert capsys.readouterr().err == "warning: clip.wav is silent.\nwarning: clip.wav: cut at 6 tokens.\n"


def test_one_bad_recording_costs_the_others_nothing(system, questions, capsys):
    replies = ask(system, questions("a", "broken", "b"))
    out, err = capsys.readouterr()
    assert out == "# a\na0 in 6: 16000\n\n# b\nb0 in 6: 16000\n\n"
    assert "broken.wav is not audio that can be read" in err and len(err.splitlines()) == 1
    assert [type(reply.outcome) for reply in replies.replies] == [Answer, Failure, Answer]
    assert [reply["audio"] for reply in replies.data()] == ["a.wav", "broken.wav", "b.wav"]
    assert "not audio" in replies.data()[1]["error"] and len(replies.skipped) == 1
    replies.show()
    assert capsys.readouterr().err == "error: 1 of 3 questions could not be answered.\n"


def test_without_anything_to_ask_about_no_system_is_opened(questions):
    with pytest.raises(WavLLMError, match=r"broken\.wav is not audio"):
        answer_questions(lambda: pytest.fail("opened"), questions("broken"), "whole")


def test_a_recording_is_read_once_for_all_questions(system, questions, monkeypatch):
    read = []
    reading = Recording.read
    monkeypatch.setattr(Recording, "read", lambda self, channel: read.append(self.name) or reading(self, channel))
    ask(system, questions("a", "b", instructions=("one", "two", "three")))
    assert read == ["a.wav", "b.wav"]
    assert system.asked == [[f"{name}{n}"] for name in "ab" for n in range(3)]


def test_an_answer_is_shown_piece_by_piece(system, questions, monkeypatch, capsys):
    seen = []

    def stream(item):
        for piece in ("one", " two\x1b", "\n three"):
            yield piece
            seen.append(capsys.readouterr().out)
        return Answer("one two\x1b\n three")

    monkeypatch.setattr(system, "stream", stream)
    ask(system, questions("clip"), "streamed")
    assert seen == ["one", " two\\x1b", "\n three"] and capsys.readouterr().out == "\n"


def test_nothing_is_shown_where_stdout_is_for_json(system, questions, capsys):
    ask(system, questions("a", "b"), "never")
    assert capsys.readouterr().out == ""
