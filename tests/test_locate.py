import os
import unicodedata

import pytest

from wavllm_cli.data.audio_paths import audio_paths, relocated
from wavllm_cli.data.locate import locate
from wavllm_cli.data.schema import Utterance


@pytest.fixture
def files(tmp_path):
    def make(*names):
        for name in names:
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).touch()
        return tmp_path

    return make


def rows(*names) -> list[Utterance]:
    return [Utterance(id=str(i), audio=name, task="asr", prompt="p") for i, name in enumerate(names)]


def test_a_missing_path_is_never_answered_by_a_file_that_another_would_share(files, capsys):
    root = files("1.wav")
    names = ["anna/1.wav", "ben/1.wav", "carl/1.wav"]
    found = locate(names, root)
    assert [found.path(name) for name in names] == [root / name for name in names] and not found.moved
    assert audio_paths(rows(*names), root / "m.jsonl") == [(root / name,) for name in names]
    said = capsys.readouterr().err
    assert "the audio of 3 of 3 rows is missing" in said and said.count("warning") == 1
    taken = locate(["1.wav", "anna/1.wav"], root)
    assert taken.path("anna/1.wav") == root / "anna/1.wav" and list(taken.ambiguous) == ["anna/1.wav"]
    again = relocated(rows(*names), root / "m.jsonl", root / "sub" / "n.jsonl")
    assert [row.audio for row in again] == ["../anna/1.wav", "../ben/1.wav", "../carl/1.wav"]


def test_relative_paths_lead_out_of_the_folder_that_a_link_stands_for(files):
    root = files("data/a.wav", "disk/big/runs/x")
    (root / "runs").symlink_to(root / "disk/big/runs")
    (row,) = relocated(rows("a.wav"), root / "data/m.jsonl", root / "runs/m.jsonl")
    assert (root / "runs" / row.audio).samefile(root / "data/a.wav")


def test_the_same_folders_are_dropped_for_all(files, capsys):
    root = files("train/a.wav", "dev/a.wav", "b.wav")
    names = ["/old/place/train/a.wav", "/old/place/dev/a.wav", "/old/place/test/b.wav", "/old/place/test/c.wav"]
    found = locate(names, root)
    assert list(found.moved) == names[:2] and found.dropped == 3  # the root counts as a folder
    assert found.path(names[0]) == root / "train/a.wav" and found.path(names[1]) == root / "dev/a.wav"
    assert str(found.path(names[2])) == names[2]  # b.wav lies one folder higher
    audio_paths(rows(*names), root / "m.jsonl")
    audio_paths(rows(*names), root / "m.jsonl")
    said = capsys.readouterr().err
    assert said.count("warning") == 1 and "the audio of 2 of 4 rows has moved" in said


@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_either_form_of_unicode_finds_the_file(files, form):
    other = {"NFC": "NFD", "NFD": "NFC"}[form]
    name = unicodedata.normalize(form, "Müller/café.wav")
    mixed = unicodedata.normalize(other, "Müller/") + unicodedata.normalize(form, "café.wav")
    root = files(name)
    for asked in (name, unicodedata.normalize(other, name), mixed):
        assert locate([asked], root).path(asked) == root / name
    assert locate(["Mueller/café.wav"], root).path("Mueller/café.wav") == root / "Mueller/café.wav"


@pytest.mark.parametrize("name", ["x" * 5000, "nul\0.wav", "a/" * 3000 + "b.wav"])
def test_names_that_no_file_can_have_are_found_out_by_the_reader(tmp_path, name):
    assert locate([name], tmp_path).path(name) == tmp_path / name


def test_what_may_not_be_looked_at_is_not_missing(files, monkeypatch):
    root = files("1.wav")

    def refused(path):
        if os.fspath(path).endswith("locked/1.wav"):
            raise PermissionError(13, "Permission denied")
        return os.stat(path)

    monkeypatch.setattr("wavllm_cli.data.locate.os.lstat", refused)
    assert locate(["locked/1.wav"], root).path("locked/1.wav") == root / "locked/1.wav"
