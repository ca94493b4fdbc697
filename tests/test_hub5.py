"""eval2000 as LDC ships it: 40 calls, and one STM file about all of them."""

import json

import pytest
from sphere_files import FAKE, compressed, fake_sph2pipe, sphere

from wavllm_cli.corpora.prepare import prepare
from wavllm_cli.data.manifest import read_manifest
from wavllm_cli.errors import UsageError

STM = """;; CATEGORY "0" "" ""
en_4156 A en_4156_A 0.00 0.40 <O,en,F,en-F> IGNORE_TIME_SEGMENT_IN_SCORING
en_4156 A en_4156_A 0.40 1.10 <O,en,F,en-F> OH (%HESITATION) I { GONNA / GOING TO } (TH-) <B_ASIDE> GO
en_4156 B en_4156_B 0.50 1.00 <O,en,M,en-M> UH-HUH IT'S I. B. M.
en_4156 B en_4156_B 1.00 1.20 <O,en,M,en-M> (%HESITATION)
sw_4390 A sw_4390_A 1.50 2.30 YEAH
sw_4390 C sw_4390_C 1.50 2.30 NOBODY
sw_9999 A sw_9999_A 1.50 2.30 LOST
"""


@pytest.fixture
def root(tmp_path):
    root = tmp_path / "hub5e_00"
    sphere(root / "english" / "en_4156.sph")
    compressed(root / "english" / "sw_4390.sph")
    (root / "reference").mkdir()
    (root / "reference" / "hub5e00.stm").write_text(STM)
    return root


def test_a_line_is_an_utterance(root, tmp_path, monkeypatch):
    fake_sph2pipe(tmp_path, monkeypatch, FAKE)
    out = tmp_path / "out"
    prepare("hub5", root, out)
    made = list(read_manifest(out / "hub5e00.jsonl"))
    assert [(r.id, r.channel, r.start, r.duration, r.target) for r in made] == [
        ("hub5-en_4156-A-0000040-0000110", 0, 0.4, 0.7, "oh i gonna go"),
        ("hub5-en_4156-B-0000050-0000100", 1, 0.5, 0.5, "uh huh it's i b m"),
        ("hub5-sw_4390-A-0000150-0000230", 0, 1.5, 0.5, "yeah"),
    ]
    assert made[0].extra == {"label": "O,en,F,en-F"} and made[2].audio == "audio/sw_4390.flac"
    assert (made[0].speaker, made[0].group, made[0].split) == ("en_4156_A", "en_4156", "hub5e00")
    told = [json.loads(line) for line in (out / "skipped.jsonl").read_text().splitlines()]
    assert [row["reason"] for row in told] == ["form", "no-audio", "not-scored", "no-words", "cut"]


def test_wrong_roots(root, tmp_path):
    with pytest.raises(UsageError, match=r"is not a Hub5 or RT test set: there is no \*\.stm in it"):
        prepare("hub5", root / "english", tmp_path / "out")
