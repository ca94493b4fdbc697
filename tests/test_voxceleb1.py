import json
import os
from collections import Counter
from shutil import copytree, move
from unicodedata import normalize

import numpy as np
import pytest
import soundfile

from wavllm_cli.corpora.prepare import prepare
from wavllm_cli.corpora.splits import Names
from wavllm_cli.data.batch import clips_of
from wavllm_cli.data.manifest import read_manifest
from wavllm_cli.errors import UsageError

HEADER = "VoxCeleb1 ID\tVGGFace1 ID\tGender\tNationality\tSet\n"
VIDEOS = ("-dashdash00", "_under_00_a")  # as those of YouTube may begin
PEOPLE = {
    **{f"id1000{n}": (f"Man_{n}", "m", "dev") for n in range(1, 4)},
    **{f"id1001{n}": (f"Woman_{n}", "f", "dev") for n in range(1, 4)},
    "id10270": ("Beyonc\u00e9", "f", "test"),
    "id10271": ("Tester_2", "m", "test"),
}
DEV = [one for one, (_, _, part) in PEOPLE.items() if part == "dev"]
A, B = (f"id10270/{VIDEOS[0]}/0000{n}.wav" for n in (1, 2))
C = f"id10271/{VIDEOS[1]}/00001.wav"
TRIALS = f"1 {A} {B}\r\n0 {B} {C}\n1 {A} id10270/{VIDEOS[1]}/00009.wav\n0 {C} {A}\nno trial\n"


@pytest.fixture(scope="module")
def shipped(tmp_path_factory):
    """VoxCeleb1 as its owner ships it, each speaker in two videos; one file is damaged, one is of VoxCeleb2."""
    root = tmp_path_factory.mktemp("owner")
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, 16_000)
    for number, (speaker, (_, _, part)) in enumerate(PEOPLE.items()):
        for video in VIDEOS:
            folder = root / part / "wav" / speaker / video
            folder.mkdir(parents=True)
            for n in (1, 2):
                soundfile.write(folder / f"0000{n}.wav", noise[: 800 * n + 160 * number] / 2**number, 16_000)
    (root / f"dev/wav/id10003/{VIDEOS[0]}/00003.wav").write_bytes(b"RIFF")
    (root / f"dev/wav/id10003/{VIDEOS[0]}/._00001.wav").write_bytes(b"\0\5\26\7")
    other = root / "dev/wav/id00012/abcdefghijk"
    other.mkdir(parents=True)
    soundfile.write(other / "00001.wav", noise, 16_000)
    lines = [f"{one}\t{name}\t{gender}\tUSA\t{part}\n" for one, (name, gender, part) in PEOPLE.items()]
    (root / "vox1_meta.csv").write_text(HEADER + "".join(lines), encoding="utf-8")
    (root / "veri_test2.txt").write_bytes(TRIALS.encode())
    (root / "list_test_all2.txt").write_text(f"0 id10001/{VIDEOS[0]}/00001.wav {A}\n")
    return root


@pytest.fixture
def root(shipped, tmp_path):
    return copytree(shipped, tmp_path / "VoxCeleb1", copy_function=os.link)


def skipped_in(out):
    return Counter(json.loads(line)["reason"] for line in (out / "skipped.jsonl").read_text().splitlines())


def test_training_pairs_are_of_dev_speakers_and_only_their_voices_tell(root, tmp_path):
    out = tmp_path / "out"
    prepare("voxceleb1", root, out)
    rows = read_manifest(out / "train.jsonl")
    assert Counter(row.target for row in rows) == {"yes": 12, "no": 12}
    heard = Counter(piece.audio for row in rows for piece in row.pieces)
    assert len(heard) == 24 and set(heard.values()) == {2}
    for row in rows:
        assert row.task == "sv" and row.split == "train" and set(row.speakers) <= set(DEV)
        assert (len(set(row.speakers)) == 1) == (row.target == "yes") and len(set(row.extra["gender"])) == 1
        videos = {piece.audio.split("/")[-2] for piece in row.pieces}
        assert len(videos) == 2 or row.target == "no"
        assert row.gap is None and row.duration == pytest.approx(sum(piece.duration for piece in row.pieces))
    assert Counter((row.target, row.extra["gender"][0]) for row in rows) == dict.fromkeys(
        (("yes", "m"), ("yes", "f"), ("no", "m"), ("no", "f")), 6
    )
    assert skipped_in(out) == {"unreadable": 1, "no-audio": 1, "form": 1}
    prepare("voxceleb1", root, tmp_path / "again")
    assert (tmp_path / "again/train.jsonl").read_bytes() == (out / "train.jsonl").read_bytes()


def test_trials_in_the_order_of_the_list(root, tmp_path):
    out = tmp_path / "out"
    summary = prepare("voxceleb1", root, out, pairs=0, gap=0.25)
    rows = read_manifest(out / "test.jsonl")
    assert [(row.id, row.target) for row in rows] == [
        ("voxceleb1-O-000001", "yes"), ("voxceleb1-O-000002", "no"), ("voxceleb1-O-000004", "no")
    ]  # fmt: skip
    assert [piece.audio for piece in rows[1].pieces] == [str(root / "test/wav" / name) for name in (B, C)]
    assert rows[1].speaker == ("id10270", "id10271") and rows[1].extra["gender"] == ["f", "m"]
    assert rows[0].gap == 0.25 and rows[0].duration == pytest.approx(0.11 + 0.16 + 0.25)
    assert {path.name for path in out.iterdir()} == {"test.jsonl", "skipped.jsonl"}  # and no audio is written
    assert len(summary.faults) == 2 and summary.manifests[0].found == 4


def test_loudness_does_not_tell(root, tmp_path):
    prepare("voxceleb1", root, tmp_path / "out", pairs=8, gap=0.1)
    for clip in clips_of(tmp_path / "out/train.jsonl"):
        first, second = (round(piece.duration * 16_000) for piece in clip.row.pieces)
        samples = clip.read()
        levels = [20 * np.log10(half.std()) for half in (samples[:first], samples[-second:])]
        assert levels == pytest.approx([-26, -26], abs=0.1) and not samples[first:-second].any()


def test_speakers_are_held_out(root, tmp_path):
    prepare("voxceleb1", root, tmp_path / "out", dev=3, seed=2)
    train, dev = (read_manifest(tmp_path / f"out/{split}.jsonl") for split in ("train", "dev"))
    assert {row.split for row in dev} == {"dev"} and len({s for row in dev for s in row.speakers}) <= 3
    assert not {s for row in train for s in row.speakers} & {s for row in dev for s in row.speakers}
    with pytest.raises(UsageError, match="6 of 6 dev speakers cannot be held out"):
        prepare("voxceleb1", root, tmp_path / "out", dev=6)


def test_no_list_asks_about_speakers_that_are_trained_on(root, tmp_path, capsys):
    with pytest.raises(UsageError, match=r"list_test_all2\.txt asks about 1 speakers .* --pairs 0"):
        prepare("voxceleb1", root, tmp_path / "out", trials=Names(("O", "E")))
    assert not (tmp_path / "out").exists()
    prepare("voxceleb1", root, tmp_path / "out", trials=Names(("O", "E")), pairs=0)
    assert "List E asks about dev speakers" in capsys.readouterr().err
    (row,) = read_manifest(tmp_path / "out/test-E.jsonl")
    assert (row.id, row.split, row.speaker) == ("voxceleb1-E-000001", "test", ("id10001", "id10270"))
    with pytest.raises(UsageError, match=r"no list_test_hard2\.txt below .*: get it from https://"):
        prepare("voxceleb1", root, tmp_path / "out", trials=Names(("H",)), pairs=0)
    (root / "veri_test2.txt").rename(root / "mine.txt")
    prepare("voxceleb1", root, tmp_path / "out", trials=Names(("mine.txt",)), pairs=0)
    assert len(read_manifest(tmp_path / "out/test-mine.jsonl")) == 3
    (root / "mine.txt").rename(root / "veri_test.txt")
    prepare("voxceleb1", root, tmp_path / "out", pairs=0)
    assert "the owner's cleaned one is veri_test2.txt" in capsys.readouterr().err


def test_both_sets_in_one_folder(root, tmp_path):
    """Then the table tells them apart, or else the trial list."""
    prepare("voxceleb1", root, tmp_path / "a")
    for speaker in (root / "test/wav").iterdir():
        move(speaker, root / "dev/wav" / speaker.name)
    move(root / "dev/wav", root / "wav")
    prepare("voxceleb1", root, tmp_path / "b")
    (root / "vox1_meta.csv").rename(tmp_path / "vox1_meta.csv")
    prepare("voxceleb1", root, tmp_path / "c", pairs=6)
    for name in "bc":
        some, plain = (read_manifest(tmp_path / f"{one}/test.jsonl") for one in (name, "a"))
        assert [row.pieces[0].audio.split("/wav/")[1] for row in some] == [
            row.pieces[0].audio.split("/wav/")[1] for row in plain
        ]
        assert {s for row in read_manifest(tmp_path / f"{name}/train.jsonl") for s in row.speakers} <= set(DEV)
    assert read_manifest(tmp_path / "c/train.jsonl")[0].extra is None


def test_the_oldest_form_has_names_for_speakers(root, tmp_path, noise):
    old = tmp_path / "old"
    old.mkdir()
    (root / "vox1_meta.csv").rename(old / "vox1_meta.csv")
    for name in (normalize("NFD", "Beyonc\u00e9"), "Man_1", "Man_2"):
        for video in VIDEOS:
            folder = old / "voxceleb1_wav" / name
            folder.mkdir(parents=True, exist_ok=True)
            soundfile.write(folder / f"{video}_0000001.wav", noise(0.05), 16_000)
    path = "Beyonc\u00e9/{}_0000001.wav"
    (old / "veri_test.txt").write_text(f"1 {path.format(VIDEOS[0])} {path.format(VIDEOS[1])}\n", encoding="utf-8")
    prepare("voxceleb1", old, tmp_path / "out")
    (row,) = read_manifest(tmp_path / "out/test.jsonl")
    assert row.speaker == ("id10270", "id10270") and clips_of(tmp_path / "out/test.jsonl")[0].read() is not None
    assert {s for row in read_manifest(tmp_path / "out/train.jsonl") for s in row.speakers} == {"id10001", "id10002"}
    names = " ".join(f"id10270/{video}/00001.wav" for video in VIDEOS)
    (old / "veri_test2.txt").write_text(f"1 {names}\n")  # the cleaned list has only numbers
    prepare("voxceleb1", old, tmp_path / "cleaned", pairs=0)
    (cleaned,) = read_manifest(tmp_path / "cleaned/test.jsonl")
    assert [piece.audio for piece in cleaned.pieces] == [piece.audio for piece in row.pieces]


def test_a_second_copy_is_used_once(root, tmp_path):
    copytree(root / "test", root / "vox1_test_wav" / "copy")
    prepare("voxceleb1", root, tmp_path / "out", pairs=0)
    assert skipped_in(tmp_path / "out")["duplicate"] == 8 and len(read_manifest(tmp_path / "out/test.jsonl")) == 3


def test_roots_that_lack_something(root, tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    (tmp_path / "packed").mkdir()
    (tmp_path / "packed/vox1_dev_wav_partaa").write_bytes(b"PK")
    for given, says in (
        (tmp_path / "empty", r"is not VoxCeleb1: there is no wav/id10001/VIDEO/00001\.wav, at any depth, in it"),
        (tmp_path / "packed", r"in parts: join them by `cat vox1_dev_wav_parta\? > dev\.zip`"),
        (root / "veri_test2.txt", "is a file"),
        (tmp_path / "gone", "There is no folder"),
        (root / "dev/wav", rf"but one in {root}: name that folder"),
    ):
        with pytest.raises(UsageError, match=says):
            prepare("voxceleb1", given, tmp_path / "out")
    with pytest.raises(UsageError, match="--gap -1: silence"):
        prepare("voxceleb1", root, tmp_path / "out", gap=-1)
    prepare("voxceleb1", root / "dev", tmp_path / "out", pairs=6)
    said = capsys.readouterr().err
    assert (
        "No test is made" in said
        and "which then gives the answer away" in said
        and not (tmp_path / "out/test.jsonl").exists()
    )
    prepare("voxceleb1", tmp_path, tmp_path / "above")
    assert len(read_manifest(tmp_path / "above/train.jsonl")) == 24
    for speaker in DEV:
        move(root / "dev/wav" / speaker, tmp_path / "empty")
    prepare("voxceleb1", root, tmp_path / "test-alone")
    assert "no dev speaker" in capsys.readouterr().err
