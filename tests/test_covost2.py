"""CoVoST 2 beside Common Voice, elsewhere, and as its script splits it; clips that were withdrawn or judged again."""

import json

import pytest
from common_voice_tree import V4, V13, clip, language, write_table

from wavllm_cli.corpora.prepare import prepare
from wavllm_cli.corpora.splits import Names
from wavllm_cli.data.audio_paths import resolve_audio
from wavllm_cli.data.manifest import read_manifest
from wavllm_cli.errors import UsageError

COLUMNS = "path translation split"


def listed(number, split, translation="Hallo, „Welt“.", **columns):
    return {"path": f"common_voice_en_{number}.mp3", "translation": translation, "split": split, **columns}


@pytest.fixture
def root(tmp_path):
    """A pre-5.0 archive with covost_v2.en_de.tsv in it; the release's own dev.tsv says otherwise than CoVoST."""
    rows = [
        listed(1, "train", '"Sie sagte'), listed(2, "train_covost"), listed(3, "dev"), listed(4, "test"),
        listed(5, "dev_covost"), listed(6, "test_covost"), listed(7, "train"), listed(8, "train"),
        listed(9, "train"), listed(10, "train", " "), listed(11, "train"), listed(1, "train"), listed(12, "train"),
    ]  # fmt: skip
    spoken = [clip(n, "The same, “said” by several.", age="fifties", gender="male") for n in range(1, 13)]
    names = [row["path"] for row in spoken if row["path"] != "common_voice_en_8.mp3"]
    valid = [row for row in spoken if row["path"] not in ("common_voice_en_7.mp3", "common_voice_en_9.mp3")]
    folder = language(
        tmp_path / "cv", V4, names, validated=[r for r in valid if r["client_id"] != "c12"], dev=valid[:2],
        other=[spoken[6]], invalidated=[spoken[11]],
    )  # fmt: skip
    (folder / "clips/common_voice_en_11.mp3").write_bytes(b"\0" * 100)
    (folder / "clips/common_voice_en_12.mp3").unlink()
    write_table(folder / "covost_v2.en_de.tsv", COLUMNS, rows)
    (folder / "._covost_v2.en_de.tsv").write_bytes(b"\0Mac")
    return folder


def read(out, name):
    return read_manifest(out / f"{name}.jsonl")


def skipped(out):
    rows = [json.loads(line) for line in (out / "skipped.jsonl").read_text().splitlines()]
    return [
        (row["split"], row["item"].removeprefix("common_voice_en_").removesuffix(".mp3"), row["reason"]) for row in rows
    ]


def test_the_split_is_covosts_and_what_is_said_is_common_voices(root, tmp_path):
    out = tmp_path / "out"
    summary = prepare("covost2", root, out)
    assert [m.path.name for m in summary.manifests] == ["train-en_de.jsonl", "dev-en_de.jsonl", "test-en_de.jsonl"]
    train = read(out, "train-en_de")
    assert [row.id for row in train] == [f"covost2-en_de-common_voice_en_{n}" for n in (1, 2)]
    first = train[0]
    assert (first.target, first.transcript) == ('"Sie sagte', "The same, “said” by several.")
    assert (first.task, first.language, first.target_language) == ("st", "en", "de")
    assert first.prompt == "Translate the audio clip into German."
    assert (first.speaker, first.extra) == ("c1", {"release": "unknown", "age": "fifties", "gender": "male"})
    assert resolve_audio(first, out / "train-en_de.jsonl") == root / "clips/common_voice_en_1.mp3"
    assert [row.split for row in (*read(out, "dev-en_de"), *read(out, "test-en_de"))] == ["dev", "test"]
    assert sorted(skipped(out)) == [
        ("dev_covost", "5", "unused-split"),
        ("test_covost", "6", "unused-split"),
        ("train", "1", "duplicate"),
        ("train", "10", "no-text"),
        ("train", "11", "unreadable"),
        ("train", "12", "no-audio"),
        ("train", "7", "not-validated"),
        ("train", "8", "no-audio"),
        ("train", "9", "not-in-table"),
    ]
    counts = summary.manifests[0].counts()
    assert list(counts.values()) == [9, 8, 6, 5, 2]  # listed, in a table, with audio, readable, used


def test_sentences_of_other_tables_are_told_apart(root, tmp_path):
    summary = prepare("covost2", root, tmp_path / "out", sentences="any")
    assert [row.id[-4:] for row in read(tmp_path / "out", "train-en_de")] == ["en_1", "en_2", "en_7"]
    assert summary.changes == {"other-table": 1}


def test_transcripts_have_a_manifest_of_their_own(root, tmp_path):
    prepare("covost2", root, tmp_path / "out", task="both")
    (st,), (asr,) = read(tmp_path / "out", "test-en_de"), read(tmp_path / "out", "test-en_de-asr")
    assert (asr.task, asr.target, asr.target_language) == ("asr", "the same said by several", None)
    assert (asr.audio, asr.transcript) == (st.audio, st.transcript) and asr.id != st.id


def test_any_direction(tmp_path, wavllm):
    release = tmp_path / "cv-corpus-13.0-2023-03-09"
    for code, other in (("en", "zh-CN"), ("en", "sv-SE"), ("sv-SE", "en"), ("zh-CN", "en")):
        one = clip(1, "A.", code)
        if not (release / code).exists():
            language(release / code, V13, [one["path"]], validated=[one])
        rows = [{"path": one["path"], "translation": "B\u2028b.", "split": "test"}]
        write_table(release / code / f"covost_v2.{code}_{other}.tsv", COLUMNS, rows)
    write_table(release / "en" / "covost_v2.fr_en.tsv", COLUMNS, rows)
    out = tmp_path / "out"
    code, _, err = wavllm("prep", "covost2", release, "--out", out)
    assert code == 0 and "Left out, because their Common Voice is not there: fr_en." in err
    directions = ("en_sv-SE", "en_zh-CN", "sv-SE_en", "zh-CN_en")
    assert sorted(path.name for path in out.iterdir()) == [f"test-{direction}.jsonl" for direction in directions]
    for direction in directions:
        (row,) = read(out, f"test-{direction}")
        assert (f"{row.language}_{row.target_language}", row.target) == (direction, "B\u2028b.")
    assert row.prompt == "Translate the audio clip into English."
    code, _, err = wavllm("prep", "covost2", release, "--direction", "en_sv", "--out", out)
    assert code == 2 and "There is no direction en_sv (did you mean en_sv-SE?)" in err
    code, _, err = wavllm("prep", "covost2", release, "--direction", "fr_en", "--out", out)
    assert code == 2 and "has no Common Voice in fr, of which fr_en is a translation" in err


def test_tables_may_lie_elsewhere(root, tmp_path):
    (tmp_path / "covost").mkdir()
    (root / "covost_v2.en_de.tsv").rename(tmp_path / "covost/covost_v2.en_de.tsv")
    prepare("covost2", root, tmp_path / "out", tables=tmp_path / "covost")
    assert len(read(tmp_path / "out", "train-en_de")) == 2
    with pytest.raises(UsageError, match=r"is not CoVoST 2: there is no covost_v2\.FROM_TO\.tsv in it"):
        prepare("covost2", root, tmp_path / "out")
    with pytest.raises(UsageError, match="has no Common Voice in en"):
        prepare("covost2", tmp_path / "covost", tmp_path / "out")


def test_what_the_owners_script_wrote_is_enough(root, tmp_path):
    for split, number in (("train", 1), ("test", 4)):
        row = listed(number, "", r"Zwei \\ Striche", sentence="Two.", client_id="me")
        write_table(root / f"covost_v2.en_de.{split}.tsv", "path sentence translation client_id", [row])
    for table in ("covost_v2.en_de", "validated", "dev", "other", "invalidated"):
        (root / f"{table}.tsv").unlink()
    prepare("covost2", root, tmp_path / "out")
    (row,) = read(tmp_path / "out", "train-en_de")
    assert (row.target, row.transcript, row.speaker) == (r"Zwei \ Striche", "Two.", "me")
    assert [row.split for row in read(tmp_path / "out", "test-en_de")] == ["test"]
    (tmp_path / "script").mkdir()
    for path in root.glob("covost*"):
        path.rename(tmp_path / "script" / path.name)
    summary = prepare("covost2", root, tmp_path / "out", tables=tmp_path / "script")
    assert [m.utterances for m in summary.manifests] == [1, 1]


def test_splits_are_chosen(root, tmp_path):
    with (root / "covost_v2.en_de.tsv").open("ab") as table:
        table.write(b"half a row\n")
    summary = prepare("covost2", root, tmp_path / "out", splits=Names(("test",)))
    assert [m.path.name for m in summary.manifests] == ["test-en_de.jsonl"]
    assert skipped(tmp_path / "out") == [("unknown", f"{root}/covost_v2.en_de.tsv, line 15", "form")]
