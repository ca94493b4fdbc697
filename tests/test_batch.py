"""From rows to batches: whatever is wrong with a row is that row's."""

import numpy as np
import pytest
import soundfile

from wavllm_cli.data.batch import Clip, Collator, clips_of
from wavllm_cli.data.manifest import write_manifest
from wavllm_cli.data.schema import Utterance


def processor(text, audio, target=None):
    if "bad" in text:
        raise ValueError("a token that nobody knows")
    return {"text": text, "lengths": [None if a is None else len(a) for a in audio]}


@pytest.fixture
def row(tmp_path, noise):
    soundfile.write(tmp_path / "x.wav", noise(), 16_000)

    def make(name, audio="x.wav", **fields):
        fields = {"task": "asr", "prompt": "p"} | fields
        return Utterance(id=name, audio=audio, **fields)

    return make


def test_every_bad_row_is_skipped_by_its_id_and_the_others_are_used(row, tmp_path):
    (tmp_path / "junk.wav").write_bytes(b"junk" * 20)
    soundfile.write(tmp_path / "loud.wav", np.full(800, 1e29), 16_000, subtype="FLOAT")
    bad = [
        row("late", start=1e308),
        row("long", duration=1e308),
        row("gone", "gone.wav"),
        row("junk", "junk.wav"),
        row("loud", "loud.wav"),
        row("name", "x" * 5000 + ".wav"),
        row("nul", "a\0b.wav"),
        row("prompt", prompt="bad"),
    ]
    write_manifest(tmp_path / "m.jsonl", [row("good"), *bad, row("text", None)])
    batch = Collator(processor, with_targets=False)(clips_of(tmp_path / "m.jsonl"))
    assert [r.id for r in batch.rows] == ["good", "text"] and batch.inputs["lengths"] == [16_000, None]
    assert [sentence.split(":")[0] for sentence in batch.skipped] == [r.id for r in bad]
    assert "a token that nobody knows" in batch.skipped[-1] and all(len(s) < 400 for s in batch.skipped)
    assert Collator(processor, with_targets=False)(clips_of(tmp_path / "m.jsonl")[8:9]).inputs is None


def test_a_fault_of_the_whole_batch_is_no_rows(row):
    def failing(text, audio, target=None):
        if len(text) > 1:
            raise MemoryError
        return {}

    with pytest.raises(MemoryError):
        Collator(failing, with_targets=False)([Clip(row(name, None), ()) for name in "ab"])


def test_what_is_odd_is_noted_and_said_once(row, tmp_path, capsys):
    soundfile.write(tmp_path / "x.wav", np.tile([1.0, -1.0], 800), 16_000)
    clip = Clip(row("a"), (tmp_path / "x.wav",))
    batch = Collator(processor, with_targets=True)([clip])
    (note,) = batch.notes
    assert "x.wav is clipped" in note and not capsys.readouterr().err
    assert len(clip.read()) == len(clip.read()) == 1600
    assert capsys.readouterr().err.count("is clipped") == 1
    assert clip.seconds() == 0.1 and Clip(row("t", None), ()).read() is None


def test_the_channel_that_a_row_names_is_heard(row, tmp_path, noise):
    soundfile.write(tmp_path / "call.wav", noise(channels=2) * [1, 0], 16_000)
    names = {"mean": None, "left": 0, "right": 1, "third": 2}
    write_manifest(tmp_path / "m.jsonl", [row(n, "call.wav", channel=c) for n, c in names.items()])
    batch = Collator(processor, with_targets=False)(clips_of(tmp_path / "m.jsonl"))
    assert [r.id for r in batch.rows] == ["mean", "left", "right"] and batch.silent == ["right"]
    (sentence,) = batch.skipped
    assert sentence.startswith("third: ") and "call.wav has 2 channels: there is no channel 2" in sentence


def test_pieces_are_brought_to_the_level_that_they_name(row, tmp_path, noise):
    loud, soft, silent = (f * noise() for f in (1, 0.01, 0))
    for name, samples in (("loud.wav", loud), ("soft.wav", soft), ("silent.wav", silent)):
        soundfile.write(tmp_path / name, samples, 16_000, subtype="FLOAT")
    levels = {"loud.wav": -26, "soft.wav": -26, "silent.wav": -26, "x.wav": None}
    pieces = [{"audio": name, "level": level} for name, level in levels.items()]
    write_manifest(tmp_path / "m.jsonl", [row("a", pieces)])
    (clip,) = clips_of(tmp_path / "m.jsonl")
    parts = clip.read().reshape(4, -1)
    assert 20 * np.log10(parts[:2].std(axis=1)) == pytest.approx([-26, -26], abs=0.01)
    assert np.corrcoef(parts[1], soft)[0, 1] == pytest.approx(1) and not parts[2].any()
    assert np.array_equal(parts[3], soundfile.read(tmp_path / "x.wav", dtype="float32")[0])


def test_pieces_are_joined_with_silence_between_them(row, tmp_path, noise):
    soundfile.write(tmp_path / "call.wav", noise(channels=2) * [1, 0], 16_000)
    pieces = [{"audio": "x.wav", "start": 0.5}, {"audio": "call.wav", "channel": 1, "duration": 0.25}]
    rows = [
        row("joined", pieces, gap=0.25),
        row("measured", pieces, duration=0.75),
        row("gone", [*pieces, {"audio": "gone.wav"}]),
        row("endless", pieces, gap=1e9),
        row("waiting", None, speech_text="say it"),
    ]
    write_manifest(tmp_path / "m.jsonl", rows)
    joined, cut, gone, endless, waiting = clips_of(tmp_path / "m.jsonl")
    samples = joined.read()
    whole, _ = soundfile.read(tmp_path / "x.wav", dtype="float32")
    assert joined.seconds() == 1.0 and len(samples) == 16_000 and cut.seconds() == 0.75 and len(cut.read()) == 12_000
    assert np.array_equal(samples[:8000], whole[8000:]) and not samples[8000:].any()
    assert joined.lack() is None and gone.lack() == "audio file missing"
    assert gone.unreadable() == (tmp_path / "gone.wav", "does not exist")
    assert waiting.lack() == "speech_text not spoken yet"
    batch = Collator(processor, with_targets=False)([joined, cut, gone, endless, waiting])
    assert [row.id for row in batch.rows] == ["joined", "measured"]
    assert [sentence.split(":")[0] for sentence in batch.skipped] == ["gone", "endless", "waiting"]
    assert "longer than 4 h" in batch.skipped[1] and "not spoken yet" in batch.skipped[2]
