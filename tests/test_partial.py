"""Partial files: which earlier answers are used again, what is said of the others, what is left untouched."""

import json
from dataclasses import replace

import pytest

from wavllm_cli.data.batch import Clip
from wavllm_cli.data.schema import Hypothesis, Utterance
from wavllm_cli.errors import UsageError, WavLLMError
from wavllm_cli.inference.partial import Partial, audio_state
from wavllm_cli.systems.fingerprint import Fingerprint

RUN = Fingerprint("sha of the model", {"max_new_tokens": 5, "temperature": 0.5, "top_k": None})


@pytest.fixture
def clips(tmp_path):
    """Three rows with audio and one without."""
    made = []
    for name in "abc":
        (tmp_path / f"{name}.wav").write_bytes(name.encode())
        row = Utterance(id=name, audio=f"{name}.wav", start=0.1, task="asr", prompt="hé", target="x", choices=["y"])
        made.append(Clip(row, (tmp_path / f"{name}.wav",)))
    return [*made, Clip(Utterance(id="t", audio=None, task="sft", prompt="say"), ())]


@pytest.fixture
def partial(tmp_path):
    return Partial(tmp_path / "h.jsonl", RUN, "model")


@pytest.fixture
def answers(clips):
    return [
        Hypothesis(**clip.row.model_dump(), text="ja\u2028", system="model", logprobs=[-0.1, None]) for clip in clips
    ]


def earlier(partial, clips):
    """The answers that are used again, and how many are not."""
    asked_again = partial.earlier(clips)
    return dict(partial.answers), asked_again


def test_answers_come_back_as_they_were(partial, clips, answers):
    assert earlier(partial, clips) == ({}, 0)
    partial.add(answers[:3], clips)
    partial.add(answers[3:], clips)
    assert list(partial.answers.values()) == answers
    assert earlier(partial, clips) == ({row.id: row for row in answers}, 0)
    assert len(partial.path.read_text().split("\n")) == 1 + 4 + 1, "a header, a line each"
    partial.remove()
    assert not partial.path.exists()


def test_lines_of_an_older_version_are_answers_too(partial, clips, answers):
    """One state of one file, where now there is a list; nothing for text."""
    partial.add(answers, clips)
    header, *lines = map(json.loads, partial.path.read_text().rstrip("\n").split("\n"))
    older = [line | {"audio": line["audio"][0] if line["audio"] else None} for line in lines]
    partial.path.write_text("".join(json.dumps(line) + "\n" for line in [header, *older]))
    assert earlier(partial, clips) == ({row.id: row for row in answers}, 0)


def test_a_file_that_is_not_what_it_was_is_a_sentence(partial, clips, answers):
    partial.add(answers, clips)
    partial.path.write_text(partial.path.read_text()[9:])
    with pytest.raises(WavLLMError, match="was written to while it was in use"):
        partial.answers["b"]
    partial.path.unlink()
    with pytest.raises(WavLLMError, match=r"h\.jsonl\.partial can no longer be read"):
        partial.answers["b"]


def test_nothing_answered_makes_no_file(partial, clips):
    partial.add([], clips)
    assert not partial.path.exists()


def test_the_model_may_have_another_name(partial, clips, answers, tmp_path):
    partial.add(answers, clips)
    renamed = Partial(tmp_path / "h.jsonl", RUN, "./model")
    assert {row.system for row in earlier(renamed, clips)[0].values()} == {"./model"}


@pytest.mark.parametrize(
    "change",
    [
        {"prompt": "other"}, {"target": None}, {"audio": "b.wav"}, {"start": 0.2}, {"duration": 1.0}, {"task": "st"},
        {"choices": ["z"]}, {"transcript": "x"},
    ],
    ids=str,
)  # fmt: skip
def test_a_changed_row_is_asked_again(partial, clips, answers, change, capsys):
    partial.add(answers, clips)
    clips[0] = replace(clips[0], row=clips[0].row.model_copy(update=change))
    kept, again = earlier(partial, clips)
    assert (set(kept), again) == (set("bct"), 1)
    assert "1 earlier answer is not used, about rows or audio that have changed" in capsys.readouterr().err
    assert earlier(partial, clips) == (kept, 0), "what is not used is not kept"


def test_a_replaced_file_is_asked_about_again(partial, clips, answers):
    partial.add(answers, clips)
    clips[1].paths[0].write_bytes(b"another recording")
    clips[2].paths[0].unlink()
    kept, again = earlier(partial, clips)
    assert (set(kept), again) == (set("at"), 2)


def test_a_row_that_is_no_longer_there_is_dropped(partial, clips, answers):
    partial.add(answers, clips)
    kept, again = earlier(partial, clips[:2])
    assert (set(kept), again) == (set("ab"), 2)


@pytest.mark.parametrize(
    ("run", "why"),
    [
        (replace(RUN, model="new"), "(another model (its files have changed))"),
        (replace(RUN, settings={"max_new_tokens": 9, "temperature": 0.5, "top_k": None}), "(max new tokens 5, now 9)"),
        (replace(RUN, settings={"max_new_tokens": 5}), "(temperature 0.5, now none)"),
    ],
    ids=["model", "option", "absent"],
)
def test_answers_of_another_run_are_never_mixed_in(partial, clips, answers, run, why, capsys):
    partial.add(answers, clips)
    partial.run = run
    assert earlier(partial, clips) == ({}, 4)
    assert f"4 earlier answers are not used, given by another run {why}: asking again" in capsys.readouterr().err
    assert not partial.path.exists()


DAMAGE = {
    "half a line": lambda lines: [*lines[:2], lines[2][:30]],
    "half a line, whole JSON": lambda lines: [*lines[:2], lines[2].rstrip()],
    "zeros at the end": lambda lines: [*lines[:2], b"\0" * 500 + b"\n"],
    "zeros within": lambda lines: [lines[0], b"\0" * 500 + b"\n", lines[1]],
    "junk within": lambda lines: [lines[0], b"\xff\xfe{junk\n", lines[1]],
    "deep JSON": lambda lines: [lines[0], b"[" * 9000 + b"\n", lines[1]],
    "no header": lambda lines: [b"\0\n", lines[1]],
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_damaged_lines_cost_only_themselves(partial, clips, answers, damage, capsys):
    partial.add(answers, clips)
    partial.path.write_bytes(b"".join(damage(partial.path.read_bytes().splitlines(keepends=True))))
    kept, again = earlier(partial, clips)
    assert (kept, again) == ({"a": answers[0]}, 1)
    assert "1 damaged" in capsys.readouterr().err
    partial.add(answers[1:], clips)
    assert earlier(partial, clips) == ({row.id: row for row in answers}, 0)


@pytest.mark.parametrize("content", [b"", b"\0" * 4096, b"\n \n"])
def test_a_file_that_a_power_cut_has_emptied_is_begun_again(partial, clips, answers, content):
    partial.path.write_bytes(content)
    assert earlier(partial, clips)[0] == {}
    partial.add(answers, clips)
    assert len(earlier(partial, clips)[0]) == 4


def test_answers_that_do_not_say_what_gave_them_are_asked_again(partial, clips, answers, capsys):
    partial.path.write_text("".join(row.json_line() + "\n" for row in answers))
    assert earlier(partial, clips) == ({}, 4)
    assert "4 earlier answers are not used, given nobody knows by what" in capsys.readouterr().err


@pytest.mark.parametrize("content", [b"my notes\n", b'{"id": "a", "text": "b"}\n', b"\x89PNG\r\n\x1a\n"])
def test_a_file_of_something_else_is_left_alone(partial, clips, content):
    partial.path.write_bytes(content)
    with pytest.raises(UsageError, match=r"h\.jsonl\.partial is in the way"):
        earlier(partial, clips)
    assert partial.path.read_bytes() == content


def test_a_folder_of_that_name_is_left_alone(partial, clips):
    partial.path.mkdir()
    with pytest.raises(UsageError, match="is in the way"):
        earlier(partial, clips)


def test_a_full_disk_is_a_sentence_and_keeps_what_was_there(partial, clips, answers, monkeypatch):
    import errno
    import os

    def full(descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    partial.add(answers[:2], clips)
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(WavLLMError, match=r"h\.jsonl\.partial cannot be written: the disk is full, .* MB are free"):
            partial.add(answers[2:], clips)
    assert earlier(partial, clips) == ({row.id: row for row in answers[:2]}, 0)


def test_audio_that_cannot_be_looked_at_has_no_state(clips, tmp_path):
    ((path, size, _),) = audio_state(clips[0])
    assert (path, size) == (str(tmp_path / "a.wav"), 1) and audio_state(clips[3]) == []
    for path in (tmp_path / "gone", tmp_path / ("x" * 5000), tmp_path / "a\0b"):
        assert audio_state(replace(clips[0], paths=(path,))) == [None]
