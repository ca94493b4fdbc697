"""`wavllm prep folder`: recordings with a text beside each."""

import os
import unicodedata

import pytest
import soundfile

from wavllm_cli.corpora.prepare import prepare
from wavllm_cli.corpora.splits import Shares
from wavllm_cli.data.manifest import read_manifest
from wavllm_cli.errors import UsageError

ALL = Shares(100, 0, 0)


@pytest.fixture(scope="module")
def clip(noise, tmp_path_factory):
    path = tmp_path_factory.mktemp("clip") / "clip.wav"
    soundfile.write(path, noise(0.5), 16_000)
    return path.read_bytes()


@pytest.fixture
def tree(tmp_path, clip):
    """Function: a folder with these files; None is a clip."""

    def make(files):
        for name, content in files.items():
            path = tmp_path / "in" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(clip if content is None else content.encode() if isinstance(content, str) else content)
        return tmp_path / "in"

    return make


def prepared(root, **options):
    summary = prepare("folder", root, root.parent / "out", **({"split": ALL} | options))
    rows = [row for m in summary.manifests for row in read_manifest(m.path)]
    skipped = [one for draft in summary.drafts for one in draft.skipped]
    return {row.id: row for row in rows}, {one.item: (one.reason, one.detail) for one in skipped}


def test_texts_by_name_whatever_the_name_is_like(tree, capsys):
    rows, skipped = prepared(tree({
        "a.wav": None, "a.txt": "\ufeffOne\r\ntwo.\r\n",
        "c.d.flac": None, "c.d.lab": "three",
        "e.WAV": None, "E.TXT": "four",
        "sub/deep/f.mp3": None, "sub/deep/f.json": '{"text": "five", "speaker": 7, "mood": "sad", "start": 0.1}',
        "g.wav": None, "G.wav": None, "g.txt": "small", "G.txt": "big",
        unicodedata.normalize("NFD", "é.wav"): None, "é.txt": "six",
        "h.wav": None, "h.txt": "Übung".encode("cp1252"),
        "._a.wav": "Mac OS X", "._a.txt": "Mac OS X", ".DS_Store": "x",
    }))  # fmt: skip
    assert not skipped
    assert {name: row.target for name, row in rows.items()} == {
        "a": "One two.", "c.d": "three", "e": "four", "g": "small", "G": "big", "é": "six", "h": "Übung",
        "sub/deep/f": "five",
    }  # fmt: skip
    five = next(row for row in rows.values() if row.target == "five")
    assert (five.speaker, five.start, five.duration, five.extra) == ("7", 0.1, 0.4, {"emotion": "sad"})
    assert "1 texts are not UTF-8" in capsys.readouterr().err


def test_what_lacks_its_other_half_or_cannot_be_read(tree):
    root = tree({
        "a.wav": None, "a.txt": "fine",
        "alone.wav": None, "words.txt": "no audio", "empty.wav": None, "empty.txt": " \n",
        "broken.wav": "RIFF", "broken.txt": "x", "nothing.wav": "", "nothing.txt": "x",
        "htk.wav": None, "htk.lab": "0 3000 sil\n3000 5000 ah\n",
        "odd.wav": None, "odd.json": "[1]", "bad.wav": None, "bad.json": "{",
        "twice.wav": None, "twice.flac": None, "twice.txt": "x",
        "B.wav": None, "b.wav": None, "b.TXT": "small",
        "two.wav": None, "two.txt": "one", "two.json": '{"text": "other"}',
    })  # fmt: skip
    (root / os.fsdecode(b"\xe9.wav")).write_bytes((root / "a.wav").read_bytes())
    rows, skipped = prepared(root)
    assert set(rows) == {"a", "b", "twice", "two"} and rows["two"].target == "one"
    assert {item: reason for item, (reason, _) in skipped.items()} == {
        "alone": "no-text", "words.txt": "no-audio", "empty": "no-text", "broken": "unreadable",
        "nothing": "unreadable", "htk": "form", "odd": "form", "bad": "form", "twice.wav": "duplicate",
        "B": "no-text", "two.json": "second-text", "\\xe9": "encoding",
    }  # fmt: skip
    assert "an alignment with times" in skipped["htk"][1] and "not valid JSON" in skipped["bad"][1]


def test_folders_called_like_splits_are_splits(tree):
    rows, _ = prepared(tree({"train/a.wav": None, "train/a.txt": "x", "dev/b.wav": None, "dev/b.txt": "y"}))
    assert {row.id: row.split for row in rows.values()} == {"train/a": "train", "dev/b": "dev"}


def test_the_user_says_what_folders_are(tree):
    root = tree({"ann/1/a.wav": None, "ann/1/a.txt": "x", "bob/a.wav": None, "bob/a.txt": "y"})
    rows, _ = prepared(root, folders="speaker/group")
    assert {row.id: (row.speaker, row.group) for row in rows.values()} == {
        "ann/1/a": ("ann", "1"),
        "bob/a": ("bob", None),
    }
    with pytest.raises(UsageError, match="'speakers' is none of split, speaker"):
        prepared(root, folders="speakers")


def test_wrong_use(tree, tmp_path):
    with pytest.raises(UsageError, match="no recording in"):
        prepared(tree({"a.txt": "x"}))
    with pytest.raises(UsageError, match="There is no folder"):
        prepare("folder", tmp_path / "gone", tmp_path / "out")


def test_the_command(tree, wavllm):
    root = tree({f"{i}.wav": None for i in range(20)} | {f"{i}.txt": f"text {i}" for i in range(20)})
    code, out, err = wavllm("prep", "folder", root, "--out", root.parent / "out")
    assert code == 0 and all(name in out for name in ("train.jsonl", "dev.jsonl", "test.jsonl")) and "90/5/5" in err
