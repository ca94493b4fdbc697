"""Clips by what they are made of: one engine, one process or several, some of which die."""

import pytest
from fake_engine import Tones

from wavllm_cli.data.audio import SAMPLE_RATE, audio_info, read_audio
from wavllm_cli.speech.clips import clip_name, make, seconds_of
from wavllm_cli.speech.engine import Line, Unspoken


def jobs(folder, *texts, engine=None):
    lines = [Line(text, "ann") for text in texts]
    return {line: folder / clip_name(engine or Tones(), line) for line in lines}


def test_a_clip_is_named_by_all_that_it_depends_on():
    names = [
        clip_name(Tones(), Line("one", "ann")),
        clip_name(Tones(), Line("two", "ann")),
        clip_name(Tones(), Line("one", "bob")),
        clip_name(Tones(speed=2.0), Line("one", "ann")),
    ]
    assert len({*names}) == 4 and names[0] == clip_name(Tones(), Line("one", "ann"))
    assert all(name[:2] == name[3:5] and name.endswith(".wav") for name in names)


def test_lines_that_fail_cost_the_others_nothing(tmp_path):
    paths = jobs(tmp_path, "one two", "fail", "hush now", "three")
    made = {line.text: result for line, result in make(Tones(), paths, workers=1)}
    assert made["one two"] == pytest.approx(0.2) and made["three"] == pytest.approx(0.1)
    assert isinstance(made["fail"], Unspoken) and "stayed silent" in str(made["hush now"])
    assert sorted(tmp_path.rglob("*.wav")) == sorted(path for line, path in paths.items() if seconds_of(path))
    assert len(read_audio(paths[Line("three", "ann")])) == 0.1 * SAMPLE_RATE


def test_several_processes_make_the_same_and_survive_the_death_of_one(tmp_path):
    texts = ["one", "two two", "three three three", "fail", "four", "crash"]
    paths = jobs(tmp_path / "several", *texts)
    made = {line.text: result for line, result in make(Tones(), paths, workers=2)}
    assert made.keys() == {*texts}
    assert str(made["crash"]) == "tones crashed on it" and str(made["fail"]) == "it cannot say that."
    alone = jobs(tmp_path / "alone", *(text for text in texts if text != "crash"))
    for line, seconds in make(Tones(), alone, workers=1):
        if isinstance(seconds, float):
            assert made[line.text] == seconds and alone[line].read_bytes() == paths[line].read_bytes()


def test_a_clip_that_lost_its_content_is_none(tmp_path):
    ((line, path),) = jobs(tmp_path, "one two").items()
    assert seconds_of(path) is None
    ((_, seconds),) = make(Tones(), {line: path}, 1)
    assert seconds_of(path) == seconds == audio_info(path).duration
    path.write_bytes(b"")
    assert seconds_of(path) is None
