import gzip
import json
import os
import time

import pytest
from pydantic import ValidationError

from wavllm_cli.data.audio_paths import resolve_audio
from wavllm_cli.data.files import replacing
from wavllm_cli.data.manifest import checked, parquet_rows, read_lines, read_manifest, validated, write_manifest
from wavllm_cli.data.schema import Hypothesis, Part, Utterance, misspelt_key
from wavllm_cli.errors import ManifestError, WavLLMError

ASR = {"id": "a", "audio": "a.wav", "task": "asr", "prompt": "Transcribe.", "target": "grüße 你好"}
TEXT = {"id": "b", "audio": None, "task": "sft", "prompt": "Spell one.", "target": "o n e", "speaker": ["s", "t"]}
II = {
    "id": "c", "audio": "a.wav", "start": 1.5, "duration": 2.25, "task": "ii", "prompt": "", "target": None,
    "choices": ["x", "y"], "parts": [{"task": "asr", "prompt": "p", "target": "t"}, {"task": "sft", "prompt": "q"}],
    "speaker": "s", "language": "en",
}  # fmt: skip
OWN = {"snr": 3.5, "votes": {"a": [1, None]}, "note": "grüße", "text": "not an answer"}
PARTS = [*II["parts"], {"task": "er", "prompt": "r", "target": "sad", "references": ["angry"]}]
ALL = {**II, "channel": 1, "extra": OWN, "parts": PARTS, "target": "t", "references": ["u", "v"]}
ROWS = [Utterance(**row) for row in (ASR, TEXT, ALL)]


def jsonl(path, *rows):
    path.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows))
    return path


def problems(path, model=Utterance) -> list[str]:
    with pytest.raises(ManifestError) as caught:
        read_manifest(path, model)
    return str(caught.value).splitlines()


@pytest.mark.parametrize("suffix", [".jsonl", ".jsonl.gz", ".parquet"])
@pytest.mark.parametrize("rows", [ROWS, ROWS[1:2]], ids=["mixed", "text only"])
def test_what_is_written_is_read_back_and_gives_the_same_bytes(tmp_path, suffix, rows):
    path, again = tmp_path / f"m{suffix}", tmp_path / f"again{suffix}"
    write_manifest(path, rows)
    assert read_manifest(path) == rows
    write_manifest(again, iter(rows))
    assert path.read_bytes() == again.read_bytes()
    if suffix == ".jsonl.gz":
        assert path.read_bytes()[4:8] == bytes(4)  # no time of writing


def test_parquet_is_the_same_in_blocks(tmp_path, monkeypatch):
    """Of columns whose type only a later block tells, or which only some rows have, or objects with other keys."""
    turns = [[{"start": 0, "duration": 1, "speaker": "a", "text": "x"}], None, [
        {"start": 0, "duration": 1, "speaker": "a", "text": "x", "channel": 1}]]  # fmt: skip
    rows = [row.model_copy(update={"id": f"{i}"}) for i, row in enumerate(ROWS * 2)]
    rows += [Utterance(**ASR | {"id": f"t{i}", "turns": given}) for i, given in enumerate(turns)]
    write_manifest(tmp_path / "one.parquet", rows)
    monkeypatch.setattr("wavllm_cli.data.manifest.BLOCK", 1)
    write_manifest(tmp_path / "many.parquet", rows)
    assert read_manifest(tmp_path / "one.parquet") == rows == read_manifest(tmp_path / "many.parquet")


def test_a_line_leaves_out_empty_options_but_never_audio_and_target(tmp_path):
    write_manifest(tmp_path / "m.jsonl", ROWS)
    asr, text, ii = map(json.loads, (tmp_path / "m.jsonl").read_text(encoding="utf-8").splitlines())
    assert asr == {**ASR, "start": 0.0}
    assert text["audio"] is None and "duration" not in text
    assert ii["target"] == "t" and ii["parts"][0] == {"task": "asr", "prompt": "p", "target": "t"}


def test_hypotheses_keep_the_manifest_row(tmp_path):
    answer = Hypothesis(
        **ROWS[2].model_dump(exclude={"extra"}),
        text="",
        system="m",
        token_ids=[1],
        logprobs=[-0.5],
        steps=[{"asr": "x"}],
    )
    write_manifest(tmp_path / "h.jsonl", [answer])
    assert read_manifest(tmp_path / "h.jsonl", Hypothesis) == [answer]
    answered = {"text": "", "system": "m", "token_ids": [1], "logprobs": [-0.5], "steps": [{"asr": "x"}]}
    assert read_manifest(tmp_path / "h.jsonl") == [ROWS[2].model_copy(update={"extra": answered})]
    assert answer.parts[:2] == [Part(task="asr", prompt="p", target="t"), Part(task="sft", prompt="q")]


@pytest.mark.parametrize("suffix", [".jsonl", ".jsonl.gz"])
def test_datasets_reads_what_we_write(tmp_path, suffix):
    datasets = pytest.importorskip("datasets")
    write_manifest(tmp_path / f"m{suffix}", ROWS)
    table = datasets.load_dataset(
        "json", data_files=str(tmp_path / f"m{suffix}"), split="train", cache_dir=str(tmp_path / "cache")
    )
    assert table["id"] == ["a", "b", "c"] and table["target"] == [row.target for row in ROWS]
    table.to_parquet(tmp_path / "back.parquet")
    assert [row.id for row in read_manifest(tmp_path / "back.parquet")] == ["a", "b", "c"]


def test_datasets_reads_pieces_and_turns_and_gives_them_back(tmp_path):
    datasets = pytest.importorskip("datasets")
    row = {"prompt": "p", "target": "t", "task": "asr", "gap": 0.5}
    pieces = [{"audio": "a.wav", "channel": 1, "level": -26}, {"audio": "b.wav", "start": 1.0, "duration": 2.0}]
    turns = [
        {"start": 0, "duration": 1, "speaker": "A", "text": "a"},
        {"start": 1, "duration": 1.5, "speaker": "B", "channel": 0, "text": "b"},
    ]
    rows = [Utterance(id=name, audio=pieces, turns=turns, speaker=["A", "B"], **row) for name in "ab"]
    write_manifest(tmp_path / "m.jsonl", rows)
    table = datasets.load_dataset(
        "json", data_files=str(tmp_path / "m.jsonl"), split="train", cache_dir=str(tmp_path / "cache")
    )
    table.to_parquet(tmp_path / "back.parquet")
    assert read_manifest(tmp_path / "back.parquet") == rows
    write_manifest(tmp_path / "m.parquet", rows)
    table = datasets.load_dataset(
        "parquet", data_files=str(tmp_path / "m.parquet"), split="train", cache_dir=str(tmp_path / "cache")
    )
    table.to_json(tmp_path / "back.jsonl")
    assert read_manifest(tmp_path / "back.jsonl") == rows


def test_rows_are_frozen():
    with pytest.raises(ValidationError):
        ROWS[0].prompt = "x"


# --- bad input: file, line, id, cure ---


def test_every_problem_is_one_sentence_with_file_line_and_id(tmp_path):
    no_audio = {key: value for key, value in ASR.items() if key != "audio"}
    path = jsonl(
        tmp_path / "m.jsonl",
        ASR,
        '{"id": "x", "audio": ',
        {**no_audio, "id": "no-audio"},
        ASR,
        {**ASR, "id": "long", "duration": "long", "start": -1},
        {**ASR, "id": "task", "task": "sing"},
        [1, 2],
        {**ASR, "id": 7},
        "",
        {**ASR, "id": "nan", "duration": float("nan")},
    )
    found = problems(path)
    start = [line.removeprefix(f"{path}, line ").split(":")[0] for line in found]
    assert start == ["2 (id x)", "3 (id no-audio)", "4", "5 (id long)", "6 (id task)", "7", "8 (id 7)", "10 (id nan)"]
    assert "not valid JSON" in found[0] and "character" in found[0]
    assert 'key "audio" is missing' in found[1]
    assert "'a'" in found[2] and "line 1" in found[2]
    assert '"duration"' in found[3] and "'long'" in found[3] and '"start"' in found[3] and "-1" in found[3]
    assert "'asr'" in found[4] and "'sing'" in found[4]
    assert all(line.startswith(str(path)) and line.endswith(".") for line in found)


def test_reading_stops_after_ten_problems(tmp_path):
    found = problems(jsonl(tmp_path / "m.jsonl", *["{"] * 50))
    assert len(found) == 2 and "lines 1, 2, 3 and 7 more: not valid JSON" in found[0] and "stopped" in found[1]


def test_a_near_miss_is_an_error_and_a_column_of_ones_own_is_kept(tmp_path):
    misspelt = {**{k: v for k, v in ASR.items() if k != "prompt"}, "promt": "x"}
    (found,) = problems(jsonl(tmp_path / "m.jsonl", misspelt))
    assert 'unknown key "promt": did you mean "prompt"?' in found
    (found,) = problems(jsonl(tmp_path / "d.jsonl", {**ASR, "Duration": 3}))
    assert 'did you mean "duration"?' in found
    own = {"snr": 3, "speaker_id": 4, "audios": 5, "uid": 6, "n_frames": 7, "text": "its own"}
    (row,) = read_manifest(jsonl(tmp_path / "own.jsonl", {**ASR, **own}))
    assert row == ROWS[0].model_copy(update={"extra": own})


def test_rows_from_elsewhere_get_the_same_sentences():
    wrong = validated({**ASR, "start": -1}, Utterance)
    assert isinstance(wrong, str) and wrong.startswith(' (id a): key "start" should be')
    assert list(checked([(3, ROWS[0]), (5, ROWS[1])], "x.json")) == ROWS[:2]
    with pytest.raises(ManifestError) as caught:
        list(checked([(3, ROWS[0]), (4, wrong), (5, ROWS[0])], "x.json", "row"))
    first, second = str(caught.value).splitlines()
    assert first == f"x.json, row 4{wrong}" and second == "x.json, row 5: id 'a' is already taken by row 3."
    assert misspelt_key(["id", "promt"], Utterance) == 'unknown key "promt": did you mean "prompt"?'
    assert misspelt_key(["id", "promt", "prompt"], Utterance) is None


def test_any_parquet_file_is_read_row_by_row(tmp_path):
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow.parquet import write_table

    write_table(pyarrow.table({"ref": ["x", None], "target": [None, "y"], "n": [1, 2]}), tmp_path / "p.parquet")
    expected = [(1, {"ref": "x", "target": None, "n": 1}), (2, {"target": "y", "n": 2})]
    assert list(parquet_rows(tmp_path / "p.parquet")) == expected


@pytest.mark.parametrize("name", ["m.jsonl", "m.jsonl.gz", "m.parquet", "m.tsv"])
def test_missing_and_empty_files(tmp_path, name):
    path = tmp_path / name
    assert problems(path) == [f"{path} does not exist."]
    path.write_bytes(gzip.compress(b"") if name.endswith(".gz") else b"")
    (found,) = problems(path)
    assert str(path) in found


def test_files_that_are_not_manifests(tmp_path):
    (tmp_path / "m.jsonl.gz").write_bytes(b"plain text")
    (tmp_path / "cut.jsonl.gz").write_bytes(gzip.compress(json.dumps(ASR).encode() * 50)[:60])
    (tmp_path / "m.json").write_text("{}")
    (tmp_path / "bytes.jsonl").write_bytes(b'{"id": "\xff\xfe"}\n')
    for name in ("m.jsonl.gz", "cut.jsonl.gz", "m.json", "bytes.jsonl"):
        assert str(tmp_path / name) in problems(tmp_path / name)[0]
    assert problems(tmp_path) == [f"{tmp_path} is a folder, not a file."]
    (tmp_path / "lfs.jsonl").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:1\nsize 9\n")
    assert "is only a Git LFS pointer" in problems(tmp_path / "lfs.jsonl")[0]
    os.mkfifo(tmp_path / "pipe.jsonl")
    assert problems(tmp_path / "pipe.jsonl") == [f"{tmp_path}/pipe.jsonl is a named pipe, not a file."]


def test_a_byte_order_mark_is_not_part_of_the_first_row(tmp_path):
    path = tmp_path / "m.jsonl"
    path.write_bytes(b"\xef\xbb\xbf" + json.dumps(ASR).encode() + b"\r\n")
    assert read_manifest(path) == [ROWS[0]]


# --- files that are still being written ---


def test_read_lines_leaves_out_a_last_line_that_was_cut(tmp_path):
    path = tmp_path / "h.jsonl"
    path.write_text(ROWS[0].json_line() + "\n" + ROWS[1].json_line() + "\n" + ROWS[2].json_line()[:40])
    assert list(read_lines(path, Utterance)) == ROWS[:2]
    path.write_text(ROWS[0].json_line()[:30] + "\n" + ROWS[1].json_line() + "\n")
    with pytest.raises(ManifestError, match=r"line 1 \(id a\): not valid JSON"):
        list(read_lines(path, Utterance))


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "m.jsonl"
    write_manifest(path, ROWS)
    with pytest.raises(ManifestError, match="'a' occurs twice"):
        write_manifest(path, [ROWS[0], ROWS[0]])
    with pytest.raises(KeyboardInterrupt), replacing(path) as draft:
        draft.write_text("half")
        raise KeyboardInterrupt
    assert read_manifest(path) == ROWS
    assert [p.name for p in tmp_path.iterdir()] == ["m.jsonl"]
    with pytest.raises(WavLLMError, match="cannot be written"):
        write_manifest(path / "below-a-file.jsonl", ROWS)


# --- where the audio is ---


def test_resolve_audio(tmp_path, capsys):
    manifest = tmp_path / "lists" / "m.jsonl"
    for name in ("lists/near.wav", "root/audio/asr.flac", "root/b.wav"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    root = tmp_path / "root"

    def row(audio):
        return Utterance(**{**ASR, "audio": str(audio)})

    assert resolve_audio(row("near.wav"), manifest) == tmp_path / "lists/near.wav"
    assert resolve_audio(row(root / "b.wav"), manifest) == root / "b.wav"
    assert resolve_audio(row("gone.wav"), manifest) == tmp_path / "lists/gone.wav"
    assert not capsys.readouterr().err
    assert resolve_audio(row("Old/place/audio/asr.flac"), manifest, root) == root / "audio/asr.flac"
    assert resolve_audio(row("/old/place/b.wav"), manifest, root) == root / "b.wav"
    assert capsys.readouterr().err.count("warning") == 1


def test_rows_take_time_in_proportion(tmp_path):
    line = Utterance(**{**ASR, "duration": 3.0, "speaker": "s", "transcript": "x y z"}).json_line()
    path = tmp_path / "m.jsonl"
    path.write_text("".join(line.replace('"id":"a"', f'"id":"u{i}"') + "\n" for i in range(20_000)))
    start = time.process_time()
    assert len(read_manifest(path)) == 20_000
    assert time.process_time() - start < 3  # about 0.25 s; generous, and not enough to compare each with each


# --- what would be taken for something else ---


def test_a_key_that_occurs_twice_is_named(tmp_path):
    twice = json.dumps(ASR)[:-1] + ', "target": "other"}'
    assert problems(jsonl(tmp_path / "m.jsonl", twice)) == [
        f'{tmp_path}/m.jsonl, line 1 (id a): key "target" occurs twice in an object (at character {len(twice) - 8}).'
    ]
    parts = {**II, "parts": [{"task": "asr", "prompt": "p", "target": "t"}] * 2}  # each has its own keys
    assert len(read_manifest(jsonl(tmp_path / "m.jsonl", parts))) == 1


@pytest.mark.parametrize("task", ["ii", "cot"])
def test_a_part_is_no_multi_task_row_itself(tmp_path, task):
    row = {**II, "parts": [{"task": task, "prompt": "p", "target": "t"}]}
    (problem,) = problems(jsonl(tmp_path / "m.jsonl", row))
    assert "line 1 (id c): key \"parts.0.task\" should be 'asr', 'st'" in problem and f"not '{task}'." in problem


def test_bottomless_nesting_and_endless_ids_are_problems_of_their_row(tmp_path):
    deep = json.dumps(ASR)[:-1] + ', "steps": ' + "[" * 3000 + "]" * 3000 + "}"
    (problem,) = problems(jsonl(tmp_path / "m.jsonl", deep), Hypothesis)
    assert "line 1: nested more than 200 levels deep" in problem
    (problem,) = problems(jsonl(tmp_path / "m.jsonl", {**ASR, "id": "x" * 100_000, "task": "sing"}))
    assert f"(id {'x' * 80}… (100,000 characters)): key" in problem and len(problem) < 400


def test_a_damaged_parquet_is_one_problem(tmp_path):
    (tmp_path / "m.parquet").write_bytes(b"PAR1" + b"x" * 100 + b"PAR1")
    with pytest.raises(ManifestError) as caught:
        read_manifest(tmp_path / "m.parquet")
    (problem,) = caught.value.args
    assert "\n" not in problem and "cannot be read as Parquet" in problem and problem.count(".") == 2
