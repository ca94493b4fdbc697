from random import Random

import pytest

from wavllm_cli.corpora.prepare import prepare
from wavllm_cli.data.audio import is_silent, read_audio
from wavllm_cli.data.audio_paths import resolve_audio
from wavllm_cli.data.manifest import read_manifest
from wavllm_cli.mini.digits import SPLITS
from wavllm_cli.mini.spoken_digits import ABOUT, _draw


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    folder = tmp_path_factory.mktemp("digits")
    prepare("spoken-digits", out=folder, digits=(3, 4), count=60)
    return folder


def test_every_split_has_clips_questions_and_instructions(out):
    for split in SPLITS:
        clips, questions, texts = (read_manifest(out / f"{split}{kind}.jsonl") for kind in ("", "-sqa", "-sft"))
        assert {r.task for r in clips} == {"asr"} and len(clips) == 60
        assert {r.task for r in questions} == {"sqa"} and [q.audio for q in questions] == [c.audio for c in clips]
        assert {r.task for r in texts} == {"sft"} and {r.audio for r in texts} == {None}
        rows = [*clips, *questions, *texts]
        ids = [r.id for r in rows]
        assert len(set(ids)) == len(ids)
        assert {r.split for r in rows} == {split}
        assert {r.task for r in rows} == set(ABOUT.tasks)


def test_a_curriculum_begins_with_short_strings_and_spelled_ones(out):
    short, spelled = (read_manifest(out / f"train-{kind}.jsonl") for kind in ("short", "spelled"))
    assert {len(r.target.split()) for r in short} == {1, 2, 3}
    assert {r.split for r in (*short, *spelled)} == {"train"}
    test = {r.target for r in read_manifest(out / "test.jsonl")}
    assert not test & {r.target for r in short}
    right = []
    for row in spelled[:200]:
        frames = row.prompt.split("<SPEECH> ")[1].split(" </SPEECH>")[0].split()
        assert row.audio is None
        assert len(frames) >= 3 * len(row.target.split())
        right += [frame in row.target.split() for frame in frames if frame != "-"]
    assert 0.75 < sum(right) / len(right) < 0.95


def test_test_voices_and_test_strings_are_not_in_train(out):
    clips = {split: read_manifest(out / f"{split}.jsonl") for split in SPLITS}
    strings = {split: {r.target for r in rows} for split, rows in clips.items()}
    timbres = {split: {r.speaker.split("+")[1] for r in rows} for split, rows in clips.items()}
    assert not strings["test"] & (strings["train"] | strings["dev"]) and not strings["dev"] & strings["train"]
    assert not timbres["test"] & (timbres["train"] | timbres["dev"])
    assert len(timbres["test"]) == 3 and len(timbres["train"]) == 10


def test_clips_hold_speech_of_the_stated_length(out):
    for row in read_manifest(out / "test.jsonl")[:10]:
        samples = read_audio(resolve_audio(row, out / "test.jsonl"))
        assert len(samples) / 16_000 == row.duration and not is_silent(samples)
        assert 3 <= len(row.target.split()) <= 4 and 0.6 < row.duration < 5


def test_the_same_seed_gives_the_same_bytes(tmp_path):
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        prepare("spoken-digits", out=tmp_path / name, digits=(3, 4), count=8, seed=seed)
    a, b, c = (
        {p.relative_to(f): p.read_bytes() for p in f.rglob("*.*") if p.is_file()} for f in map(tmp_path.joinpath, "abc")
    )
    assert a == b and a != c and len(a) > 24


def test_taken_strings_are_left_out_where_there_are_enough_others():
    long = {(a, b, c) for a in range(10) for b in range(10) for c in range(5)}
    assert not long & set(_draw((3, 3), 300, long, Random(0)))
    short = {(a,) for a in range(10)}
    assert set(_draw((1, 1), 100, short, Random(0))) == short
