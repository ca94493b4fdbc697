"""Audio within tar archives: read by its place, and never something else that lies there."""

import tarfile

import numpy as np
import pytest
import soundfile

from wavllm_cli.data.audio import audio_info, read_audio
from wavllm_cli.data.audio_paths import audio_paths, relocated
from wavllm_cli.data.batch import Collator, clips_of
from wavllm_cli.data.manifest import read_manifest, write_manifest
from wavllm_cli.data.schema import Utterance
from wavllm_cli.data.shards import file_of, member_of, split_place, why_unheard
from wavllm_cli.errors import AudioError, UsageError
from wavllm_cli.inference.partial import audio_state

LONG = "folder/" * 30 + "b.flac"  # whose name needs a header of its own


@pytest.fixture(params=[tarfile.GNU_FORMAT, tarfile.PAX_FORMAT], ids=["gnu", "pax"])
def shard(request, tmp_path, noise):
    """Function: the place of a member of an archive with two clips and a text."""
    soundfile.write(tmp_path / "a.wav", noise(channels=2) * [1, 0], 16_000)
    soundfile.write(tmp_path / "b.flac", noise(), 8_000)
    (tmp_path / "c.txt").write_text("a transcript")
    (tmp_path / "s").mkdir()
    with tarfile.open(tmp_path / "s" / "0.tar", "w", format=request.param) as archive:
        for name, inside in (("a.wav", "a.wav"), ("b.flac", LONG), ("c.txt", "c.txt")):
            archive.add(tmp_path / name, inside)
    with tarfile.open(tmp_path / "s" / "0.tar") as archive:
        members = {member.name.split("/")[-1]: member for member in archive.getmembers()}
    return lambda name, by=0, more=0: f"s/0.tar#{members[name].offset_data + by}+{members[name].size + more}"


def row(name, audio, **fields):
    return Utterance(id=name, audio=audio, task="asr", prompt="p", target="t", **fields)


def test_a_member_is_heard_like_a_file(shard, tmp_path):
    rows = [
        row("a", shard("a.wav"), channel=0, start=0.25, duration=0.5),
        row("b", shard("b.flac")),
        row("both", [{"audio": shard("a.wav"), "channel": 1}, {"audio": shard("b.flac")}], gap=0.5),
    ]
    write_manifest(tmp_path / "m.jsonl", rows)
    a, b, both = clips_of(tmp_path / "m.jsonl")
    assert np.array_equal(a.read(), read_audio(tmp_path / "a.wav", 0.25, 0.5, 0))
    assert np.array_equal(b.read(), read_audio(tmp_path / "b.flac"))
    assert b.seconds() == audio_info(tmp_path / "b.flac").duration and a.lack() is None
    assert len(both.read()) == 16_000 * (1 + 0.5 + b.seconds())
    assert (
        audio_state(both)[0][0].endswith(shard("a.wav"))
        and audio_state(both)[0][1] == file_of(a.paths[0]).stat().st_size
    )


def test_members_go_along_when_a_manifest_is_written_elsewhere(shard, tmp_path, capsys):
    rows = [row("a", shard("a.wav")), row("b", [{"audio": shard("b.flac")}])]
    there = relocated(rows, tmp_path / "m.jsonl", tmp_path / "new" / "m.parquet")
    write_manifest(tmp_path / "new" / "m.parquet", there)
    back = read_manifest(tmp_path / "new" / "m.parquet")
    names = [piece.audio for found in back for piece in found.pieces]
    assert names == ["../" + shard("a.wav"), "../" + shard("b.flac")]
    moved = audio_paths([row("a", "/old/" + shard("a.wav")), row("b", "/old/" + shard("b.flac"))], tmp_path / "n.jsonl")
    assert all(why_unheard(path) is None for (path,) in moved)
    assert "the audio of 2 of 2 rows has moved" in capsys.readouterr().err


def test_what_is_no_member_is_never_read(shard, tmp_path):
    wrong = {
        "text": (shard("c.txt"), "is not audio that can be read"),
        "shifted": (shard("a.wav", by=4), "no file of "),
        "shorter": (shard("a.wav", more=-4), "no file of "),
        "header": ("s/0.tar#0+512", "no file of 512 bytes begins there"),
        "beyond": ("s/0.tar#512+99999999", "ends beyond its archive, at byte 100,000,511 of "),
        "gone": ("s/1.tar#512+4", "There is no audio file"),
        "folder": ("s/2.tar#512+4", "is a folder"),
    }
    (tmp_path / "s" / "2.tar").mkdir()
    for name, (place, sentence) in wrong.items():
        with pytest.raises((AudioError, UsageError)) as caught:
            read_audio(tmp_path / place)
        assert sentence in str(caught.value) and place in str(caught.value), name
    write_manifest(tmp_path / "m.jsonl", [row(name, place) for name, (place, _) in wrong.items()])
    clips = clips_of(tmp_path / "m.jsonl")
    lacks = dict(zip(wrong, [clip.lack() for clip in clips], strict=True))
    assert lacks["gone"] == "audio file missing" and lacks["beyond"].startswith("audio file ends beyond its archive")
    assert lacks["text"] is lacks["shifted"] is None
    assert len(Collator(None, with_targets=False)(clips).skipped) == len(wrong)


def test_only_a_place_in_a_tar_is_one(tmp_path):
    assert split_place("a/b.tar#0+1") == ("a/b.tar", "#0+1") and member_of(tmp_path / "a.tar#512+7").size == 7
    for name in ("a.wav", "a.tar", "a.zip#1+2", "a.tar#1", "a.tar#-1+2", "a.tar#1+2.wav", "a.tar#१+२"):
        assert split_place(name) == (name, "") and member_of(tmp_path / name) is None
