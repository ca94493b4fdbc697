import gzip
import json

import pytest

from wavllm_cli.data.foreign import refuse_foreign
from wavllm_cli.data.manifest import iter_manifest, read_manifest, write_manifest
from wavllm_cli.data.schema import Utterance
from wavllm_cli.errors import ManifestError

OURS = {"id": "a", "audio": "a.wav", "task": "asr", "prompt": "p", "target": "t"}
NEMO = {"audio_filepath": "a.wav", "duration": 1.0, "text": "x"}
SWIFT = {"messages": [{"role": "user", "content": "<audio>?"}], "audios": ["a.wav"]}
CUT = {"id": "c", "type": "MonoCut", "recording": {}, "supervisions": []}
SUPERVISION = {"id": "s", "recording_id": "r", "start": 0, "duration": 1}


@pytest.mark.parametrize("name, content, says", [
    ("nemo.json", json.dumps(NEMO), "is a NeMo manifest.*wavllm prep table"),
    ("nemo.jsonl", f"{json.dumps(NEMO)}\n" * 3, "is a NeMo manifest"),
    ("swift.jsonl", json.dumps(SWIFT), "ms-swift.*wavllm prep table"),
    ("sharegpt.json", json.dumps([{"conversations": []}]), r"a JSON array \(conversations"),
    ("ours.jsonl", json.dumps([OURS], indent=1), "is a JSON array, not a wavllm manifest.*wavllm prep table"),
    ("long.json", json.dumps([NEMO] * 9999), r"a JSON array \(a NeMo manifest"),
    ("cuts.jsonl", json.dumps(CUT), "Lhotse manifest of cuts.*wavllm prep lhotse"),
    ("supervisions.jsonl", json.dumps(SUPERVISION), "Lhotse manifest of supervisions"),
    ("rows.jsonl", '{"audio": "a.wav", "text": "x"}', "a table of recordings and texts"),
    ("table.csv", "audio,text\n", "is a table.*wavllm prep table"),
])  # fmt: skip
def test_what_it_is_and_the_way_in(tmp_path, name, content, says):
    path = tmp_path / name
    path.write_text(content)
    for read in (read_manifest, lambda path: list(iter_manifest(path))):
        with pytest.raises(ManifestError, match=says):
            read(path)


def test_gzipped_and_in_parquet(tmp_path):
    import pyarrow as pa
    from pyarrow.parquet import write_table

    packed, parquet = tmp_path / "cuts.jsonl.gz", tmp_path / "train-0.parquet"
    packed.write_bytes(gzip.compress(json.dumps(CUT).encode()))
    write_table(pa.table({"audio": [{"bytes": b"RIFF", "path": "a.wav"}], "text": ["x"]}), parquet)
    for path, command in ((packed, "lhotse"), (parquet, "hf")):
        with pytest.raises(ManifestError, match=f"wavllm prep {command}"):
            read_manifest(path)


@pytest.mark.parametrize("file, command", [("wav.scp", "kaldi"), ("dataset_dict.json", "hf"), ("metadata.csv", "hf")])
def test_folders(tmp_path, file, command):
    (tmp_path / file).touch()
    with pytest.raises(ManifestError, match=f"wavllm prep {command}"):
        read_manifest(tmp_path)


def test_another_tsv(tmp_path):
    (tmp_path / "cv.tsv").write_text("path\tsentence\na.mp3\tx\n")
    with pytest.raises(ManifestError, match=r"must name id, audio and prompt .*wavllm prep table"):
        read_manifest(tmp_path / "cv.tsv")


def test_ours_are_left_alone_also_where_something_is_wrong_with_them(tmp_path):
    for name in ("a.jsonl", "a.jsonl.gz", "a.parquet"):
        write_manifest(tmp_path / name, [Utterance(**OURS, extra={"messages": 1, "audio_filepath": "x"})])
        refuse_foreign(tmp_path / name)
        assert len(read_manifest(tmp_path / name)) == 1
    (tmp_path / "bad.jsonl").write_text(json.dumps({"id": "a", "audio": "a.wav", "target": "x", "task": "asr"}))
    with pytest.raises(ManifestError, match='key "prompt" is missing'):
        read_manifest(tmp_path / "bad.jsonl")
