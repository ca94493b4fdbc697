"""Switchboard-1 Release 2 as LDC ships the speech and ISIP the transcripts."""

import json

import pytest
from sphere_files import FAKE, compressed, fake_sph2pipe, sphere

from wavllm_cli.corpora.prepare import prepare
from wavllm_cli.data.manifest import read_manifest
from wavllm_cli.errors import UsageError

SIDES = {
    "2001A": """sw2001A-ms98-a-0001 0.000000 0.300000 [silence]
sw2001A-ms98-a-0002 0.300000 1.200000 hi um [laughter-yeah] i'd like us_1 to <b_aside> wh[at]- -[th]at <e_aside>
sw2001A-ms98-a-0003 1.200000 1.900000 [it'n/isn't] {yuppiedom} ab[solute]-/absolute] i._b._m.
sw2001A-ms98-a-0004 1.900000 2.500000 past the end
sw2001A-ms98-a-0005 2.500000 2.900000 gone
""",
    "2001B": """sw2001B-ms98-a-0001 0.000000 1.100000 uh-huh [vocalized-noise]
sw2001B-ms98-a-0002 1.100000 2.000000 [noise]
sw2001B ms98
""",
    "4940A": "sw4940A-ms98-a-0001 0.000000 1.000000 alone\n",
}


@pytest.fixture
def root(tmp_path):
    root = tmp_path / "swbd"
    sphere(root / "swb1_d1" / "data" / "sw02001.sph")
    sphere(root / "swb1_d4" / "data" / "sw04940.sph")
    sphere(root / "swb1_d4" / "data" / "sw04941.sph")  # without a transcript
    for side, text in SIDES.items():
        folder = root / "swb_ms98_transcriptions" / side[:2] / side[:4]
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"sw{side}-ms98-a-trans.text").write_text(text)
        (folder / f"sw{side}-ms98-a-word.text").write_text("sw2001A-ms98-a-0002 0.3 0.5 hi\n")
    (root / "swb_ms98_transcriptions" / "sw-ms98-dict.text").write_text("a ax\n")
    (root / "conv_tab.csv").write_text('2001,Y,1020,1044,303,0,910304,1218,1222, ,\r\n"4940","Y","1020","1100","304"\n')
    return root


def rows(folder, kind=""):
    paths = (folder / f"{split}{kind}.jsonl" for split in ("train", "dev", "test"))
    return [row for path in paths if path.exists() for row in read_manifest(path)]


def skipped(folder):
    told = map(json.loads, (folder / "skipped.jsonl").read_text().splitlines())
    return {(row["item"].removeprefix(f"{folder.parent}/"), row["reason"]) for row in told}


def test_every_line_with_words_is_an_utterance(root, tmp_path):
    out = tmp_path / "out"
    prepare("switchboard", root, out)
    made = rows(out)
    assert [(r.id, r.channel, r.start, r.duration, r.speaker, r.target) for r in made] == [
        ("switchboard-sw2001-A-0000030-0000120", 0, 0.3, 0.9, "1020", "hi um yeah i'd like us to wh at"),
        ("switchboard-sw2001-A-0000120-0000190", 0, 1.2, 0.7, "1020", "it'n yuppiedom ab i b m"),
        ("switchboard-sw2001-A-0000190-0000250", 0, 1.9, 0.1, "1020", "past the end"),
        ("switchboard-sw2001-B-0000000-0000110", 1, 0.0, 1.1, "1044", "uh huh"),
        ("switchboard-sw4940-A-0000000-0000100", 0, 0.0, 1.0, "1020", "alone"),
    ]  # fmt: skip
    assert {(r.audio, r.group, r.extra["topic"]) for r in made} == {
        (str(root / "swb1_d1/data/sw02001.sph"), "sw2001", "303"),
        (str(root / "swb1_d4/data/sw04940.sph"), "sw4940", "304"),
    }
    trans = "swbd/swb_ms98_transcriptions/20/2001/sw2001B-ms98-a-trans.text"
    assert skipped(out) == {
        ("sw2001-A-0000000-0000030", "no-words"),
        ("sw2001-A-0000190-0000250", "cut"),
        ("sw2001-A-0000250-0000290", "outside"),
        ("sw2001-B-0000110-0000200", "no-words"),
        (f"{trans}, line 3", "form"),
        ("sw4940B", "no-text"),
        ("4941", "no-text"),
    }


def test_without_the_table_each_side_is_somebody(root, tmp_path):
    (root / "conv_tab.csv").unlink()
    prepare("switchboard", root, tmp_path / "out")
    assert {(r.speaker, r.channel) for r in rows(tmp_path / "out")} == {
        ("sw2001-A", 0), ("sw2001-B", 1), ("sw4940-A", 0)
    }  # fmt: skip


def test_windows_and_compressed_copies(root, tmp_path, monkeypatch):
    """Some resellers compress the speech, which sph2pipe undoes."""
    fake_sph2pipe(tmp_path, monkeypatch, FAKE)
    compressed(root / "swb1_d1" / "data" / "sw02001.sph")
    prepare("switchboard", root, tmp_path / "out", windows=5)
    window, other = rows(tmp_path / "out", "-windows")
    assert window.audio == "audio/sw02001.flac" and other.audio.endswith("sw04940.sph")
    assert [turn.channel for turn in window.turns] == [1, 0, 0, 0] and window.duration == 2.0


def test_wrong_roots(root, tmp_path):
    (tmp_path / "empty").mkdir()
    for wrong, said in (
        (tmp_path / "empty", r"is not Switchboard: there is no swNNNNA-ms98-a-trans\.text"),
        (root / "swb1_d1", r"one half of Switchboard: there is no swNNNNA.*such as .*/swbd;"),
        (root / "swb_ms98_transcriptions", r"one half of Switchboard: there is no sw0NNNN\.sph"),
    ):
        with pytest.raises(UsageError, match=said):
            prepare("switchboard", wrong, tmp_path / "out")
