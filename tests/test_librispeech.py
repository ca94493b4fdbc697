import json
import os
from shutil import copytree

import pytest
import soundfile

from wavllm_cli.corpora.prepare import prepare
from wavllm_cli.data.audio import read_audio
from wavllm_cli.data.audio_paths import resolve_audio
from wavllm_cli.data.manifest import read_manifest
from wavllm_cli.errors import UsageError, WavLLMError


@pytest.fixture
def root(tmp_path, noise):
    """LibriSpeech/ with two splits; one clip lacks its flac, one its transcript, one is not audio."""
    for split, speaker, chapter, texts in (
        ("train-clean-100", "19", "198", ["NORTHANGER ABBEY", "THIS LITTLE WORK", "NO FLAC"]),
        ("train-clean-100", "103", "1240", ["CHAPTER ONE"]),
        ("dev-other", "116", "288017", ["BROKEN", "IT'S FINE"]),
    ):
        folder = tmp_path / "LibriSpeech" / split / speaker / chapter
        folder.mkdir(parents=True)
        stem = f"{speaker}-{chapter}"
        lines = [f"{stem}-{i:04d} {text}\n" for i, text in enumerate(texts)]
        (folder / f"{stem}.trans.txt").write_text("".join(lines))
        for i, text in enumerate(texts):
            if text == "BROKEN":
                (folder / f"{stem}-{i:04d}.flac").write_text("broken")
            elif text != "NO FLAC":
                soundfile.write(folder / f"{stem}-{i:04d}.flac", noise(0.5 + i), 16_000)
    soundfile.write(folder / f"{stem}-0009.flac", noise(), 16_000)
    (tmp_path / "LibriSpeech" / "SPEAKERS.TXT").write_text("; not a split")
    (tmp_path / "LibriSpeech" / "empty").mkdir()
    return tmp_path


def test_one_manifest_per_split(root, tmp_path, capsys):
    out = tmp_path / "out"
    summary = prepare("librispeech", root / "LibriSpeech", out)
    assert {p.name for p in out.iterdir()} == {"train-clean-100.jsonl", "dev-other.jsonl", "skipped.jsonl"}
    rows = read_manifest(out / "train-clean-100.jsonl")
    assert [r.id for r in rows] == ["103-1240-0000", "19-198-0000", "19-198-0001"]
    last = rows[2]
    assert (last.target, last.transcript, last.duration) == ("this little work", "this little work", 1.5)
    assert (last.task, last.speaker, last.language) == ("asr", "19", "en")
    assert (last.corpus, last.split) == ("librispeech", "train-clean-100")
    audio = resolve_audio(last, out / "train-clean-100.jsonl")
    assert audio.is_absolute() and len(read_audio(audio)) == 24_000
    assert {m.path.name: (m.listed, m.found, m.utterances) for m in summary.manifests} == {
        "train-clean-100.jsonl": (4, 3, 3),
        "dev-other.jsonl": (3, 3, 1),
    }
    skipped = [json.loads(line) for line in (out / "skipped.jsonl").read_text().splitlines()]
    assert [(row["split"], row["item"], row["reason"]) for row in skipped] == [
        ("dev-other", "116-288017-0009", "no-text"),
        ("dev-other", "116-288017-0000", "unreadable"),
        ("train-clean-100", "19-198-0002", "no-audio"),
    ]
    assert skipped[2] == {**skipped[2], "corpus": "librispeech", "detail": "no flac"}
    warnings = capsys.readouterr().err
    assert "19-198-0002 (no flac)" in warnings and "116-288017-0009 (no transcript)" in warnings
    assert "116-288017-0000" in warnings and "not audio" in warnings


def test_root_may_be_the_parent_or_one_split(root, tmp_path):
    prepare("librispeech", root / "LibriSpeech", tmp_path / "a")
    prepare("librispeech", root, tmp_path / "b")
    prepare("librispeech", root / "LibriSpeech" / "dev-other", tmp_path / "c")
    for name in ("train-clean-100.jsonl", "dev-other.jsonl"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    assert {p.name for p in (tmp_path / "c").iterdir()} == {"dev-other.jsonl", "skipped.jsonl"}
    assert (tmp_path / "a/dev-other.jsonl").read_bytes() == (tmp_path / "c/dev-other.jsonl").read_bytes()


def test_what_was_unpacked_twice_is_one(root, tmp_path):
    prepare("librispeech", root, tmp_path / "a")
    copytree(root / "LibriSpeech" / "dev-other", root / "again" / "LibriSpeech" / "dev-other")
    summary = prepare("librispeech", root, tmp_path / "b")
    assert summary.reasons["duplicate"] == 3 and summary.faults == prepare("librispeech", root, tmp_path / "b").faults
    for name in ("train-clean-100.jsonl", "dev-other.jsonl"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_lines_end_with_a_line_feed_alone_and_letters_are_composed(root, tmp_path):
    (text,) = root.rglob("103-1240.trans.txt")
    text.write_bytes("103-1240-0000 CAFE\u0301\u2028BAR\r\n".encode())
    prepare("librispeech", root, tmp_path / "out")
    assert read_manifest(tmp_path / "out" / "train-clean-100.jsonl")[0].target == "café\u2028bar"


def test_audio_under_out_gets_a_relative_path(root):
    prepare("librispeech", root / "LibriSpeech", root)
    rows = read_manifest(root / "dev-other.jsonl")
    assert rows[0].audio == "LibriSpeech/dev-other/116/288017/116-288017-0001.flac"
    assert resolve_audio(rows[0], root / "dev-other.jsonl").is_file()


def test_what_cannot_be_read_is_one_items(root, tmp_path, noise, capsys):
    split = root / "LibriSpeech" / "train-clean-100"
    chapter = split / "19" / "198"
    (chapter / "19-198-0007.flac").symlink_to("gone.flac")
    (chapter / "19-198-0008.flac").mkdir()
    os.mkfifo(chapter / "19-198-0009.flac")
    half = (chapter / "19-198-0001.flac").read_bytes()
    (chapter / "19-198-0010.flac").write_bytes(half[: len(half) // 2])
    soundfile.write(chapter / "19-198-0011.flac", noise(), 16_000)
    (chapter / "._19-198-0000.flac").write_bytes(b"Mac OS X")
    (chapter / "._19-198.trans.txt").write_bytes(b"\xff\xfeMac OS X")
    lines = b"".join(b"19-198-%04d CAF\n" % i for i in (7, 8, 9, 10)) + b"19-198-0011 CAF\xc9\n"
    with (chapter / "19-198.trans.txt").open("ab") as file:
        file.write(lines)
    other = split / "20" / "205"
    other.mkdir(parents=True)
    soundfile.write(other / "20-205-0000.flac", noise(), 16_000)
    os.mkfifo(other / "20-205.trans.txt")
    bad = root / os.fsdecode(b"LibriSpeech/train-clean-100/21/\xe9")
    bad.mkdir(parents=True)
    (bad / "21-1-0000.flac").write_bytes((split / "19/198/19-198-0000.flac").read_bytes())
    (bad / "21-1.trans.txt").write_text("21-1-0000 NAME\n")
    summary = prepare("librispeech", root, tmp_path / "out")
    assert len(read_manifest(tmp_path / "out" / "train-clean-100.jsonl")) == 3
    lost = {one.item: one.detail for one in summary.faults}
    folder = str(chapter.resolve())
    assert f"{folder}/19-198.trans.txt, line 8 is not UTF-8" in lost["19-198-0011"]
    assert "is a link that leads nowhere" in lost["19-198-0007"] and "is a folder" in lost["19-198-0008"]
    assert "is a named pipe" in lost["19-198-0009"] and "damaged or cut off after" in lost["19-198-0010"]
    assert "is a named pipe" in lost[f"{other.resolve()}/20-205.trans.txt"]
    assert r"\xe9/21-1-0000.flac is not UTF-8" in lost["21-1-0000"] and "no transcript" in lost["20-205-0000"]
    assert "train-clean-100.jsonl: 9 clips skipped" in capsys.readouterr().err
    summary.show()
    assert "11 items could not be used; the first: " in capsys.readouterr().err


@pytest.mark.parametrize("locked", ["dev-other", "dev-other/116", "dev-other/116/288017"])
def test_folders_that_may_not_be_read_are_counted_and_named(root, tmp_path, monkeypatch, locked):
    listdir = os.listdir

    def refused(path):
        if str(path).endswith(locked):
            raise PermissionError(13, "Permission denied")
        return listdir(path)

    monkeypatch.setattr(os, "listdir", refused)
    summary = prepare("librispeech", root, tmp_path / "out")
    assert [m.utterances for m in summary.manifests] == [3]
    assert f"{root.resolve()}/LibriSpeech/{locked} (may not be read: permission denied)" in map(str, summary.faults)
    with pytest.raises(WavLLMError, match=r"Nothing of .* can be read: .* may not be read: permission denied"):
        prepare("librispeech", root / "LibriSpeech" / "dev-other", tmp_path / "dev")


def test_a_corpus_with_lost_clips_ends_with_1(root, tmp_path, wavllm):
    code, out, err = wavllm("prep", "librispeech", root, "--out", tmp_path / "out")
    assert code == 1 and "train-clean-100.jsonl" in out and "items could not be used; the first: " in err
    for clip in root.rglob("*.flac"):
        clip.write_text("broken")
    code, out, err = wavllm("prep", "librispeech", root, "--out", tmp_path / "none")
    assert code == 1 and "has no usable clip; skipped: 7; the first: " in err


def test_not_librispeech(tmp_path):
    speaker = tmp_path / "LibriSpeech" / "dev-other" / "116" / "288017"
    speaker.mkdir(parents=True)
    for path, says in (
        (tmp_path, "is not LibriSpeech: there is no SPLIT/SPEAKER/CHAPTER"),
        (tmp_path / "gone", "no folder"),
    ):
        with pytest.raises(UsageError, match=says):
            prepare("librispeech", path, tmp_path / "out")
    (speaker / "116-288017.trans.txt").touch()
    with pytest.raises(UsageError, match=f"Name {speaker.parents[1]} instead"):
        prepare("librispeech", speaker, tmp_path / "out")
