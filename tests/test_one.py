"""One clip: refused before anything is loaded, answered, kept; what goes wrong is told by the file's name."""

from pathlib import Path

import numpy as np
import pytest
from fake_system import FakeSystem

from wavllm_cli.data.manifest import read_manifest
from wavllm_cli.data.schema import Hypothesis
from wavllm_cli.errors import WavLLMError
from wavllm_cli.inference.one import answer_clip
from wavllm_cli.systems.base import Answer, Failure

CLIP = Path("clip.wav")
SAMPLES = np.full(16_000, 0.1, np.float32)


@pytest.fixture
def system():
    return FakeSystem()


def test_an_answer_is_shown_and_kept(system, tmp_path, capsys):
    output = tmp_path / "h.jsonl"
    reply = answer_clip(system, CLIP, None, SAMPLES, "hello", output)
    reply.show()
    assert capsys.readouterr().out == "clip in 6: 16000\n"
    (row,) = read_manifest(output, Hypothesis)
    assert (row.id, row.task, row.prompt, row.text, row.system) == ("clip", "sqa", "hello", reply.text, "fake")
    assert reply.data() == {
        "text": reply.text, "audio": "clip.wav", "prompt": "hello", "model": "fake", "output": str(output)
    }  # fmt: skip


def test_a_question_without_words_is_asked_in_the_clip(system, tmp_path):
    answer_clip(system, CLIP, None, SAMPLES, "", tmp_path / "h.jsonl")
    assert read_manifest(tmp_path / "h.jsonl", Hypothesis)[0].task == "sqqa"


@pytest.mark.parametrize("kind", ["problem", "memory_problem"])
def test_what_does_not_fit_is_refused_before_anything_is_loaded(system, monkeypatch, kind):
    monkeypatch.setattr(system, kind, lambda item: "it is too long")
    monkeypatch.setattr(system, "load", None)
    with pytest.raises(WavLLMError, match=r"^clip\.wav cannot be answered: it is too long\.$"):
        answer_clip(system, CLIP, None, SAMPLES, "hello", None)


def test_what_is_odd_is_said(system, monkeypatch, capsys):
    monkeypatch.setattr(system, "answer", lambda items, inputs: [Answer("x", warnings=["cut at 6 tokens"])])
    assert answer_clip(system, CLIP, None, np.zeros(16_000, np.float32), "hello", None).text == "x"
    assert capsys.readouterr().err == "warning: clip.wav is silent.\nwarning: clip.wav: cut at 6 tokens.\n"


def test_no_answer_leaves_no_file(system, monkeypatch, tmp_path):
    monkeypatch.setattr(system, "answer", lambda items, inputs: [Failure("no.")])
    with pytest.raises(WavLLMError, match=r"^clip\.wav: no\.$"):
        answer_clip(system, CLIP, None, SAMPLES, "hello", tmp_path / "h.jsonl")
    assert not (tmp_path / "h.jsonl").exists()
