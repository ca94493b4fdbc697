"""A conversation, as a script leads it: history, another recording, what goes wrong without ending it."""

import io
from types import SimpleNamespace

import numpy as np
import pytest
from fake_system import FakeSystem

from wavllm_cli.data.audio import write_wav
from wavllm_cli.errors import UsageError, WavLLMError
from wavllm_cli.inference.converse import converse
from wavllm_cli.systems.base import Answer, Failure


class Talking(FakeSystem):
    """Answers with what it was asked; keeps the items."""

    converses = True

    def __init__(self):
        super().__init__()
        self.items = []

    def answer(self, items, inputs):
        (item,) = items
        self.items.append(item)
        return [Failure("no.") if item.prompt == "fail" else Answer(f"{item.prompt} of {item.length}")]


@pytest.fixture
def talk(tmp_path, monkeypatch):
    """Function: lead a conversation by lines -> (system, conversation)."""
    monkeypatch.chdir(tmp_path)
    write_wav("one.wav", np.full(800, 0.1, np.float32))
    write_wav("two two.wav", np.full(1600, 0.1, np.float32))

    def lead(*lines, source="one.wav", system=None):
        content = "".join(f"{line}\n" for line in lines).encode("utf-8", "surrogateescape")
        monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(content)))
        system = system or Talking()
        return system, converse(lambda: system, source, None, live=False)

    return lead


def histories(system):
    return [item.history for item in system.items]


def test_each_question_knows_those_before(talk, capsys):
    system, conversation = talk("first", "", "  second ")
    assert capsys.readouterr().out == "first of 800\nsecond of 800\n"
    assert histories(system) == [(), (("first", "first of 800"),)]
    assert [item.task for item in system.items] == ["sqa", "sqa"] and not conversation.failures


def test_new_forgets_and_another_file_begins_anew(talk):
    system, _ = talk("a", "/new", "b", '/file "two two.wav"', "c", "d", "/exit", "e")
    assert [(item.prompt, item.length) for item in system.items] == [("a", 800), ("b", 800), ("c", 1600), ("d", 1600)]
    assert histories(system) == [(), (), (), (("c", "c of 1600"),)]


def test_a_conversation_about_no_recording(talk):
    system, _ = talk("hello", source=None)
    assert (system.items[0].samples, system.items[0].task) == (None, "sft")


def test_what_goes_wrong_ends_nothing(talk, capsys):
    system, conversation = talk("/file gone.wav", "/fiel x", "/file", "fail", "last", "/help")
    out, err = capsys.readouterr()
    assert out == "last of 800\n" and conversation.failures == 4
    errors = [line for line in err.splitlines() if line.startswith("error")]
    assert errors == [
        "error: There is no audio file gone.wav.",
        "error: There is no command /fiel x: see /help.",
        "error: There is no command /file: see /help.",
        "error: one.wav: no.",
    ]
    assert histories(system)[-1] == () and "/new " in err


def test_what_has_no_room_is_forgotten_from_the_beginning_on(talk, capsys):
    system = Talking()
    system.problem = lambda item: "it is too long" if len(item.history) > 1 else None
    _, conversation = talk("a", "b", "c", system=system)
    assert histories(system) == [(), (("a", "a of 800"),), (("b", "b of 800"),)] and len(conversation.said) == 2
    assert "its first 1 of 2 turns are forgotten" in capsys.readouterr().err
    system.problem = lambda item: "it is too long"
    assert talk("a", system=system)[1].failures == 1


def test_a_system_without_a_memory_is_asked_each_question_by_itself(talk, capsys):
    system = Talking()
    system.converses = False
    talk("a", "b", system=system)
    assert histories(system) == [(), ()]
    assert "Each question is answered by itself" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("source", "sentence"),
    [("gone.wav", "There is no audio file"), ("-", "for the questions"), (".", "holds 2 recordings")],
)
def test_sources_that_are_none(talk, source, sentence):
    with pytest.raises(UsageError, match=sentence):
        talk("a", source=source)


def test_lines_are_utf8(talk):
    with pytest.raises(WavLLMError, match="Standard input, line 2: the text is not UTF-8"):
        talk("hi", "caf\udce9")


def test_somebody_at_a_terminal(talk, monkeypatch, capsys):
    """Ctrl-C stops an answer, Ctrl-D ends the conversation, answers come in pieces."""
    typed = iter(["one", "stop", "", "two"])

    def stream(item):
        if item.prompt == "stop":
            raise KeyboardInterrupt
        yield item.prompt
        return Answer(item.prompt)

    def line(prompt):
        for text in typed:
            return text
        raise EOFError

    system = Talking()
    system.stream = stream
    monkeypatch.setattr("builtins.input", line)
    conversation = converse(lambda: system, None, None, live=True)
    assert conversation.said == [("one", "one"), ("two", "two")]
    assert capsys.readouterr().out == "one\n\ntwo\n\n"


def test_the_command(wavllm, answering, monkeypatch):
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(b"hello\n/nonsense\n"), isatty=lambda: False))
    options = ("--model", answering / "model", "--max-new-tokens", "2", "--device", "cpu")
    code, out, err = wavllm("chat", answering / "3.wav", *options)
    assert code == 1 and out.count("\n") >= 1 and "There is no command /nonsense" in err
