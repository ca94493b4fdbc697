"""`wavllm prep hf`: datasets as they lie on disks; `datasets` is imported once, for all tests that need it."""

import io
import json

import numpy as np
import pyarrow as pa
import pytest
import soundfile
from pyarrow.parquet import write_table

from wavllm_cli.corpora.importers.columns import Mapped
from wavllm_cli.corpora.prepare import prepare
from wavllm_cli.corpora.splits import Shares
from wavllm_cli.data.audio import read_audio
from wavllm_cli.data.audio_paths import resolve_audio
from wavllm_cli.data.manifest import read_manifest
from wavllm_cli.errors import UsageError, WavLLMError

ALL = Shares(100, 0, 0)
FEATURES = {
    "audio": {"sampling_rate": 16_000, "_type": "Audio"},
    "sentence": {"dtype": "string", "_type": "Value"},
    "accent": {"names": ["north", "south"], "_type": "ClassLabel"},
}


@pytest.fixture(scope="module")
def wav(noise):
    def make(seconds=1.0, seed=0):
        file = io.BytesIO()
        soundfile.write(file, noise(seconds, seed=seed), 16_000, format="WAV")
        return file.getvalue()

    return make


@pytest.fixture(scope="module")
def table(wav):
    """Function: rows as Parquet holds them, with the features of `datasets` or plain."""

    def make(count=2, features=True, **columns):
        audio = [{"bytes": wav(seed=i), "path": f"clip{i}.wav"} for i in range(count)]
        rows = {
            "audio": audio,
            "sentence": [f"text {i}" for i in range(count)],
            "accent": [i % 2 for i in range(count)],
        }
        made = pa.table(rows | columns)
        known = {"info": {"features": FEATURES}}
        return made.replace_schema_metadata({"huggingface": json.dumps(known)}) if features else made

    return make


def prepared(root, out, **options):
    summary = prepare("hf", root, out, **({"split": ALL} | options))
    rows = [row for m in summary.manifests for row in read_manifest(m.path)]
    return rows, {one.item: (one.reason, one.detail) for draft in summary.drafts for one in draft.skipped}


def test_parquet_of_the_hub_as_it_is_downloaded(table, wav, tmp_path):
    (tmp_path / "own" / "data").mkdir(parents=True)
    write_table(table(3), tmp_path / "own" / "data" / "train-00000-of-00001.parquet")
    write_table(table(1), tmp_path / "own" / "data" / "test-00000-of-00001.parquet")
    rows, skipped = prepared(tmp_path / "own", tmp_path / "out")
    assert not skipped and [(row.id, row.split) for row in rows] == [
        ("train-000001", "train"), ("train-000002", "train"), ("train-000003", "train"), ("test-000001", "test"),
    ]  # fmt: skip
    second = rows[1]
    assert (second.target, second.extra, second.corpus) == ("text 1", {"accent": "south"}, "own")
    assert (tmp_path / "out" / second.audio).read_bytes() == wav(seed=1)
    before = {path: path.stat().st_ino for path in (tmp_path / "out" / "audio").iterdir()}
    prepared(tmp_path / "own", tmp_path / "out")
    assert before == {path: path.stat().st_ino for path in (tmp_path / "out" / "audio").iterdir()}
    rows, _ = prepared(tmp_path / "own", tmp_path / "some", splits="train", most=2)
    assert [row.split for row in rows] == ["train", "train"]
    with pytest.raises(UsageError, match=r"no split 'tets' .did you mean test"):
        prepared(tmp_path / "own", tmp_path / "none", splits="tets")


def test_a_train_split_that_is_alone_is_split(table, tmp_path):
    write_table(table(20), tmp_path / "a.parquet")
    rows, _ = prepared(tmp_path / "a.parquet", tmp_path / "out", split=Shares(80, 10, 10))
    assert [row.split for row in rows].count("train") == 16 and len({row.split for row in rows}) == 3


def test_saved_to_disk(table, tmp_path):
    import datasets
    from datasets.table import InMemoryTable

    one = datasets.Dataset(InMemoryTable(table(2)))
    datasets.DatasetDict({"train": one, "dev": one}).save_to_disk(tmp_path / "two")
    one.save_to_disk(tmp_path / "one")
    rows, _ = prepared(tmp_path / "two", tmp_path / "out")
    assert [row.id for row in rows] == ["train-000001", "train-000002", "dev-000001", "dev-000002"]
    rows, _ = prepared(tmp_path / "one", tmp_path / "out1")
    assert len(rows) == 2 and rows[0].extra == {"accent": "north"}


def test_parquet_that_nobody_described(table, tmp_path, wav, capsys):
    clips = [{"bytes": wav(), "path": None}, {"bytes": None, "path": None}, {"bytes": None, "path": "far/away.wav"}]
    made = table(3, features=False).drop(["audio"])
    write_table(
        made.append_column("noise_free", pa.array(clips)).append_column("path", pa.array(["x"] * 3)),
        tmp_path / "a.parquet",
    )
    (tmp_path / "away.wav").write_bytes(wav(2.0))
    rows, skipped = prepared(tmp_path / "a.parquet", tmp_path / "out")
    assert [(row.target, row.duration, row.extra["path"]) for row in rows] == [
        ("text 0", 1.0, "x"),
        ("text 2", 2.0, "x"),
    ]
    assert [(item, reason) for item, (reason, _) in skipped.items()] == [("train, row 2", "unreadable")]
    assert "noise_free → audio" in capsys.readouterr().err


def test_arrays_several_recordings_and_two_columns(table, tmp_path, wav, noise, capsys):
    samples = noise(0.5)
    arrays = pa.array([{"array": samples.tolist(), "sampling_rate": 16_000}])
    plain = table(1, features=False)
    write_table(plain.set_column(0, "audio", arrays), tmp_path / "array.parquet")
    (row,), _ = prepared(tmp_path / "array.parquet", tmp_path / "out")
    heard = read_audio(resolve_audio(row, tmp_path / "out" / "train.jsonl"))
    assert np.array_equal(heard, samples)
    clip = {"bytes": wav(), "path": None}
    write_table(plain.set_column(0, "audio", pa.array([[clip, clip]])), tmp_path / "list.parquet")
    (row,), skipped = prepared(tmp_path / "list.parquet", tmp_path / "out2")
    assert row.duration == 2.5 and len(row.pieces) == 2 and [reason for reason, _ in skipped.values()] == ["joined"]
    two = plain.rename_columns(["near", "sentence", "accent"]).append_column("far", pa.array([clip]))
    write_table(two, tmp_path / "two.parquet")
    with pytest.raises(UsageError, match="audio in near and far: say --map"):
        prepared(tmp_path / "two.parquet", tmp_path / "out3")
    (row,), _ = prepared(tmp_path / "two.parquet", tmp_path / "out3", map=(Mapped.parse("far=audio"),))
    assert row.target == "text 0" and "what near hold are files" in capsys.readouterr().err


def test_files_with_metadata_need_no_library(tmp_path, wav, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "datasets", None)
    for split in ("train", "test"):
        (tmp_path / "own" / split).mkdir(parents=True)
        (tmp_path / "own" / split / "a.wav").write_bytes(wav())
    (tmp_path / "own" / "train" / "metadata.csv").write_text("file_name,transcription\na.wav,one\ngone.wav,two\n")
    (tmp_path / "own" / "test" / "metadata.jsonl").write_text(
        '{"file_name": "a.wav", "transcription": "three", "n": 1}\n'
    )
    rows, skipped = prepared(tmp_path / "own", tmp_path / "out")
    assert [(row.id, row.split, row.target) for row in rows] == [
        ("train/a", "train", "one"),
        ("test/a", "test", "three"),
    ]
    assert [reason for reason, _ in skipped.values()] == ["no-audio"] and not (tmp_path / "out" / "audio").exists()


def test_what_is_no_dataset(tmp_path, monkeypatch):
    (tmp_path / "empty").mkdir()
    with pytest.raises(WavLLMError, match="empty cannot be read as a dataset"):
        prepared(tmp_path / "empty", tmp_path / "out")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "a.wav").touch()
    with pytest.raises(UsageError, match="see wavllm prep folder"):
        prepared(tmp_path / "folder", tmp_path / "out")
    (tmp_path / "bad.parquet").write_bytes(b"PAR1 and no more")
    with pytest.raises(WavLLMError, match=r"bad\.parquet"):
        prepared(tmp_path / "bad.parquet", tmp_path / "out")
    with pytest.raises(UsageError, match="no file or folder"):
        prepared(tmp_path / "gone", tmp_path / "out")
    monkeypatch.setattr("wavllm_cli.corpora.importers.hf.unreachable", lambda: "no network")
    with pytest.raises(WavLLMError, match=r"hub cannot be reached .no network.: name a folder"):
        prepare("hf", "someone/speech", tmp_path / "out")


def test_several_configurations(table, tmp_path):
    for name in ("de", "fr"):
        (tmp_path / "own" / name).mkdir(parents=True)
        write_table(table(1), tmp_path / "own" / name / "test.parquet")
    configs = "".join(
        f"- config_name: {name}\n  data_files:\n  - split: test\n    path: {name}/*.parquet\n" for name in ("de", "fr")
    )
    (tmp_path / "own" / "README.md").write_text(f"---\nconfigs:\n{configs}---\n")
    with pytest.raises(UsageError, match=r"de.*fr.*see --config"):
        prepared(tmp_path / "own", tmp_path / "out")
    rows, _ = prepared(tmp_path / "own", tmp_path / "out", config="fr")
    assert [row.split for row in rows] == ["test"]
