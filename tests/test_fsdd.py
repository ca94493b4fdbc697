import os
import re
from collections import Counter
from random import Random
from zipfile import ZIP_DEFLATED, ZipFile

import numpy as np
import pytest
import soundfile

from wavllm_cli.corpora.prepare import prepare
from wavllm_cli.data.audio import read_audio
from wavllm_cli.data.audio_paths import resolve_audio
from wavllm_cli.data.manifest import read_manifest
from wavllm_cli.errors import UsageError, WavLLMError
from wavllm_cli.mini import digits, fsdd
from wavllm_cli.mini.digits import SPLITS
from wavllm_cli.mini.fsdd import Recording, _draw

SPEAKERS = {"george": 0.1, "lucas": 0.4}  # and the level that tells them apart
INDICES = range(10)


@pytest.fixture(autouse=True)
def few_beginners(monkeypatch):
    """What a curriculum begins with are thousands of clips and rows; here some are enough."""
    monkeypatch.setattr(fsdd, "SHORT_STRINGS", 40)
    monkeypatch.setattr(digits, "SPELLED_STRINGS", 40)


@pytest.fixture
def root(tmp_path):
    """Two speakers, ten recordings of each digit: constant at the speaker's level, longer the higher the digit."""
    folder = tmp_path / "fsdd" / "recordings"
    folder.mkdir(parents=True)
    for speaker, level in SPEAKERS.items():
        for digit in range(10):
            for index in INDICES:
                samples = np.full(800 * (digit + 1), level, np.float32)
                soundfile.write(folder / f"{digit}_{speaker}_{index}.wav", samples, 8000)
    (folder / "notes.wav").write_text("not a recording")
    return tmp_path / "fsdd"


@pytest.fixture
def archive(root, tmp_path):
    with ZipFile(tmp_path / "fsdd.zip", "w") as file:
        for path in sorted(root.rglob("*.wav")):
            file.write(path, path.relative_to(tmp_path))
        file.writestr("__MACOSX/._0_george_0.wav", b"junk")
    return tmp_path / "fsdd.zip"


def read(out):
    return {split: read_manifest(out / f"{split}.jsonl") for split in SPLITS}


def contents(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*.*") if path.is_file()}


def test_isolated_recordings_keep_the_owners_split(archive, root, tmp_path):
    prepare("fsdd", archive, tmp_path / "zip")
    prepare("fsdd", root, tmp_path / "folder")
    assert contents(tmp_path / "zip") == contents(tmp_path / "folder")
    rows = read(tmp_path / "zip")
    for split, indices in {"test": range(5), "dev": range(5, 7), "train": range(7, 10)}.items():
        expected = {f"fsdd-{d}_{s}_{i}" for d in range(10) for s in SPEAKERS for i in indices}
        assert {r.id for r in rows[split]} == expected
    clip = next(r for r in rows["test"] if r.id == "fsdd-7_lucas_3")
    assert (clip.target, clip.speaker, clip.split, clip.corpus) == ("seven", "lucas", "test", "fsdd")
    assert clip.duration == pytest.approx(0.8)
    info = soundfile.info(resolve_audio(clip, tmp_path / "zip" / "test.jsonl"))
    assert (info.samplerate, info.subtype, info.frames) == (16_000, "PCM_16", 12_800)


def test_strings_are_what_their_transcripts_say(archive, tmp_path):
    """In the fixture a digit's length is known, so the transcript can be read off the audio."""
    prepare("fsdd", archive, tmp_path / "out", digits=(3, 5), count=40)
    assert len(read(tmp_path / "out")["train"]) == 40
    for split, rows in read(tmp_path / "out").items():
        for row in rows:
            samples = read_audio(resolve_audio(row, tmp_path / "out" / f"{split}.jsonl"))
            assert len(samples) / 16_000 == pytest.approx(row.duration)
            loud = np.flatnonzero(np.diff((np.abs(samples) > 0.04).astype(int), prepend=0, append=0))
            starts, ends = loud[::2], loud[1::2]
            digits = [round((e - s) / 1600) - 1 for s, e in zip(starts, ends, strict=True)]
            names = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
            assert " ".join(names[d] for d in digits) == row.target and 3 <= len(digits) <= 5
            pauses = (starts[1:] - ends[:-1]) / 16_000
            assert pauses.min() > 0.04 and pauses.max() < 0.26
            for s, e in zip(starts, ends, strict=True):
                assert np.median(samples[s:e]) == pytest.approx(SPEAKERS[row.speaker], abs=0.02)


def test_no_test_string_is_in_train_and_the_same_seed_gives_the_same_bytes(archive, tmp_path):
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        prepare("fsdd", archive, tmp_path / name, digits=(3, 3), count=60, seed=seed)
    strings = {split: {r.target for r in rows} for split, rows in read(tmp_path / "a").items()}
    assert not strings["test"] & strings["train"] and not strings["dev"] & (strings["train"] | strings["test"])
    assert contents(tmp_path / "a") == contents(tmp_path / "b")
    assert read(tmp_path / "a") != read(tmp_path / "c")


def test_recordings_are_used_about_equally_often():
    recordings = [
        Recording(f"{d}_{s}_{i}", d, s, "train", np.zeros(1)) for d in range(10) for s in "ab" for i in range(9)
    ]
    strings = _draw(recordings, (3, 6), 200, {(1, 2, 3)}, Random(0))
    assert all(len({r.speaker for r in string}) == 1 for string in strings)
    uses = Counter(r.name for string in strings for r in string)
    assert len(uses) == len(recordings) and max(uses.values()) - min(uses.values()) <= 2


def test_too_few_recordings_end_in_a_sentence():
    one = [Recording("7_a_9", 7, "a", "train", np.zeros(1))]
    with pytest.raises(UsageError, match="too few"):
        _draw(one, (3, 3), 1, {(7, 7, 7)}, Random(0))


def test_unusable_recordings_are_skipped_in_every_manifest(root, tmp_path, capsys):
    (root / "recordings" / "3_george_0.wav").write_text("not audio")
    (root / "recordings" / "4_george_8.wav").write_bytes(b"")
    summary = prepare("fsdd", root, tmp_path / "out")
    skipped = {m.path.name: len(m.skipped) for m in summary.manifests}
    assert skipped["test.jsonl"] == skipped["train.jsonl"] == 1 and skipped["dev.jsonl"] == 0
    assert "3_george_0.wav" in capsys.readouterr().err
    asked = {r.audio for r in read_manifest(tmp_path / "out" / "test-sqa.jsonl")}
    assert asked == {r.audio for r in read(tmp_path / "out")["test"]}


def test_what_cannot_be_unpacked_is_one_items(root, tmp_path, monkeypatch):
    """A wrong checksum, another method, a password, more than a recording can be, and a folder."""
    monkeypatch.setattr(fsdd, "MOST_BYTES", 1 << 20)
    path = tmp_path / "odd.zip"
    with ZipFile(path, "w") as file:
        for digit in range(5):
            file.write(root / "recordings" / "7_george_9.wav", f"recordings/{digit}_george_9.wav")
        file.writestr("recordings/5_george_9.wav", bytes(fsdd.MOST_BYTES + 1), ZIP_DEFLATED)
        file.mkdir("recordings/6_george_9.wav")
        file.write(root / "recordings" / "7_george_9.wav", "recordings/7_george_9.wav")
    content = bytearray(path.read_bytes())
    entries = [at.start() for at in re.finditer(rb"PK\x01\x02", content)]
    content[entries[0] + 16] ^= 1  # CRC
    content[entries[1] + 8] |= 1  # encrypted
    content[entries[2] + 10] = 97  # WavPack
    path.write_bytes(bytes(content))
    recordings, skipped = fsdd.load(path)
    assert [r.name for r in recordings] == ["3_george_9", "4_george_9", "7_george_9"]
    assert [str(one) for one in skipped["train"]] == [
        "0_george_9.wav (0_george_9.wav is damaged in the archive: Bad CRC-32 for file 'recordings/0_george_9.wav')",
        "1_george_9.wav (1_george_9.wav is encrypted: unpack the archive first, and give its folder)",
        "2_george_9.wav (2_george_9.wav is packed in a way that cannot be read (That compression method is not "
        "supported))",
        "5_george_9.wav (5_george_9.wav is larger than 1 MB unpacked: no recording of a digit is)",
        "6_george_9.wav (6_george_9.wav is empty (0 bytes))",
    ]


def test_odd_files_in_the_folder_are_one_items(root):
    folder = root / "recordings"
    for clip in folder.glob("*_lucas_*.wav"):
        clip.unlink()
    os.mkfifo(folder / "1_lucas_9.wav")
    (folder / "2_lucas_9.wav").mkdir()
    (folder / "3_lucas_9.wav").symlink_to("gone.wav")
    recordings, skipped = fsdd.load(root)
    assert len(recordings) == 100
    reasons = " ".join(one.detail for one in skipped["train"])
    assert len(skipped["train"]) == 3
    assert "is a named pipe" in reasons and "is a folder" in reasons and "leads nowhere" in reasons


def test_nothing_is_written_if_all_recordings_are_broken(root, tmp_path):
    for clip in root.rglob("*.wav"):
        clip.write_text("broken")
    with pytest.raises(WavLLMError, match=r"has no usable recording; skipped: 200; the first: 0_george_0\.wav"):
        prepare("fsdd", root, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_count_without_lengths(root, tmp_path):
    with pytest.raises(UsageError, match="--digits"):
        prepare("fsdd", root, tmp_path / "out", count=5)


def test_not_fsdd(tmp_path):
    (tmp_path / "x.zip").write_text("not an archive")
    (tmp_path / "lfs.zip").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:1\nsize 9\n")
    (tmp_path / "empty").mkdir()
    for path, says in (
        (tmp_path / "x.zip", "zip"),
        (tmp_path / "empty", "is not FSDD"),
        (tmp_path / "gone", "no folder"),
        (tmp_path / "lfs.zip", "is only a Git LFS pointer"),
    ):
        with pytest.raises(UsageError, match=says):
            prepare("fsdd", path, tmp_path / "out")


def test_the_real_archive(shared_data, tmp_path):
    summary = prepare("fsdd", shared_data / "fsdd.zip", tmp_path, digits=(3, 6), count=60)
    rows = read(tmp_path)
    assert len({r.speaker for r in rows["test"]}) == 6 and all(not m.skipped for m in summary.manifests)
    assert len(rows["train"]) == 60 and len(rows["test"]) > 50
    assert 0.3 < np.mean([r.duration / len(r.target.split()) for r in rows["train"]]) < 0.8
