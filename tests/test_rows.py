import gzip
import os
import pickle
import tracemalloc
from functools import partial
from pathlib import Path

import pytest

from wavllm_cli.data.manifest import iter_manifest, read_manifest, write_manifest
from wavllm_cli.data.schema import Utterance
from wavllm_cli.errors import ManifestError, WavLLMError

COUNT = 2000


def row(number: int, **fields) -> Utterance:
    return Utterance(id=f"u{number}", audio=f"wav/{number}.flac", task="asr", prompt="p", target="ü" * 50, **fields)


@pytest.fixture(scope="module")
def rows():
    return [row(i, duration=1.5) for i in range(COUNT)]


@pytest.mark.parametrize("suffix", [".jsonl", ".jsonl.gz", ".parquet"])
def test_rows_are_a_sequence_like_a_list_of_them(tmp_path, rows, suffix):
    path = tmp_path / f"m{suffix}"
    write_manifest(path, rows)
    found = read_manifest(path)
    assert len(found) == COUNT and found == rows and list(iter_manifest(path)) == rows
    assert (found[0], found[-1], found[7:900:300]) == (rows[0], rows[-1], rows[7:900:300])
    assert rows[5] in found and found.index(rows[5]) == 5
    assert found != rows[1:] and found != [*rows[:-1], rows[0]]
    with pytest.raises(IndexError):
        found[COUNT]


def test_marks_blank_lines_and_a_missing_line_end_do_not_shift_rows(tmp_path, rows):
    lines = [row.json_line().encode() for row in rows[:3]]
    content = b"\xef\xbb\xbf\n  \n" + lines[0] + b"\r\n\n" + lines[1] + b"\n \x0c\n" + lines[2]
    (tmp_path / "m.jsonl").write_bytes(content)
    (tmp_path / "packed.jsonl").write_bytes(gzip.compress(content))  # whatever its name says
    (tmp_path / "wide.jsonl").write_bytes(content.decode().encode("utf-16-le"))
    assert read_manifest(tmp_path / "m.jsonl") == rows[:3] == read_manifest(tmp_path / "packed.jsonl")
    assert read_manifest(tmp_path / "wide.jsonl") == rows[:3]


def test_a_row_takes_some_bytes_and_not_an_object(tmp_path, rows):
    write_manifest(tmp_path / "m.jsonl", rows)
    tracemalloc.start()
    try:
        found = read_manifest(tmp_path / "m.jsonl")
        kept = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert len(found) == COUNT and kept < 30 * COUNT  # 2,700 each as objects


def test_rows_stay_what_they_are_when_another_manifest_takes_the_name(tmp_path, rows):
    path = tmp_path / "m.jsonl"
    write_manifest(path, rows)
    found = read_manifest(path)
    write_manifest(path, (row.model_copy(update={"prompt": "new"}) for row in found))
    assert found == rows and read_manifest(path)[3].prompt == "new"


def test_a_manifest_that_is_written_over_is_found_out(tmp_path, rows):
    path = tmp_path / "m.jsonl"
    write_manifest(path, rows)
    found = read_manifest(path)
    with path.open("r+b") as file:
        file.write(b"{" * 100)
    with pytest.raises(ManifestError, match=r"m\.jsonl was written to while it was being read: start again"):
        found[0]
    os.truncate(path, 1000)
    with pytest.raises(ManifestError, match="was written to"):
        found[-1]


def test_another_process_reads_the_very_same_file(tmp_path, rows):
    write_manifest(tmp_path / "m.jsonl", rows)
    found = read_manifest(tmp_path / "m.jsonl")
    (tmp_path / "m.jsonl").unlink()
    assert pickle.loads(pickle.dumps(found)) == rows


def test_no_room_to_unpack_is_a_sentence(tmp_path, rows, monkeypatch):
    write_manifest(tmp_path / "m.jsonl.gz", rows)
    monkeypatch.setattr("wavllm_cli.data.rows.TemporaryFile", partial(Path.open, Path("/dev/full"), "wb"))
    with pytest.raises(WavLLMError, match=r"m\.jsonl\.gz cannot be put down to be read: the disk is full"):
        read_manifest(tmp_path / "m.jsonl.gz")


def test_whoever_reads_once_gets_rows_up_to_the_first_problem_and_hears_of_all(tmp_path, rows):
    lines = [row.json_line() for row in rows[:4]]
    (tmp_path / "m.jsonl").write_text("\n".join([*lines[:2], "{}", lines[2], lines[0], lines[3]]))
    found = []
    with pytest.raises(ManifestError) as caught:
        found.extend(iter_manifest(tmp_path / "m.jsonl"))
    missing, twice = caught.value.args
    assert "line 3" in missing and "id 'u0' is already taken by line 1" in twice
    assert [row.id for row in found] == ["u0", "u1"]
