"""MuST-C as its archives are unpacked: the keys of both versions, and lines that trip readers up."""

import json

import numpy as np
import pytest

from wavllm_cli.corpora.prepare import prepare
from wavllm_cli.corpora.splits import Names
from wavllm_cli.data.audio import write_wav
from wavllm_cli.data.audio_paths import resolve_audio
from wavllm_cli.data.manifest import read_manifest
from wavllm_cli.errors import UsageError

V1 = "- {{duration: {1}, offset: {0}, speaker_id: {2}, wav: {3}}}"
V2 = "- {{duration: {1}, offset: {0}, rW: 9, uW: 0, speaker_id: {2}, wav: {3}}}"


def split(folder, segments, form=V1, target="de", end="\n"):
    """A folder SPLIT/ with talks of 10 s each; segments are (offset, duration, speaker, wav, English, translation)."""
    (folder / "wav").mkdir(parents=True)
    (folder / "txt").mkdir()
    for wav in {segment[3] for segment in segments} - {"gone.wav"}:
        write_wav(folder / "wav" / wav.strip("'"), np.zeros(160_000))
    for suffix, lines in (
        ("yaml", [form.format(*segment) for segment in segments]),
        ("en", [segment[4] for segment in segments]),
        (target, [segment[5] for segment in segments]),
    ):
        (folder / "txt" / f"{folder.name}.{suffix}").write_bytes("".join(line + end for line in lines).encode())
    return folder


ONE = ("1.250000", "3.500000", "spk.7", "ted_7.wav", "Thank you.", "Danke.")


def read(out, name):
    return read_manifest(out / f"{name}.jsonl")


def skipped(out):
    rows = [json.loads(line) for line in (out / "skipped.jsonl").read_text().splitlines()]
    return {(row["item"], row["reason"]) for row in rows}


@pytest.mark.parametrize("form, extra", [(V1, {}), (V2, {"rW": 9, "uW": 0})], ids=["v1", "v2"])
def test_keys_in_any_order(tmp_path, form, extra):
    data = tmp_path / "MUSTC_v1.0_en-de" / "en-de" / "data"
    spoken, translated = "(Laughter) That’s “it”,\u2028my friend --", '"Das\u2028war\x85s, (Gelächter)'
    texts = [
        ("0.000000", "2.000000", "spk.3", "ted_3.wav", spoken, translated),
        ("2.000000", "3.123456", "spk.3", "ted_3.wav", "CA: Yes?", "CA: Ja?"),
        ONE,
        ("5.500000", "1.000000", "spk.3", "ted_3.wav", "Again.", "Noch u\u0308ber."),
    ]  # fmt: skip
    split(data / "tst-COMMON", texts, form, end="\r\n")
    split(data / "train", [ONE], form)
    (data / "train" / "txt" / "._train.yaml").write_bytes(b"\0Mac")
    (data / "train" / "txt" / "._train.de").write_bytes(b"\0Mac")
    for number, root in enumerate((tmp_path, tmp_path / "MUSTC_v1.0_en-de", data, data / "tst-COMMON")):
        out = tmp_path / f"out{number}"
        prepare("must-c", root, out, splits=Names(("tst-COMMON",)))
        rows = read(out, "tst-COMMON-en_de")
        assert [(row.start, row.duration) for row in rows] == [(0, 2), (2, 3.123456), (1.25, 3.5), (5.5, 1)]
    assert [row.target for row in rows] == [translated, "CA: Ja?", "Danke.", "Noch über."]
    assert rows[0].transcript == spoken
    first = rows[0]
    assert (first.id, first.speaker, first.group) == ("must-c-en_de-ted_3-0000000", "spk.3", "ted_3")
    assert (first.task, first.language, first.target_language, first.split) == ("st", "en", "de", "tst-COMMON")
    assert first.prompt == "Translate the audio clip into German."
    assert first.extra == {"release": "MUSTC_v1.0", **extra}
    assert resolve_audio(first, out / "x.jsonl") == data / "tst-COMMON/wav/ted_3.wav"


def test_transcripts_are_as_they_are_spoken(tmp_path):
    texts = ["(Laughter) That’s “it” -- 2 of us.", "(Applause)", "  "]
    lines = [(f"{n}.0", "1.0", "spk.1", "ted_1.wav", text, "x") for n, text in enumerate(texts)]
    split(tmp_path / "dev", lines)
    summary = prepare("must-c", tmp_path, tmp_path / "out", task="both")
    assert [(m.path.name, m.utterances) for m in summary.manifests] == [
        ("dev-en_de.jsonl", 3),
        ("dev-en_de-asr.jsonl", 1),
    ]
    (row,) = read(tmp_path / "out", "dev-en_de-asr")
    assert (row.task, row.target, row.target_language) == ("asr", "that's it 2 of us", None)
    assert skipped(tmp_path / "out") == {("ted_1-0001000", "no-speech"), ("ted_1-0002000", "no-text")}


def test_what_cannot_be_used_is_told(tmp_path, capsys):
    lines = [
        ONE,
        ("1.250000", "2.000000", "spk.7", "ted_7.wav", "Thank", "Danke noch"),
        ("9.000000", "3.000000", "spk.7", "ted_7.wav", "Over the end.", "Zu lang."),
        ("10.000000", "1.000000", "spk.7", "ted_7.wav", "Behind it.", "Danach."),
        ("2.000000", "0.000000", "spk.7", "ted_7.wav", "Nothing.", "Nichts."),
        ("3.000000", "0.040000", "spk.7", "ted_7.wav", "Hm", "Hm"),
        ("4.000000", "0.100000", "spk.7", "ted_7.wav", "No", "Nein"),
        ("5.000000", "1.000000", "spk.7", "ted_7.wav", "Empty", " "),
        ("0.000000", "1.000000", "7", "gone.wav", "Gone", "Weg"),
        ("?", "1.000000", "spk.7", "ted_7.wav", "Odd", "Seltsam"),
        ("0.5", "1.000000", "[1]", "ted_7.wav", "Odd", "Seltsam"),
        ("0.6", ".inf", "spk.7", "ted_7.wav", "Odd", "Seltsam"),
        ("6.000000", "1.000000", "7", "'no'", "Quoted", "Zitiert"),
    ]
    folder = split(tmp_path / "train", lines)
    (folder / "txt" / "train.bak").write_text("not a language\n")
    (folder / "wav" / "bad.wav").write_bytes(b"no audio")
    for suffix, line in (("yaml", V1.format(1, 1, 1, "bad.wav")), ("en", "Bad"), ("de", "\xe4")):
        with (folder / f"txt/train.{suffix}").open("a", encoding="utf-8") as file:
            file.write(f"{line}\n")
    summary = prepare("must-c", tmp_path, tmp_path / "out")
    rows = read(tmp_path / "out", "train-en_de")
    assert [(row.target, row.start, row.duration) for row in rows] == [
        ("Danke.", 1.25, 3.5), ("Zu lang.", 9, 1), ("Nein", 4, 0.1), ("Zitiert", 6, 1),
    ]  # fmt: skip
    assert skipped(tmp_path / "out") == {
        ("ted_7-0001250", "duplicate"), ("ted_7-0009000", "cut"), ("ted_7-0010000", "outside"),
        ("ted_7-0002000", "outside"), ("ted_7-0003000", "too-short"), ("ted_7-0005000", "no-text"),
        ("gone-0000000", "no-audio"),
        *((f"{folder}/txt/train.yaml, line {number}", "form") for number in (10, 11, 12)),
        ("bad-0001000", "unreadable"),
    }  # fmt: skip
    assert summary.changes == {"cut": 1}


def test_directions_and_copies(tmp_path):
    for target in ("de", "fr"):
        for split_name in ("train", "tst-COMMON"):
            split(tmp_path / f"en-{target}" / "data" / split_name, [ONE], target=target)
    split(tmp_path / "MUSTC_v1.0_en-de" / "en-de" / "data" / "train", [ONE])
    out = tmp_path / "out"
    prepare("must-c", tmp_path, out)
    names = ["train-en_de", "train-en_fr", "tst-COMMON-en_de", "tst-COMMON-en_fr"]
    assert sorted(path.stem for path in out.glob("*.jsonl")) == names
    prepare("must-c", tmp_path, tmp_path / "fr", direction=Names(("en-fr",)))
    assert [row.prompt for row in read(tmp_path / "fr", "train-en_fr")] == ["Translate the audio clip into French."]
    split(tmp_path / "MUSTC_v2.0_en-de" / "en-de" / "data" / "train", [ONE, ONE], V2)
    with pytest.raises(UsageError, match=r"train of MuST-C en_de is there twice, and not the same: name .* or .*v2"):
        prepare("must-c", tmp_path, out)


def test_wrong_roots(tmp_path):
    folder = split(tmp_path / "en-de" / "data" / "train", [ONE])
    for root, says in (
        (folder / "txt", rf"is not MuST-C: there is no en-TO/data/SPLIT/txt/SPLIT\.yaml in it\. Name {folder} instead"),
        (folder / "txt/train.yaml", "is a file: name the folder"),
        (tmp_path / "gone", "There is no folder"),
    ):
        with pytest.raises(UsageError, match=says):
            prepare("must-c", root, tmp_path / "out")
    with pytest.raises(UsageError, match=r"There is no direction en_fr \(did you mean en_de\?\): there is en_de\."):
        prepare("must-c", tmp_path, tmp_path / "out", direction=Names(("en_fr",)))
    with pytest.raises(UsageError, match=r"There is no split of en_de tst-COMMON: there is train\."):
        prepare("must-c", tmp_path, tmp_path / "out", splits=Names(("tst-COMMON",)))
    with (folder / "txt" / "train.de").open("a") as file:
        file.write("One line too many.\n")
    with pytest.raises(UsageError, match=r"different numbers of lines: .*train\.yaml 1, .*train\.en 1, .*train\.de 2"):
        prepare("must-c", tmp_path, tmp_path / "out")
