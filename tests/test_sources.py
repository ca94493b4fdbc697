"""What is asked about, as people name it, and which word of a command is the instruction."""

import io
import os
from types import SimpleNamespace

import numpy as np
import pytest

from wavllm_cli.data.audio import write_wav
from wavllm_cli.errors import AudioError, UsageError
from wavllm_cli.inference.sources import Recording, divided, instructions_in, recordings_of


@pytest.fixture
def calls(tmp_path, monkeypatch):
    """A folder of recordings among other things; it is where commands are given."""
    monkeypatch.chdir(tmp_path)
    for name in ("b.wav", "a.wav", "calls/2.flac", "calls/10/x.WAV", "calls/.hidden/y.wav", "[x].wav"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        write_wav(tmp_path / "new.tmp", np.full(800, 0.1, np.float32))
        os.replace(tmp_path / "new.tmp", tmp_path / name)
    (tmp_path / "calls/notes.txt").write_text("no audio")
    (tmp_path / "m.jsonl").write_text("{}\n")
    return tmp_path


def names(*sources):
    return [recording.name for recording in recordings_of(sources)]


WORDS = [
    (["a.wav", "Transcribe."], [], ["a.wav"], ["Transcribe."]),
    (["a.wav", "b.wav", "What is said?"], [], ["a.wav", "b.wav"], ["What is said?"]),
    (["a.wav"], [], ["a.wav"], [""]),
    (["Transcribe."], [], ["Transcribe."], [""]),  # which is no source, as is said then
    (["a.wav", "b.wav"], [], ["a.wav", "b.wav"], [""]),
    (["a.wav", "gone.wav"], [], ["a.wav", "gone.wav"], [""]),
    (["a.wav", "calls"], [], ["a.wav", "calls"], [""]),
    (["a.wav", "b?wav"], [], ["a.wav", "b?wav"], [""]),
    (["a.wav", "*.wav"], [], ["a.wav", "*.wav"], [""]),
    (["a.wav", "-"], [], ["a.wav", "-"], [""]),
    (["a.wav", "https://x/y"], [], ["a.wav", "https://x/y"], [""]),
    (["a.wav", "Why?"], [], ["a.wav"], ["Why?"]),
    (["a.wav", "Is it a .wav"], [], ["a.wav"], ["Is it a .wav"]),
    (["a.wav", "x" * 5000], [], ["a.wav"], ["x" * 5000]),
    (["a.wav", "one"], ["two", "three"], ["a.wav", "one"], ["two", "three"]),
    (["m.jsonl"], [], ["m.jsonl"], [""]),
]


@pytest.mark.parametrize(("words", "given", "sources", "instructions"), WORDS)
def test_the_last_word_is_the_instruction_unless_it_is_a_source(calls, words, given, sources, instructions):
    assert divided(words, given) == (sources, instructions)


def test_files_folders_and_patterns(calls):
    assert names("b.wav", "a.wav") == ["b.wav", "a.wav"]
    assert names("calls") == ["calls/10/x.WAV", "calls/2.flac"]
    assert names("[ab].wav") == ["a.wav", "b.wav"]
    assert names("**/*.flac", "calls/2.flac") == ["calls/2.flac"]
    assert names("[x].wav") == ["[x].wav"]  # a file of this very name


@pytest.mark.parametrize(
    ("sources", "sentence"),
    [
        (["gone.wav"], "There is no audio file gone.wav"),
        (["a.wav", "gone.wav"], "There is no audio file gone.wav"),
        (["*.ogg"], r"No file matches '\*.ogg'"),
        (["empty"], "There is no recording in the folder empty; if that is the instruction, give it with -i"),
        (["a.wav", "m.jsonl"], "m.jsonl is a manifest: ask about it in a command of its own"),
        (["-", "-"], "can be read only once"),
    ],
)
def test_sources_that_are_none(calls, sources, sentence):
    (calls / "empty").mkdir()
    with pytest.raises(UsageError, match=sentence):
        recordings_of(sources)


def test_a_locked_file_is_found_when_it_is_read(calls, monkeypatch):
    monkeypatch.setattr("wavllm_cli.data.audio_file.why_unheard", lambda path: "may not be read: permission denied")
    (recording,) = recordings_of(["a.wav"])
    with pytest.raises(AudioError, match="may not be read"):
        recording.read()


def test_standard_input_is_a_recording(calls, monkeypatch):
    content = (calls / "a.wav").read_bytes()
    (recording,) = recordings_of(["-"])
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(content), isatty=lambda: False))
    assert len(recording.read()) == 800
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(b"text"), isatty=lambda: False))
    with pytest.raises(AudioError, match=r"^standard input is not audio that can be read"):
        recording.read()


@pytest.mark.parametrize("stdin", [None, SimpleNamespace(isatty=lambda: True)], ids=["closed", "terminal"])
def test_standard_input_needs_somebody_who_writes(monkeypatch, stdin):
    monkeypatch.setattr("sys.stdin", stdin)
    with pytest.raises(UsageError, match="Nothing is piped in"):
        Recording("standard input", None).read()


def test_an_address_is_a_recording(calls, monkeypatch):
    def download(address, path):
        path.write_bytes((calls / "a.wav").read_bytes() if address.endswith("k=1") else b"text")

    monkeypatch.setattr("wavllm_cli.inference.sources.download", download)
    good, bad = recordings_of(["https://me:pw@x/talk.wav?k=1", "https://x/talk.wav?k=2"])
    assert good.name == "https://x/talk.wav" and len(good.read()) == 800
    with pytest.raises(AudioError, match=r"^https://x/talk\.wav is not audio that can be read"):
        bad.read()


def test_instructions_in_a_file(tmp_path):
    (tmp_path / "i.txt").write_text("﻿Transcribe.\r\n\n  Translate into Ewe. \n", encoding="utf-8")
    assert instructions_in(tmp_path / "i.txt") == ["Transcribe.", "Translate into Ewe."]
    (tmp_path / "i.txt").write_text("\n \n")
    with pytest.raises(UsageError, match=r"i\.txt holds no instruction"):
        instructions_in(tmp_path / "i.txt")


def test_tables_of_others_are_named_with_the_way_in(tmp_path):
    (tmp_path / "nemo.json").write_text('{"audio_filepath": "a.wav", "text": "x"}\n')
    with pytest.raises(UsageError, match=r"is a NeMo manifest.*wavllm prep table"):
        recordings_of([str(tmp_path / "nemo.json")])
