"""`wavllm prep kaldi`: data directories as recipes leave them."""

import os

import pytest
import soundfile

from wavllm_cli.corpora.prepare import prepare
from wavllm_cli.corpora.splits import Shares
from wavllm_cli.data.audio import read_audio
from wavllm_cli.data.audio_paths import resolve_audio
from wavllm_cli.data.manifest import read_manifest
from wavllm_cli.errors import UsageError

ALL = Shares(100, 0, 0)


@pytest.fixture
def ran(tmp_path, noise):
    """The folder in which Kaldi ran: audio, and a function that writes data directories."""
    (tmp_path / "audio").mkdir()
    soundfile.write(tmp_path / "audio" / "a b.wav", noise(1), 16_000)
    soundfile.write(tmp_path / "audio" / "call.wav", noise(3, channels=2), 16_000)

    def write(files, folder="data/own"):
        for name, lines in files.items():
            path = tmp_path / folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"".join(os.fsencode(line) + b"\n" for line in lines))
        return tmp_path / folder

    return write


def prepared(root, **options):
    summary = prepare("kaldi", root, root.parent / "out", **({"split": ALL} | options))
    rows = {row.id: row for m in summary.manifests for row in read_manifest(m.path)}
    return rows, {one.item: (one.reason, one.detail) for draft in summary.drafts for one in draft.skipped}


def test_segments_channels_and_what_belongs_to_utterances(ran, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    root = ran({
        "wav.scp": ["rA sph2pipe -f wav -p -c 1 audio/call.wav |", "rB sph2pipe -f wav -p -c 2 audio/call.wav |"],
        "segments": ["u1 rA 0.5 1.25", "u2  rB\t1.0 -1", "u3 rB 2.5 9", "u4 rB 4 5", "u5 rB one two", "u6 rC 0 1",
                     "u7 rA 1 2"],
        "text": ["u1 hello <UNK> there", "u2 [NOISE] !SIL", "u3 caf\u00e9 \u4e2d\u6587", "u4 x", "u5 x", "u6 x",
                 "u8 x"],
        "utt2spk": ["u1 ann", "u3 u3"],
        "spk2gender": ["ann f"],
        "utt2lang": ["u3 zh_cn"],
    })  # fmt: skip
    rows, skipped = prepared(root)
    first, third = rows["u1"], rows["u3"]
    assert set(rows) == {"u1", "u3"} and first.target == "hello there" and third.target == "café 中文"
    assert (first.start, first.duration, first.channel, first.speaker) == (0.5, 0.75, 0, "ann")
    assert (third.start, third.duration, third.channel, third.speaker, third.language) == (2.5, 0.5, 1, None, "zh-CN")
    assert first.extra == {"gender": "f", "text": "hello <UNK> there"} and third.extra is None
    assert {item: reason for item, (reason, _) in skipped.items()} == {
        "u2": "no-text", "u3": "cut", "u4": "outside", "u5": "form", "u6": "no-audio", "u7": "no-text",
        "u8": "no-audio",
    }  # fmt: skip
    audio = resolve_audio(first, root.parent / "out" / "train.jsonl")
    assert len(read_audio(audio, first.start, first.duration, first.channel)) == 12_000


def test_recordings_as_utterances_paths_with_blanks_and_pipes(ran, tmp_path):
    root = ran({
        "wav.scp": ["u1 audio/a b.wav", "u2 touch pwned; cat audio/call.wav |", "u3 audio/gone.wav", "u1 audio/x.wav",
                    "u4 cat audio/call.wav |", "u5 audio/call.wav"],
        "text": ["u1 one", "u2 two", "u3 three", "u4", b"u5 \xe9".decode("utf-8", "surrogateescape")],
    })  # fmt: skip
    rows, skipped = prepared(root)
    assert [(row.id, row.target, row.duration) for row in rows.values()] == [("u1", "one", 1.0)]
    assert {item.rpartition("/")[2]: reason for item, (reason, _) in skipped.items()} == {
        "wav.scp, line 4": "duplicate", "text, line 5": "encoding", "u2": "pipe", "u3": "no-audio", "u4": "no-text",
        "u5": "no-text",
    }  # fmt: skip
    assert "not run" in skipped["u2"][1] and not list(tmp_path.rglob("pwned"))


def test_two_sides_of_one_file(ran):
    sides = ["c-A audio/call.wav", "c-B audio/call.wav", "m audio/a b.wav"]
    files = {"wav.scp": sides, "text": ["c-A x", "c-B y", "m z"]}
    rows, _ = prepared(ran(files | {"reco2file_and_channel": ["c-A call A", "c-B call B", "m m B"]}))
    assert {name: row.channel for name, row in rows.items()} == {"c-A": 0, "c-B": 1, "m": None}


def test_archives_are_unpacked_once(ran, tmp_path):
    wav = (tmp_path / "audio" / "a b.wav").read_bytes()
    (tmp_path / "audio" / "x.ark").write_bytes(b"u1 " + wav + b"u2 " + wav + b"u3 zz")
    places = [3, 3 + len(wav) + 3, 3 + 2 * len(wav) + 6]
    root = ran({
        "wav.scp": [f"r{i} audio/x.ark:{place}" for i, place in enumerate(places)],
        "segments": ["u0 r0 0 0.5", "u1 r0 0.5 1", "u2 r1 0 -1", "u3 r2 0 1"],
        "text": [f"u{i} x" for i in range(4)],
    })  # fmt: skip
    rows, skipped = prepared(root)
    assert {name: row.audio for name, row in rows.items()} == {
        "u0": "audio/r0.wav",
        "u1": "audio/r0.wav",
        "u2": "audio/r1.wav",
    }
    assert sorted(path.name for path in (root.parent / "out" / "audio").iterdir()) == ["r0.wav", "r1.wav"]
    assert "wav-copy" in skipped["u3"][1]


def test_directories_are_splits_by_their_names(ran, tmp_path):
    for folder in ("data/train", "data/eval/clean", "data/train/split2/1"):
        ran({"wav.scp": ["u audio/call.wav"], "text": ["u x"]}, folder)
    prepared(tmp_path / "data")
    assert {path.name for path in (tmp_path / "out").glob("*.jsonl")} == {"train.jsonl", "eval-clean.jsonl"}
    prepare("kaldi", tmp_path / "data" / "train", tmp_path / "one")
    assert read_manifest(tmp_path / "one" / "train.jsonl")[0].split == "train"


def test_wrong_use(ran, tmp_path):
    with pytest.raises(UsageError, match=r"is not a Kaldi data directory: there is no wav\.scp in it"):
        prepare("kaldi", tmp_path, tmp_path / "out")
    with pytest.raises(UsageError, match="has no text"):
        prepare("kaldi", ran({"wav.scp": ["u a.wav"]}), tmp_path / "out")
