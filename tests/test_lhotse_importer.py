"""`wavllm prep lhotse`: manifests as lhotse writes them."""

import gzip
import json

import pytest
import soundfile

from wavllm_cli.corpora.prepare import prepare
from wavllm_cli.corpora.splits import Shares
from wavllm_cli.data.manifest import read_manifest
from wavllm_cli.errors import UsageError

ALL = Shares(100, 0, 0)


@pytest.fixture
def ran(tmp_path, noise):
    """The folder in which lhotse ran: audio, and a function that writes manifests below it."""
    (tmp_path / "wav").mkdir()
    soundfile.write(tmp_path / "wav" / "mono.wav", noise(2), 16_000)
    soundfile.write(tmp_path / "wav" / "call.wav", noise(3, channels=2), 16_000)

    def write(**files):
        folder = tmp_path / "data" / "manifests"
        folder.mkdir(parents=True, exist_ok=True)
        for name, rows in files.items():
            text = "".join(f"{json.dumps(row)}\n" for row in rows)
            (folder / f"{name}.jsonl.gz").write_bytes(gzip.compress(text.encode()))
        return folder

    return write


def recording(name, *sources, **fields):
    sources = [{"type": "file", "channels": [0], "source": source} | fields.pop("source", {}) for source in sources]
    return {"id": name, "sources": sources, "sampling_rate": 16_000, "num_samples": 1, "duration": 1.0} | fields


CALL = recording("call", "wav/call.wav", source={"channels": [0, 1]}, channel_ids=[0, 1])


def supervision(name, of, start=0.0, duration=1.0, **fields):
    return {"id": name, "recording_id": of, "start": start, "duration": duration, "channel": 0, "text": "x"} | fields


def prepared(root, out, **options):
    summary = prepare("lhotse", root, out, **({"split": ALL} | options))
    rows = {row.id: row for m in summary.manifests for row in read_manifest(m.path)}
    return rows, {one.item: (one.reason, one.detail) for draft in summary.drafts for one in draft.skipped}


def test_recordings_and_supervisions(ran, tmp_path):
    folder = ran(
        own_recordings_all=[recording("m", "wav/mono.wav"), CALL],
        own_supervisions_all=[
            supervision(
                "s1", "m", 0.5, 1.0, text="Hello.", language="English", speaker="ann", gender="f", custom={"q": 1}
            ),
            supervision("s2", "call", 1.0, 9.0, channel=1),
            supervision("s3", "call", channel=[0, 1]),
            supervision("s4", "call", channel=2),
            supervision("s5", "gone"),
            supervision("s6", "m", text=""),
            supervision("s7", "m", 2.5),
            {"what": 1},
        ],
    )
    rows, skipped = prepared(folder, tmp_path / "out")
    one = rows["s1"]
    assert (one.start, one.duration, one.channel, one.target) == (0.5, 1.0, None, "Hello.")
    assert (one.language, one.speaker, one.extra) == ("en", "ann", {"q": 1, "gender": "f"})
    assert (rows["s2"].duration, rows["s2"].channel, rows["s3"].channel) == (2.0, 1, None)
    assert {item.rpartition(", ")[2]: reason for item, (reason, _) in skipped.items()} == {
        "s2": "cut", "s4": "form", "s5": "no-audio", "s6": "no-text", "s7": "outside", "line 8": "form",
    }  # fmt: skip


def test_supervisions_alone_find_the_recordings_beside_them(ran, tmp_path):
    folder = ran(recordings_dev=[recording("m", "wav/mono.wav")], supervisions_dev=[supervision("s", "m")])
    rows, _ = prepared(folder / "supervisions_dev.jsonl.gz", tmp_path / "out")
    assert rows["s"].split == "dev"


def test_cuts_count_from_their_own_start(ran, tmp_path):
    cut = {"id": "c", "type": "MonoCut", "start": 1.0, "duration": 1.0, "channel": 1, "recording": CALL}
    inside = [supervision("s1", "call", -0.5, 1.0, channel=1), supervision("s2", "call", 0.5, 1.0, channel=1)]
    folder = ran(cuts=[
        cut | {"supervisions": inside},
        cut | {"id": "again", "start": 0.5, "supervisions": [supervision("s1", "call", 0.0, 1.0, channel=1)]},
        cut | {"id": "empty", "supervisions": []},
        {"id": "mixed", "type": "MixedCut", "tracks": [{"type": "MonoCut", "cut": cut}] * 2},
        {"id": "padded", "type": "MixedCut", "tracks": [
            {"type": "PaddingCut", "cut": {"id": "silence", "type": "PaddingCut"}},
            {"type": "MonoCut", "offset": 2.0, "cut": cut | {"recording": recording("m", "wav/mono.wav"),
                                                             "supervisions": [supervision("s3", "m")]}},
        ]},
    ])  # fmt: skip
    rows, skipped = prepared(folder / "cuts.jsonl.gz", tmp_path / "out")
    assert {name: (row.start, row.duration, row.channel) for name, row in rows.items()} == {
        "s1": (0.5, 1.0, 1),
        "s2": (1.5, 1.0, 1),
        "s3": (1.0, 1.0, None),
    }
    assert {item: reason for item, (reason, _) in skipped.items()} == {
        "s1": "duplicate", "empty": "no-text", "mixed": "mixed",
    }  # fmt: skip


def test_sources_that_are_not_simply_files(ran, tmp_path):
    pick = "sph2pipe -f wav -p -c 2 wav/call.wav"
    sources = {
        "picked": recording("picked", pick, source={"type": "command"}),
        "run": recording("run", "touch pwned", source={"type": "command"}),
        "url": recording("url", "https://x.org/a.wav", source={"type": "url"}),
        "memory": recording("memory", "AAAA", source={"type": "memory"}),
        "fast": recording("fast", "wav/mono.wav", transforms=[{"name": "Speed", "kwargs": {"factor": 0.9}}]),
        "rate": recording("rate", "wav/mono.wav", transforms=[{"name": "Resample", "kwargs": {}}]),
        "two": {"id": "two", "sources": [
            {"type": "file", "channels": [0], "source": "wav/mono.wav"},
            {"type": "file", "channels": [1], "source": "wav/call.wav"},
        ]},
        "odd": {"id": "odd", "sources": [1]},
    }  # fmt: skip
    said = [supervision(name, name) for name in sources] + [supervision("both", "two", channel=[0, 1])]
    rows, skipped = prepared(ran(recordings=[*sources.values()], supervisions=said), tmp_path / "out")
    assert {name: (row.audio.rpartition("/")[2], row.channel) for name, row in rows.items()} == {
        "picked": ("call.wav", 1), "rate": ("mono.wav", None), "two": ("mono.wav", None),
    }  # fmt: skip
    assert {item: reason for item, (reason, _) in skipped.items()} == {
        "run": "pipe", "url": "no-audio", "memory": "unreadable", "fast": "transformed", "odd": "form", "both": "form",
    }  # fmt: skip
    assert not list(tmp_path.rglob("pwned"))


def test_splits_by_names_and_pairs_before_cuts(ran, tmp_path):
    recordings = [recording("m", "wav/mono.wav")]
    folder = ran(
        x_recordings_train=recordings, x_supervisions_train=[supervision("a", "m")],
        x_recordings_dev=recordings, x_supervisions_dev=[supervision("b", "m", 1.0)],
        x_cuts_train=[{"id": "c", "type": "MonoCut", "start": 0, "duration": 1, "recording": recordings[0],
                       "supervisions": [supervision("a", "m")]}],
    )  # fmt: skip
    rows, skipped = prepared(folder, tmp_path / "out")
    assert {name: row.split for name, row in rows.items()} == {"a": "train", "b": "dev"}
    assert [(reason, "for cuts" in detail) for reason, detail in skipped.values()] == [("duplicate", True)]


def test_yaml_and_json(ran, tmp_path):
    folder = ran()
    (folder / "recordings.json").write_text(json.dumps([recording("m", "wav/mono.wav")]))
    (folder / "supervisions.yaml").write_text(
        "- {id: s, recording_id: m, start: 0, duration: 1, channel: 0, text: hi}\n- 3\n"
    )
    rows, skipped = prepared(folder, tmp_path / "out")
    assert rows["s"].target == "hi" and [reason for reason, _ in skipped.values()] == ["form"]


def test_wrong_use(ran, tmp_path):
    with pytest.raises(UsageError, match="no supervisions and no cuts"):
        prepared(ran(recordings=[recording("m", "wav/mono.wav")]), tmp_path / "out")
    with pytest.raises(UsageError, match="There is no folder"):
        prepared(tmp_path / "gone", tmp_path / "out")
