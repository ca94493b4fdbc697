"""AMI as its site gives it out: recordings by meeting, and the annotations as a folder or a zip."""

import json
import shutil
import zipfile

import numpy as np
import pytest
import soundfile

from wavllm_cli.corpora.ami import _partitions
from wavllm_cli.corpora.prepare import prepare
from wavllm_cli.data.manifest import read_manifest
from wavllm_cli.errors import UsageError, WavLLMError

XML = b'<?xml version="1.0" encoding="ISO-8859-1" standalone="yes"?>\n'
ROOT_TAG = '<nite:root nite:id="{}" xmlns:nite="http://nite.sourceforge.net/">\n{}\n</nite:root>\n'

SPEAKERS = {
    "ES2002a": [("A", 0, "MEE006", "PM"), ("B", 1, None, "ID")],
    "ES2004a": [("A", 0, "MEO015", "PM")],
    "IS1008a": [("A", 0, "FIE038", "UI")],
    "IS1007d": [("A", 5, "MIO086", "PM"), ("B", 0, "MIO035", "UI")],
    "IB4005": [("A", 0, "MIO018", None)],
}
WORDS = [
    '<w nite:id="{0}.words0" starttime="0.1" endtime="0.3">I&#39;m</w>',
    '<w nite:id="{0}.words1" starttime="0.3" endtime="0.4">Ren\xe9</w>',
    '<w nite:id="{0}.words2" starttime="0.4" endtime="0.4" punc="true">,</w>',
    '<vocalsound nite:id="{0}.words3" starttime="0.4" endtime="0.5" type="laugh"/>',
    '<w nite:id="{0}.words4">from</w>',  # without times
    '<w nite:id="{0}.words5" starttime="0.5" endtime="0.6">T_V_</w>',
    '<w nite:id="{0}.words6" starttime="0.6" endtime="0.7" trunc="true">mm-</w>',
    '<w nite:id="{0}.words7" starttime="0.7" endtime="0.7" punc="true">.</w>',
    '<gap nite:id="{0}.words8" starttime="0.7" endtime="0.8"/>',
    '<disfmarker nite:id="{0}.words9"/>',
    '<w nite:id="{0}.words10" starttime="1.0" endtime="1.5">Mm-hmm</w>',
]
SEGMENTS = [  # start, end, first word, last word
    (0.0, 0.8, 0, 8),
    (0.9, 1.6, 10, 10),
    (0.9, 1.6, 10, 10),  # there twice
    (1.6, 1.7, 3, 3),  # laughter alone
    (1.8, 1.2, 10, 10),
    (1.9, 2.4, 10, 10),  # runs over the end
    (2.5, 2.9, 10, 10),
    (0.2, 0.4, 10, 99),  # no such word
]


def segments(agent: str) -> str:
    lines = []
    for number, (start, end, first, last) in enumerate(SEGMENTS):
        href = f"{agent}.words.xml#id({agent}.words{first})" + (f"..id({agent}.words{last})" if last != first else "")
        times = f'channel="0" transcriber_start="{start}" transcriber_end="{end}"'
        lines.append(f'<segment nite:id="{agent}.sync.{number}" {times}>\n   <nite:child href="{href}"/>\n</segment>')
    return "\n".join(lines)


def annotate(folder) -> None:
    for name in ("corpusResources", "words", "segments"):
        (folder / name).mkdir(parents=True)
    meetings = []
    for meeting, speakers in SPEAKERS.items():
        within = ""
        for agent, channel, name, role in speakers:
            known = (f' global_name="{name}"' if name else "") + (f' role="{role}"' if role else "")
            within += f'<speaker nite:id="m" nxt_agent="{agent}" channel="{channel}"{known}/>\n'
            for kind, content in (("words", "\n".join(WORDS).format(f"{meeting}.{agent}")), ("segments", None)):
                content = segments(f"{meeting}.{agent}") if content is None else content
                xml = XML + ROOT_TAG.format(f"{meeting}.{agent}.{kind}", content).encode("latin-1")
                (folder / kind / f"{meeting}.{agent}.{kind}.xml").write_bytes(xml)
        meetings.append(f'<meeting nite:id="m_{meeting}" observation="{meeting}">\n{within}</meeting>')
    (folder / "words" / "._ES2002a.A.words.xml").write_bytes(b"\0")  # a Mac's
    xml = XML + ROOT_TAG.format("meetings", "\n".join(meetings)).encode("latin-1")
    (folder / "corpusResources" / "meetings.xml").write_bytes(xml)


@pytest.fixture(scope="module")
def shipped(tmp_path_factory):
    root = tmp_path_factory.mktemp("ami") / "ami"
    annotate(root / "ami_public_manual_1.6.2")
    for meeting, speakers in SPEAKERS.items():
        folder = root / "amicorpus" / meeting / "audio"
        folder.mkdir(parents=True)
        for _, channel, *_ in speakers:
            mono = meeting != "IS1008a"
            soundfile.write(
                folder / f"{meeting}.Headset-{channel}.wav", np.zeros(32_000 if mono else (32_000, 2)), 16_000
            )
        if meeting != "IS1008a":
            soundfile.write(folder / f"{meeting}.Mix-Headset.wav", np.zeros(32_000), 16_000)
    soundfile.write(root / "amicorpus/ES2004a/audio/ES2004a.Array1-01.wav", np.zeros(32_000), 16_000)
    return root


def rows(out, kind=""):
    return {
        split: list(read_manifest(out / f"{split}{kind}.jsonl"))
        for split in ("train", "dev", "test")
        if (out / f"{split}{kind}.jsonl").exists()
    }


def skipped(out):
    return [(row["item"], row["reason"]) for row in map(json.loads, (out / "skipped.jsonl").read_text().splitlines())]


def test_a_segment_is_the_words_that_it_names(shipped, tmp_path):
    prepare("ami", shipped, tmp_path)
    made = rows(tmp_path)
    assert {split: {row.group for row in some} for split, some in made.items()} == {
        "train": {"ES2002a", "IS1007d"}, "dev": {"IS1008a"}, "test": {"ES2004a"}
    }  # fmt: skip
    facts = [(r.id.removeprefix("ami-ES2004a-Headset-0-"), r.start, r.duration, r.target) for r in made["test"]]
    assert facts == [
        ("A-0000000-0000080", 0.0, 0.8, "i'm rené from t v mm"),
        ("A-0000090-0000160", 0.9, 0.7, "mm hmm"),
        ("A-0000190-0000240", 1.9, 0.1, "mm hmm"),
    ]  # fmt: skip
    first = made["test"][0]
    assert (first.transcript, first.speaker, first.channel) == ("I'm René, from T_V_ mm-.", "MEO015", None)
    assert first.extra == {"role": "PM"}
    own = [item for item in skipped(tmp_path) if "ES2004a" in item[0]]
    assert own == [
        ("ES2004a-Headset-0-A-0000090-0000160", "duplicate"),
        ("ES2004a-Headset-0-A-0000160-0000170", "no-words"),
        ("ES2004a-Headset-0-A-0000180-0000120", "outside"),
        ("ES2004a-Headset-0-A-0000190-0000240", "cut"),
        ("ES2004a-Headset-0-A-0000250-0000290", "outside"),
        ("ami_public_manual_1.6.2/segments/ES2004a.A.segments.xml: ES2004a.A.sync.7", "form"),
    ]
    assert ("IB4005", "no-split") in skipped(tmp_path)


def test_the_table_tells_whose_headset_is_whose(shipped, tmp_path):
    """Not the letter; and who has no name is somebody of that meeting alone."""
    prepare("ami", shipped, tmp_path)
    heard = {(row.speaker, row.audio.rsplit("/", 1)[1]) for row in rows(tmp_path)["train"]}
    assert heard == {
        ("MIO086", "IS1007d.Headset-5.wav"), ("MIO035", "IS1007d.Headset-0.wav"),
        ("MEE006", "ES2002a.Headset-0.wav"), ("ES2002a-B", "ES2002a.Headset-1.wav"),
    }  # fmt: skip


def test_of_a_stereo_headset_the_first_channel_is_heard(shipped, tmp_path):
    prepare("ami", shipped, tmp_path)
    assert {row.channel for row in rows(tmp_path)["dev"]} == {0}
    assert ("IS1008a.Headset-0.wav", "stereo") in skipped(tmp_path)


def test_windows_are_heard_in_the_mix_of_the_headsets(shipped, tmp_path):
    summary = prepare("ami", shipped, tmp_path, windows=60)
    (window, _) = rows(tmp_path, "-windows")["train"]
    assert window.id == "ami-ES2002a-Mix-Headset-0000000-0000200" and window.audio.endswith("ES2002a.Mix-Headset.wav")
    assert [(turn.start, turn.speaker) for turn in window.turns][:3] == [
        (0, "ES2002a-B"),
        (0, "MEE006"),
        (0.9, "ES2002a-B"),
    ]
    assert len({(turn.start, turn.speaker) for turn in window.turns}) == len(window.turns)
    assert window.turns[0].text == "I'm René, from T_V_ mm-." and window.target is None
    assert ("IS1008a.Mix-Headset", "no-audio") in skipped(tmp_path) and summary.faults


def test_a_microphone_on_the_table_hears_everybody(shipped, tmp_path):
    prepare("ami", shipped, tmp_path, microphone="array")
    assert rows(tmp_path)["test"][0].id == "ami-ES2004a-Array1-01-A-0000000-0000080"
    assert ("ES2002a.Array1-01 (A)", "no-audio") in skipped(tmp_path)


def test_partitions_keep_speakers_apart_and_cover_what_they_say():
    """The series that the official partitions list, and what the three agree in."""
    for name, splits in _partitions().items():
        listed = [series for some in splits.values() for series in some]
        assert len(listed) == len(set(listed)) and "IB4005" not in listed, name
    asr, full, scenario = (_partitions()[name] for name in ("full-corpus-asr", "full-corpus", "scenario-only"))
    moved = {"ES2003", "TS3006", "ES2014", "TS3007"}
    assert (
        set(asr["train"]) - set(full["train"])
        == moved
        == set(full["dev"] + full["test"]) - set(asr["dev"] + asr["test"])
    )
    assert all(set(scenario[split]) <= set(full[split]) for split in scenario)
    assert not any(series[:2] in ("EN", "IB", "IN") for split in scenario.values() for series in split)
    assert {len(splits["train"]) for splits in (asr, full, scenario)} == {45, 41, 25}


@pytest.mark.parametrize("partition, test", [("full-corpus", "test"), ("scenario-only", "test")])
def test_other_partitions(shipped, tmp_path, partition, test):
    prepare("ami", shipped, tmp_path, partition=partition)
    assert {row.group for row in rows(tmp_path)[test]} == {"ES2004a"}


def test_annotations_as_they_come(shipped, tmp_path):
    """A zip beside the recordings; unpacked with them in one folder; named; both versions at once."""
    prepare("ami", shipped, tmp_path / "folder")
    expected = (tmp_path / "folder" / "train.jsonl").read_bytes()
    root = tmp_path / "ami"
    root.mkdir()
    (root / "amicorpus").symlink_to(shipped / "amicorpus")
    with zipfile.ZipFile(root / "ami_public_manual_1.6.2.zip", "w") as file:
        for path in (shipped / "ami_public_manual_1.6.2").rglob("*.xml"):
            file.write(path, path.relative_to(shipped / "ami_public_manual_1.6.2"))
    prepare("ami", root, tmp_path / "zip")
    moved = (tmp_path / "zip" / "train.jsonl").read_bytes().replace(str(root).encode(), str(shipped).encode())
    assert moved == expected
    shutil.copytree(shipped / "ami_public_manual_1.6.2", root / "ami_public_manual_1.6.2")
    prepare("ami", root, tmp_path / "both")  # the folder is what has been unpacked
    shutil.copytree(shipped / "ami_public_manual_1.6.2", root / "ami_public_manual_1.6.1")
    prepare("ami", root, tmp_path / "twice")  # the same under two names
    (root / "ami_public_manual_1.6.1/segments/ES2002a.A.segments.xml").unlink()
    with pytest.raises(UsageError, match=r"differ: those in .*1\.6\.1, .*1\.6\.2\. Name one of them by"):
        prepare("ami", root, tmp_path / "out")
    prepare("ami", root, tmp_path / "named", annotations=root / "ami_public_manual_1.6.1")
    (root / "broken.zip").write_bytes(b"PK")
    with pytest.raises(WavLLMError, match=r"broken\.zip cannot be read"):
        prepare("ami", root, tmp_path / "out", annotations=root / "broken.zip")


def test_what_is_not_there_is_told(shipped, tmp_path):
    root = tmp_path / "ami"
    shutil.copytree(shipped, root)
    shutil.rmtree(root / "amicorpus/ES2004a")
    (root / "amicorpus/IS1007d/audio/IS1007d.Headset-5.wav").unlink()
    for kind in ("words", "segments"):
        moved = root / "ami_public_manual_1.6.2" / kind
        (moved / f"ES2002a.A.{kind}.xml").rename(moved / f"ES2002a.Z.{kind}.xml")
    (root / "ami_public_manual_1.6.2/words/IS1007d.B.words.xml").unlink()
    (root / "ami_public_manual_1.6.2/words/ES2002a.B.words.xml").write_bytes(b"<nite:root")
    summary = prepare("ami", root, tmp_path / "out")
    told = dict(skipped(tmp_path / "out"))
    assert told["ES2004a"] == told["IS1007d.Headset-5 (A)"] == "no-audio"
    assert told["ES2002a.Z"] == "no-headset"
    assert told["ami_public_manual_1.6.2/words/IS1007d.B.words.xml"] == "form"
    assert told["ami_public_manual_1.6.2/words/ES2002a.B.words.xml"] == "form"
    assert not any("ES2004a" in str(one) for one in summary.faults)  # who has a part of AMI has no fault


def test_wrong_roots(shipped, tmp_path):
    (tmp_path / "empty").mkdir()
    for wrong, said in (
        (tmp_path / "empty", r"holds no AMI annotations: there is no corpusResources/meetings\.xml.*--annotations"),
        (shipped / "amicorpus" / "ES2002a", "holds no AMI annotations"),
        (shipped / "ami_public_manual_1.6.2", r"holds no recordings of AMI: there is no MEETING\.Headset-N\.wav"),
        (shipped / "ami_public_manual_1.6.2/corpusResources/meetings.xml", "is a file: name the folder"),
    ):
        with pytest.raises(UsageError, match=said):
            prepare("ami", wrong, tmp_path / "out")
