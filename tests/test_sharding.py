import json
import shutil
import tarfile

import numpy as np
import pytest
import soundfile

from wavllm_cli.data.audio_paths import relocated
from wavllm_cli.data.batch import clips_of
from wavllm_cli.data.manifest import read_manifest, write_manifest
from wavllm_cli.data.schema import Utterance
from wavllm_cli.data.sharding import write_shards
from wavllm_cli.errors import AudioError, UsageError, WavLLMError


def row(name, audio, **fields):
    return Utterance(id=name, audio=audio, task="asr", prompt="p", target="t", **fields)


@pytest.fixture
def manifest(tmp_path):
    folder = tmp_path / "data"
    folder.mkdir()
    random = np.random.default_rng(0)
    for name in ("a.wav", "b.FLAC", "c.wav"):
        soundfile.write(folder / name, random.normal(0, 0.1, (300_000, 2)), 16_000, format=name[-4:].strip("."))
    rows = [
        row("1", "a.wav", start=1.0, duration=2.0, channel=1),
        Utterance(id="text", audio=None, task="sft", prompt="p", target="t"),
        row("2", "b.FLAC"),
        row("3", [{"audio": "c.wav", "start": 0.5}, {"audio": "a.wav", "duration": 1.5}], gap=0.25),
        row("4", "a.wav", start=3.0),
    ]
    write_manifest(folder / "train.jsonl", rows)
    return folder / "train.jsonl"


def test_shards_are_heard_like_the_files_and_are_webdataset(manifest, tmp_path):
    made = write_shards(manifest, tmp_path / "out", 3)
    assert (made.rows, made.recordings, made.shards, made.kept) == (5, 3, 2, 0)
    before, after = clips_of(manifest), clips_of(tmp_path / "out" / "train.jsonl")
    for old, new in zip(before, after, strict=True):
        assert new.row.model_copy(update={"audio": old.row.audio}) == old.row
        assert np.array_equal(old.read(), new.read()) if old.paths else new.row.audio is None
    samples = {}
    for shard in sorted((tmp_path / "out").glob("*.tar")):
        with tarfile.open(shard) as archive:
            samples |= {member.name: archive.extractfile(member).read() for member in archive}
    assert [*samples] == [
        "000000000.wav", "000000000.json", "000000001.flac", "000000001.json", "000000002.wav", "000000002.json",
    ]  # fmt: skip
    assert samples["000000001.flac"] == (manifest.parent / "b.FLAC").read_bytes()
    assert json.loads(samples["000000001.json"]) | {"id": "2", "audio": "000000001.flac"} == json.loads(
        samples["000000001.json"]
    )
    about_a = json.loads(samples["000000000.json"])
    assert [found["id"] for found in about_a] == ["1", "3", "4"] and about_a[1]["audio"][0]["audio"] == "000000002.wav"


def test_the_same_manifest_gives_the_same_bytes_also_from_shards(manifest, tmp_path):
    outs = [tmp_path / name for name in ("one", "two", "three")]
    for source, out in zip((manifest, manifest, outs[0] / "train.jsonl"), outs, strict=True):
        write_shards(source, out, 3)
    contents = [{path.name: path.read_bytes() for path in out.iterdir()} for out in outs]
    assert contents[0] == contents[1] == contents[2]
    assert set(contents[0]) == {"train.jsonl", "train-000000.tar", "train-000001.tar"}


def test_a_stopped_run_is_continued_and_ends_the_same(manifest, tmp_path, monkeypatch):
    from wavllm_cli.data import sharding

    write_shards(manifest, tmp_path / "whole", 3)
    content, read = sharding._content, []

    def stopping(path, size):
        read.append(path.name)
        if path.name == "c.wav" and read.count("c.wav") == 1:
            raise KeyboardInterrupt
        return content(path, size)

    monkeypatch.setattr(sharding, "_content", stopping)
    with pytest.raises(KeyboardInterrupt):
        write_shards(manifest, tmp_path / "out", 3)
    assert not (tmp_path / "out" / "train.jsonl").exists()
    assert write_shards(manifest, tmp_path / "out", 3).kept == 1
    assert read == ["a.wav", "b.FLAC", "c.wav", "c.wav"]
    whole, out = ({path.name: path.read_bytes() for path in (tmp_path / name).iterdir()} for name in ("whole", "out"))
    assert whole == out


def test_a_finished_run_is_left_as_it_is_where_nothing_has_changed(manifest, tmp_path, capsys):
    write_shards(manifest, tmp_path / "out", 3)
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").iterdir()}
    (manifest.parent / "a.wav").touch()
    again = write_shards(manifest, tmp_path / "out", 3)
    assert (again.kept, again.shards, again.rows) == (2, 2, 5)
    assert "train.jsonl is finished, and nothing has changed since" in capsys.readouterr().err
    assert before == {path: path.stat().st_mtime_ns for path in (tmp_path / "out").iterdir()}


CHANGES = {
    r"train-000001\.tar would hold something else": lambda data, out: shutil.copy(data / "a.wav", data / "c.wav"),
    "has 5 rows, where there are 4 now": lambda data, out: write_manifest(
        data / "train.jsonl", read_manifest(data / "train.jsonl")[:4]
    ),
    "its row 'text' would be another now": lambda data, out: (data / "train.jsonl").write_text(
        (data / "train.jsonl").read_text().replace('"sft"', '"sqa"')
    ),
    "has not the 2 shards that it should have": lambda data, out: (out / "train-000000.tar").unlink(),
    r"train-000000\.tar would hold something else": lambda data, out: (out / "train-000000.tar").write_bytes(
        (out / "train-000000.tar").read_bytes() + b"\0"
    ),
}


@pytest.mark.parametrize(("said", "change"), CHANGES.items(), ids=CHANGES)
def test_a_finished_run_of_something_else_is_left_alone(manifest, tmp_path, said, change):
    out = tmp_path / "out"
    write_shards(manifest, out, 3)
    change(manifest.parent, out)
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    with pytest.raises(UsageError, match=rf"is finished, but {said}.*choose another --out"):
        write_shards(manifest, out, 3)
    assert before == {path.name: path.read_bytes() for path in out.iterdir()}


def test_a_stopped_run_of_other_audio_is_not_continued(manifest, tmp_path, monkeypatch):
    from wavllm_cli.data import sharding

    monkeypatch.setattr(sharding, "write_manifest", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        write_shards(manifest, tmp_path / "out", 3)
    monkeypatch.undo()
    shutil.copy(manifest.parent / "a.wav", manifest.parent / "c.wav")
    assert write_shards(manifest, tmp_path / "out", 3).kept == 0
    after = clips_of(tmp_path / "out" / "train.jsonl")
    assert np.array_equal(after[3].read(), clips_of(manifest)[3].read())


def test_what_stands_in_the_way_is_said_before_anything_is_written(manifest, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "train-000007.tar").touch()
    with pytest.raises(UsageError, match=r"train-000007\.tar is there already: delete"):
        write_shards(manifest, tmp_path / "out", 1)
    with pytest.raises(UsageError, match="is an input"):
        write_shards(manifest, manifest.parent, 1)
    write_manifest(manifest, read_manifest(manifest)[1:2])
    with pytest.raises(UsageError, match="has no audio"):
        write_shards(manifest, tmp_path / "other", 1)
    write_manifest(manifest, [row("x", "gone.wav"), row("y", ".")])
    with pytest.raises(UsageError, match=r"2 recordings cannot .*gone\.wav does not exist.*prep check --fix"):
        write_shards(manifest, tmp_path / "other", 1)
    assert not (tmp_path / "other").exists()


def test_audio_that_changes_meanwhile_ends_the_run(manifest, tmp_path, monkeypatch):
    from wavllm_cli.data import sharding

    monkeypatch.setattr(sharding.Path, "read_bytes", lambda path: b"")
    with pytest.raises(WavLLMError, match=r"a\.wav has changed while shards were written"):
        write_shards(manifest, tmp_path / "out", 1)


def test_shards_that_were_brought_elsewhere_are_read_there(manifest, tmp_path):
    import fsspec

    write_shards(manifest, tmp_path / "out", 3, "memory://bucket/train")
    elsewhere = fsspec.filesystem("memory")
    for shard in (tmp_path / "out").glob("*.tar"):
        elsewhere.pipe_file(f"/bucket/train/{shard.name}", shard.read_bytes())
        shard.unlink()
    found = clips_of(tmp_path / "out" / "train.jsonl")
    assert found[0].row.audio.startswith("memory://bucket/train/train-000000.tar#512+")
    for old, new in zip(clips_of(manifest), found, strict=True):
        assert new.lack() is None and new.seconds() == old.seconds()
        assert not old.paths or np.array_equal(old.read(), new.read())
    (moved,) = relocated([found[0].row], tmp_path / "out" / "train.jsonl", tmp_path / "new" / "m.jsonl")
    assert moved.audio == found[0].row.audio
    write_shards(tmp_path / "out" / "train.jsonl", tmp_path / "back", 3)
    assert clips_of(tmp_path / "back" / "train.jsonl")[2].read() is not None
    elsewhere.pipe_file("/bucket/train/train-000000.tar", b"short")
    with pytest.raises(AudioError, match="was the archive made anew"):
        found[0].read()
    elsewhere.rm("/bucket", recursive=True)
    with pytest.raises(AudioError, match=r"memory://bucket/train/train-000000\.tar cannot be read: FileNotFoundError"):
        found[0].read()
    with pytest.raises(UsageError, match="it is like s3://bucket/folder"):
        write_shards(manifest, tmp_path / "new", 3, "bucket")


def test_a_file_that_lies_elsewhere_must_be_fetched(tmp_path):
    write_manifest(tmp_path / "m.jsonl", [row("a", "https://example.org/a.wav")])
    (clip,) = clips_of(tmp_path / "m.jsonl")
    assert "is an address, of which only members of shards are read" in clip.lack()


def test_the_command(wavllm, manifest, tmp_path):
    code, out, _ = wavllm("prep", "shard", manifest, "--out", tmp_path / "out", "--json")
    assert code == 0 and json.loads(out)["shards"] == 1
    assert wavllm("prep", "shard", tmp_path / "none.jsonl", "--out", tmp_path / "new")[0] == 2


def test_no_corpus_is_called_like_a_command():
    from wavllm_cli.cli.prep import prep
    from wavllm_cli.corpora import registry

    commands = {command.name or command.callback.__name__ for command in prep.registered_commands}
    assert {"shard", "export"} <= commands and not commands & set(registry.names())
