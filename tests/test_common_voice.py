"""Common Voice as its releases are unpacked: columns from 4.0 to 17.0, and clips that are not what they say."""

import json
from unicodedata import normalize

import pytest
from common_voice_tree import SHUFFLED, V4, V5_0, V13, V17, clip, language

from wavllm_cli.corpora.prepare import prepare
from wavllm_cli.data.audio import read_audio
from wavllm_cli.data.audio_paths import resolve_audio
from wavllm_cli.data.manifest import read_manifest
from wavllm_cli.errors import UsageError


def read(out, name="train-en"):
    return read_manifest(out / f"{name}.jsonl")


def skipped(out):
    rows = [json.loads(line) for line in (out / "skipped.jsonl").read_text().splitlines()]
    return {row["item"]: row["reason"] for row in rows}


def test_a_release(tmp_path):
    release = tmp_path / "cv-corpus-17.0-2024-03-15"
    facts = {"up_votes": "2", "down_votes": "0", "age": "teens", "gender": "female_feminine", "accents": "Scots, Irish"}
    sentences = ['"Well', 'Don’t say "no"!', "U+2028\u2028stays, so does \x85 and\x0b", r"A \\ b", "Cafe\u0301 2000"]
    train = [clip(n, sentence, sentence_domain="general,news", **facts) for n, sentence in enumerate(sentences)]
    names = [row["path"] for row in [*train, clip(10), clip(20)]]
    language(release / "en", V17, names, train=train, dev=[clip(10)], test=[clip(20)], validated=train, other=train)
    (release / "en" / "reported.tsv").write_text("broken\nby\tline feeds\n")
    (release / "en" / "._train.tsv").write_bytes(b"\0Mac")
    (release / "en" / "clips" / "._common_voice_en_0.mp3").write_bytes(b"\0Mac")
    summary = prepare("common-voice", release, tmp_path / "out")
    assert [m.path.name for m in summary.manifests] == ["train-en.jsonl", "dev-en.jsonl", "test-en.jsonl"]
    rows = read(tmp_path / "out")
    assert [row.target for row in rows] == [
        "well", "don't say no", "u 2028 stays so does and", "a b", "café 2000",
    ]  # fmt: skip
    assert [row.transcript for row in rows[1:4]] == ['Don’t say "no"!', "U+2028\u2028stays, so does \x85 and", r"A \ b"]
    first = rows[0]
    assert (first.id, first.language, first.speaker, first.split) == ("common_voice_en_0", "en", "c0", "train")
    assert first.extra == {
        "release": "cv-corpus-17.0-2024-03-15", "age": "teens", "gender": "female_feminine",
        "accents": "Scots, Irish", "sentence_domain": "general,news", "up_votes": 2, "down_votes": 0,
    }  # fmt: skip
    audio = resolve_audio(first, tmp_path / "out/train-en.jsonl")
    assert audio == release / "en/clips/common_voice_en_0.mp3"
    assert first.duration == pytest.approx(len(read_audio(audio)) / 16_000) == pytest.approx(1.5, abs=0.1)
    assert not (tmp_path / "out" / "skipped.jsonl").exists()


@pytest.mark.parametrize("columns", [V4, V5_0, SHUFFLED, V13, V17])
def test_columns_go_by_their_names(tmp_path, columns):
    one = clip(1, "One.", accent="scots", accents="scots", segment="")
    language(tmp_path / "archive", columns, [one["path"]], train=[one])
    prepare("common-voice", tmp_path, tmp_path / "out")
    (row,) = read(tmp_path / "out")
    assert (row.target, row.speaker, row.language) == ("one", "c1", "en")
    assert row.extra == {"release": "unknown", "accents": "scots"}


def test_the_oldest_clips_are_named_by_a_hash(tmp_path):
    one = {"client_id": "c", "path": "00f2", "sentence": "Ja."}
    language(tmp_path / "de", V4, ["00f2.mp3"], train=[one])
    prepare("common-voice", tmp_path / "de", tmp_path / "out")
    (row,) = read(tmp_path / "out", "train-de")
    assert (row.id, row.language, row.target) == ("common_voice_de_00f2", "de", "ja")
    (tmp_path / "de").rename(tmp_path / "unpacked")
    with pytest.raises(UsageError, match=r"Nothing tells the language of .*unpacked: name the folder by its code"):
        prepare("common-voice", tmp_path / "unpacked", tmp_path / "out")


def test_what_cannot_be_used_is_told(tmp_path):
    rows = [clip(n, "" if n == 4 else "…" if n == 5 else "Fine.") for n in range(1, 6)]
    folder = language(tmp_path / "en", V13, [row["path"] for row in rows[1:]], train=[*rows, rows[4], rows[1]])
    (folder / "clips/common_voice_en_2.mp3").write_bytes(b"")
    with (folder / "train.tsv").open("ab") as table:
        table.write(b"half\ta row\r\n" + b"c\tx.mp3\t\xff" + b"\t" * 8 + b"\r\n")
    summary = prepare("common-voice", folder, tmp_path / "out")
    assert [row.id for row in read(tmp_path / "out")] == ["common_voice_en_3"]
    table = f"{folder}/train.tsv"
    assert skipped(tmp_path / "out") == {
        "common_voice_en_1.mp3": "no-audio",
        "common_voice_en_2.mp3": "duplicate",
        "common_voice_en_4.mp3": "no-text",
        "common_voice_en_5.mp3": "duplicate",
        f"{table}, line 9": "form",
        f"{table}, line 10": "encoding",
    }
    assert summary.reasons["unreadable"] == 1 and summary.reasons["no-text"] == 2


def test_languages_and_splits_are_chosen(tmp_path, wavllm):
    for code in ("en", "sv-SE", "zh-CN"):
        one = clip(1, "你好。" if code == "zh-CN" else "Ett, två.", code)
        language(tmp_path / "cv-corpus-13.0-2023-03-09" / code, V13, [one["path"]], train=[one], other=[one])
    out = tmp_path / "out"
    code, _, err = wavllm("prep", "common-voice", tmp_path, "--language", "zh-CN,sv-SE", "--out", out)
    assert code == 0 and sorted(path.name for path in out.iterdir()) == ["train-sv-SE.jsonl", "train-zh-CN.jsonl"]
    assert [(row.language, row.target) for row in read(out, "train-zh-CN")] == [("zh-CN", "你好")]
    wavllm("prep", "common-voice", tmp_path, "--language", "en", "--splits", "other", "--out", tmp_path / "en")
    assert [path.name for path in (tmp_path / "en").iterdir()] == ["other-en.jsonl"]
    code, _, err = wavllm("prep", "common-voice", tmp_path, "--language", "sv", "--out", out)
    assert code == 2 and "There is no language sv (did you mean sv-SE?): there is en, sv-SE, zh-CN." in err
    code, _, err = wavllm("prep", "common-voice", tmp_path, "--splits", "dev", "--out", out)
    assert code == 2 and "There is no table of en called dev" in err


def test_a_delta_has_only_what_is_validated(tmp_path, capsys):
    delta = language(tmp_path / "cv-corpus-17.0-delta-2024-03-15/en", V17, [clip(1)["path"]], validated=[clip(1)])
    prepare("common-voice", delta, tmp_path / "out")
    (row,) = read(tmp_path / "out", "validated-en")
    assert row.split == "validated" and row.extra["release"] == "cv-corpus-17.0-delta-2024-03-15"
    assert "has no train, dev and test" in capsys.readouterr().err


def test_names_are_found_however_they_are_composed(tmp_path):
    listed, on_disk = normalize("NFC", "é_1.mp3"), normalize("NFD", "é_1.mp3")
    language(tmp_path / "fr", V4, [on_disk], train=[{"client_id": "c", "path": listed, "sentence": "Oui."}])
    prepare("common-voice", tmp_path, tmp_path / "out")
    (row,) = read(tmp_path / "out", "train-fr")
    assert resolve_audio(row, tmp_path / "out/train-fr.jsonl").is_file()


def test_releases_are_not_mixed_and_copies_are_one(tmp_path):
    for release, sentence in (("cv-corpus-5.1-2020-06-22", "A."), ("again/cv-corpus-5.1-2020-06-22", "A.")):
        language(tmp_path / release / "en", V13, [clip(1)["path"]], train=[clip(1, sentence)])
    prepare("common-voice", tmp_path, tmp_path / "out")
    assert len(read(tmp_path / "out")) == 1
    language(tmp_path / "cv-corpus-6.1-2020-12-11" / "en", V13, [], train=[clip(1, "B.")])
    with pytest.raises(UsageError, match=r"Common Voice in en is there twice, and not the same: name .*5.1.* or .*6.1"):
        prepare("common-voice", tmp_path, tmp_path / "out")


def test_wrong_roots(tmp_path):
    folder = language(tmp_path / "en", V13, [clip(1)["path"]], train=[clip(1)])
    for root, says in (
        (folder / "clips", f"is not Common Voice: .* Name {folder} instead"),
        (folder / "train.tsv", "is a file: name the folder"),
        (tmp_path / "gone", "There is no folder"),
    ):
        with pytest.raises(UsageError, match=says):
            prepare("common-voice", root, tmp_path / "out")
    (folder / "train.tsv").write_text("file\ttext\nx\ty\n")
    with pytest.raises(UsageError, match="no column path, sentence, only file, text"):
        prepare("common-voice", folder, tmp_path / "out")
