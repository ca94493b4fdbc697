"""Fisher as LDC ships it: two deliveries of speech, two of transcripts, everything compressed."""

import json
import os
import shutil

import pytest
import soundfile
from sphere_files import FAKE, compressed, fake_sph2pipe, sphere

from wavllm_cli.corpora.prepare import prepare
from wavllm_cli.data.manifest import read_manifest
from wavllm_cli.data.schema import Utterance
from wavllm_cli.errors import UsageError, WavLLMError

HEADER = (
    "CALL_ID,DATE_TIME,TOPICID,SIG_GRADE,CNV_GRADE,APIN,ASX.DL,APHNUM,APHSET,APHTYP,BPIN,BSX.DL,BPHNUM,BPHSET,BPHTYP"
)
FIRST = """# fe_03_00001.sph
# Transcribed at the LDC

0.50 1.20 A: hello [laughter] i'm u._s. an- 

0.90 1.50 B: (( you know )) *zork

1.50 1.60 B: [noise] [[skip]]

1.60 1.80 B: <german (( ja wohl ))> then

1.70 2.60 A: 'cause it's twenty-one ?

2.10 2.90 B: gone

1.90 1.90 A: none
one two A words
0.50 1.20 A: hello again
"""
SECOND = "# fe_03_05851.sph\n# Transcribed by BBN/WordWave\n\n0.10 0.90 B: caf\xe9\u0085 yes\r\n1.00 1.80 A: no\r\n"


@pytest.fixture
def root(tmp_path):
    """LDC's four deliveries in one folder."""
    root = tmp_path / "LDC"
    for part, disc, call, text in (
        ("4", "fe_03_p1_sph1", "00001", FIRST), ("5", "fe_03_p2_sph3", "05851", SECOND)
    ):  # fmt: skip
        compressed(root / f"LDC200{part}S13" / disc / "audio" / call[:3] / f"fe_03_{call}.sph")
        tran = root / f"LDC200{part}T19" / ("fe_03_p1_tran/data" if part == "4" else "data")
        (tran / "trans" / call[:3]).mkdir(parents=True)
        (tran / "trans" / call[:3] / f"fe_03_{call}.txt").write_text(text, encoding="latin-1", newline="")
        (tran / "bbn_orig" / "auto-segmented").mkdir(parents=True)
        (tran / "bbn_orig" / "auto-segmented" / f"fe_03_{call}.txt").write_text("0.00 1.00 A: wrong one\n")
        (tran.parent / "doc").mkdir()
    people = f"{HEADER}\r\n00001,20021210_15:52:37,ENG01,3,4,2602,f.a,9,1,2,1790,m.o,9,1,2\r\n"
    (root / "LDC2004T19/fe_03_p1_tran/doc/fe_03_p1_calldata.tbl").write_text(people)
    people = f"{HEADER}\n05851,20030401_10:00:00,ENG40,3,4,2602,m.a,9,1,2,,,9,1,2\n"
    (root / "LDC2005T19/doc/fe_03_p2_calldata.tbl").write_text(people)
    return root


@pytest.fixture
def sph2pipe(tmp_path, monkeypatch):
    fake_sph2pipe(tmp_path, monkeypatch, FAKE)


def rows(out, kind=""):
    """All utterances by id."""
    paths = (out / f"{split}{kind}.jsonl" for split in ("train", "dev", "test"))
    return {row.id: row for path in paths if path.exists() for row in read_manifest(path)}


def skipped(out):
    return [(row["item"], row["reason"]) for row in map(json.loads, (out / "skipped.jsonl").read_text().splitlines())]


def test_every_line_is_an_utterance_or_says_why_not(root, tmp_path, sph2pipe):
    out = tmp_path / "out"
    prepare("fisher", root, out)
    made = rows(out)
    facts = {name: (r.channel, r.start, r.duration, r.target, r.speaker, r.group) for name, r in made.items()}
    assert facts == {
        "fisher-fe_03_00001-A-0000050-0000120": (0, 0.5, 0.7, "hello i'm u s an", "2602-f", "fe_03_00001"),
        "fisher-fe_03_00001-A-0000170-0000260": (0, 1.7, 0.3, "'cause it's twenty one", "2602-f", "fe_03_00001"),
        "fisher-fe_03_05851-B-0000010-0000090": (1, 0.1, 0.8, "café yes", "fe_03_05851-B", "fe_03_05851"),
        "fisher-fe_03_05851-A-0000100-0000180": (0, 1.0, 0.8, "no", "2602-m", "fe_03_05851"),
    }
    first = made["fisher-fe_03_00001-A-0000050-0000120"]
    assert first.extra == {"gender": "f", "dialect": "a", "topic": "ENG01"} and first.language == "en"
    assert first.audio == "audio/fe_03_00001.flac" and soundfile.info(out / first.audio).channels == 2
    told = skipped(out)
    trans = root / "LDC2004T19/fe_03_p1_tran/data/trans/000/fe_03_00001.txt"
    assert sorted(told) == sorted(
        [
            ("fe_03_00001-B-0000090-0000150", "uncertain"),
            ("fe_03_00001-B-0000150-0000160", "no-words"),
            ("fe_03_00001-B-0000160-0000180", "uncertain"),
            ("fe_03_00001-A-0000170-0000260", "cut"),
            ("fe_03_00001-B-0000210-0000290", "outside"),
            ("fe_03_00001-A-0000190-0000190", "outside"),
            (f"{trans}, line 17", "form"),
            ("fe_03_00001-A-0000050-0000120", "duplicate"),
        ]
    )


def test_uncertain_words_are_kept_where_they_are_wanted(root, tmp_path, sph2pipe):
    prepare("fisher", root, tmp_path / "out", uncertain="keep")
    made = rows(tmp_path / "out")
    assert made["fisher-fe_03_00001-B-0000090-0000150"].target == "you know zork"
    assert made["fisher-fe_03_00001-B-0000160-0000180"].target == "ja wohl then"


def test_windows_hold_the_turns_of_both_sides(root, tmp_path, sph2pipe):
    prepare("fisher", root, tmp_path / "out", windows=30)
    window = rows(tmp_path / "out", "-windows")["fisher-fe_03_00001-0000050-0000200"]
    assert (window.channel, window.start, window.duration, window.target) == (None, 0.5, 1.5, None)
    heard = [(turn.start, turn.speaker, turn.channel, turn.text) for turn in window.turns]
    assert heard == [
        (0.0, "2602-f", 0, "hello i'm u._s. an"),
        (0.0, "2602-f", 0, "hello again"),
        (0.4, "1790-m", 1, "you know zork"),
        (1.1, "1790-m", 1, "ja wohl then"),
        (1.2, "2602-f", 0, "'cause it's twenty-one"),
    ]


def test_without_sph2pipe_shorten_and_its_cure_are_named(root, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(WavLLMError, match=r"no usable clip; .*compressed by shorten .*sph2pipe"):
        prepare("fisher", root, tmp_path / "out")


@pytest.mark.parametrize("suffix", ["wav", "flac", "sph"])
def test_converted_copies_are_used_in_the_place_of_what_is_compressed(root, tmp_path, monkeypatch, suffix):
    """Also SPHERE that is called .wav; none of it is converted again."""
    monkeypatch.setenv("PATH", str(tmp_path))
    for call in ("00001", "05851"):
        copy = root / "0-converted" / f"fe_03_{call}.{suffix}"  # before the originals, and below after them
        sphere(copy)
        if suffix == "flac":
            samples, rate = soundfile.read(copy)
            soundfile.write(copy, samples, rate, format="FLAC")
        elif suffix == "wav" and call == "00001":
            shutil.move(copy, root / f"LDC2005T19/fe_03_{call}.wav")
    prepare("fisher", root, tmp_path / "out")
    made = rows(tmp_path / "out")
    assert len(made) == 4 and all(row.audio.endswith(suffix) and "S13" not in row.audio for row in made.values())
    unused = [item for item, reason in skipped(tmp_path / "out") if reason == "duplicate" and item.endswith(".sph")]
    assert sorted(unused) == [
        str(root / "LDC2004S13/fe_03_p1_sph1/audio/000/fe_03_00001.sph"),
        str(root / "LDC2005S13/fe_03_p2_sph3/audio/058/fe_03_05851.sph"),
    ]


def test_a_second_run_converts_nothing_and_writes_the_same(root, tmp_path, sph2pipe, monkeypatch):
    out = tmp_path / "out"
    compressed(root / "LDC2005S13/audio/058/fe_03_05852.sph", seconds=0)
    (root / "LDC2005T19/data/trans/058/fe_03_05852.txt").write_text("0.1 0.2 A: lost\n")
    prepare("fisher", root, out)
    assert ("fe_03_05852", "unreadable") in skipped(out) and len(rows(out)) == 4
    before = {path.name: path.read_bytes() for path in out.iterdir() if path.is_file()}
    assert sorted(os.listdir(out / "audio")) == ["fe_03_00001.flac", "fe_03_05851.flac"]
    monkeypatch.setattr("wavllm_cli.data.sphere.convert", lambda *_: pytest.fail("converted again"))
    (root / "LDC2005S13/audio/058/fe_03_05852.sph").unlink()
    (root / "LDC2005T19/data/trans/058/fe_03_05852.txt").unlink()
    prepare("fisher", root, out)
    assert {path.name: path.read_bytes() for path in out.glob("train.jsonl")} == {"train.jsonl": before["train.jsonl"]}


def test_what_is_known_to_be_wrong_is_put_right_or_left_out(tmp_path):
    root, out = tmp_path / "fisher", tmp_path / "out"
    for call, text in (("11487", "31.09 234.06 A: long\n"), ("01243", "0.1 0.9 A: lost\n"), ("00002", "0 1 B: fine\n")):
        sphere(root / f"fe_03_{call}.wav", seconds=300 if call == "11487" else 1)
        (root / f"fe_03_{call}.txt").write_text(text)
    prepare("fisher", root, out)
    made = rows(out)
    assert made["fisher-fe_03_11487-A-0023109-0023406"].start == 231.09 and len(made) == 2
    assert ("fe_03_01243", "unreadable") in skipped(out)
    assert made["fisher-fe_03_00002-B-0000000-0000100"].extra is None


def test_calls_whose_other_half_is_missing_are_told(root, tmp_path, sph2pipe):
    out = tmp_path / "out"
    compressed(root / "LDC2004S13/fe_03_p1_sph1/audio/000/fe_03_00007.sph")
    (root / "LDC2004T19/fe_03_p1_tran/data/trans/000/fe_03_00008.txt").write_text("0 1 A: here\n")
    mono = root / "fe_03_00009.wav"
    soundfile.write(mono, [0.0] * 8000, 8000)
    mono.with_suffix(".txt").write_text("0 1 A: mixed\n")
    summary = prepare("fisher", root, out)
    told = skipped(out)
    assert {("fe_03_00007", "no-text"), ("fe_03_00008", "no-audio"), ("fe_03_00009", "one-channel")} <= set(told)
    assert not any("00007" in str(one) for one in summary.faults)


def test_wrong_roots(root, tmp_path):
    (tmp_path / "empty").mkdir()
    for wrong, said in (
        (tmp_path / "nowhere", "There is no folder"),
        (tmp_path / "empty", r"is not Fisher English: there is no fe_03_NNNNN\.txt"),
        (root / "LDC2004T19/fe_03_p1_tran/doc/fe_03_p1_calldata.tbl", "is a file: name the folder"),
        (root / "LDC2004T19", r"one half of Fisher English: there is no fe_03_NNNNN\.sph.*such as .*/LDC;"),
        (root / "LDC2004S13", r"one half of Fisher English: there is no fe_03_NNNNN\.txt"),
    ):
        with pytest.raises(UsageError, match=said):
            prepare("fisher", wrong, tmp_path / "out")
    with pytest.raises(UsageError, match="--windows 3 is too short"):
        prepare("fisher", root, tmp_path / "out", windows=3)


def test_nobody_is_heard_in_two_splits(tmp_path):
    """60 calls of 20 speakers, everyone with many others: what held-out speakers say elsewhere is left out."""
    root, out = tmp_path / "fisher", tmp_path / "out"
    lines = [HEADER]
    sphere(root / "a/call", seconds=1)
    for call in range(60):
        first, second = call % 20, (call * 7 + call // 20 + 1) % 20
        lines.append(f"{call:05d},d,ENG01,3,4,{first},m.a,9,1,2,{second},m.a,9,1,2")
        (root / "t").mkdir(parents=True, exist_ok=True)
        (root / f"t/fe_03_{call:05d}.txt").write_text("0.1 0.4 A: one\n0.5 0.9 B: two\n")
        os.link(root / "a/call", root / f"a/fe_03_{call:05d}.sph")
    (root / "fe_03_p1_calldata.tbl").write_text("\n".join(lines))
    prepare("fisher", root, out, windows=10)
    made = list(rows(out).values())
    in_split: dict[str, set[str | None]] = {}
    for row in made:
        in_split.setdefault(row.speaker or "", set()).add(row.split)
        in_split.setdefault(row.group or "", set()).add(row.split)
    assert all(len(splits) == 1 for splits in in_split.values())
    assert {row.split for row in made} == {"train", "dev", "test"}
    left_out = [reason for item, reason in skipped(out) if reason == "held-out-speaker" and item.count("-") > 2]
    assert len(made) + sum(1 for item, reason in skipped(out) if "A-" in item or "B-" in item) == 120 and left_out
    windows: list[Utterance] = list(rows(out, "-windows").values())
    heard = {(turn.speaker, row.split) for row in windows for turn in row.turns or ()}
    assert all(in_split[speaker] == {split} for speaker, split in heard)


def test_what_was_unpacked_twice_or_on_a_mac_is_there_once(root, tmp_path, sph2pipe):
    prepare("fisher", root, tmp_path / "out")
    expected = (tmp_path / "out" / "train.jsonl").read_bytes()
    shutil.copytree(root / "LDC2005T19/data", root / "LDC2005T19/fe_03_p2_tran/data")
    (root / "LDC2005T19/data/trans/058/._fe_03_05851.txt").write_bytes(b"\0\5\26\7")
    prepare("fisher", root, tmp_path / "out")
    assert (tmp_path / "out" / "train.jsonl").read_bytes() == expected
    copy = str(root / "LDC2005T19/fe_03_p2_tran/data/trans/058/fe_03_05851.txt")
    assert [item for item, reason in skipped(tmp_path / "out") if reason == "duplicate" and "/" in item] == [copy]
