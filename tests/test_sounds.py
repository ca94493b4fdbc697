import shutil

import numpy as np
import pytest
import soundfile

from wavllm_cli.data import sounds
from wavllm_cli.data.manifest import write_manifest
from wavllm_cli.data.schema import Utterance
from wavllm_cli.data.sounds import Sounds
from wavllm_cli.errors import ManifestError, UsageError


def rng(seed=0):
    return np.random.default_rng(seed)


@pytest.fixture
def folder(tmp_path):
    """A ramp of 30 s at 8 kHz, stereo noise of 1 s, and files that are no sounds."""
    (tmp_path / "deep").mkdir()
    soundfile.write(tmp_path / "ramp.wav", np.linspace(0, 1, 240_000, endpoint=False), 8_000, "FLOAT")
    soundfile.write(tmp_path / "deep" / "NOISE.FLAC", rng().normal(0, 0.1, (44_100, 2)), 44_100, format="FLAC")
    (tmp_path / "README.md").write_text("not a sound")
    (tmp_path / "._ramp.wav").write_text("nor this")
    return tmp_path


def test_any_sound_of_a_folder_is_drawn_whole_or_in_part(folder):
    found = Sounds(folder)
    assert len(found) == 2
    lengths = {len(found.draw(rng(seed))) for seed in range(20)}
    assert lengths == {16_000, 480_000}
    starts = set()
    for seed in range(20):
        part = found.stretch(rng(seed), 40_000)
        assert part.shape == (40_000,) and part.dtype == np.float32
        np.testing.assert_array_equal(part, found.stretch(rng(seed), 40_000))
        if part.min() >= 0:  # of the ramp: 2.5 s without a break, from anywhere
            assert part[-1000] - part[1000] == pytest.approx(38_000 / 480_000, abs=1e-3)
            starts.add(round(float(part[1000]), 3))
        else:  # of the noise: it begins anew
            np.testing.assert_allclose(part[:16_000], part[16_000:32_000], atol=1e-6)
    assert len(starts) > 3


def test_only_a_stretch_of_a_long_one_is_decoded(folder, monkeypatch):
    (folder / "deep" / "NOISE.FLAC").unlink()
    read = []
    monkeypatch.setattr(sounds, "load", lambda *part, load=sounds.load: (read.append(part), load(*part))[1])
    Sounds(folder).stretch(rng(), 16_000)
    assert [(part[2], 0 <= part[1] <= 29) for part in read] == [(1.0, True)]


def test_a_manifest_names_parts_and_channels(folder):
    row = {"task": "asr", "prompt": ""}
    rows = [
        Utterance(id="a", audio="ramp.wav", start=15.0, duration=0.5, **row),
        Utterance(id="b", audio=[{"audio": "deep/NOISE.FLAC", "channel": 1}], **row),
        Utterance(id="c", audio=None, **row),
    ]
    write_manifest(folder / "m.jsonl", rows)
    found = Sounds(folder / "m.jsonl")
    assert len(found) == 2
    assert {len(found.draw(rng(seed))) for seed in range(9)} == {8_000, 16_000}


def test_nothing_to_mix_in(tmp_path, folder):
    (tmp_path / "empty").mkdir()
    for source, says in [
        ("empty", "empty holds no recording"),
        ("gone", "gone does not exist"),
        ("ramp.wav", "neither"),
    ]:
        with pytest.raises(UsageError, match=says):
            Sounds(folder / source)
    with pytest.raises(ManifestError):
        Sounds(folder / "gone.jsonl")


def test_content_is_files_wherever_they_lie(folder, tmp_path_factory):
    before = Sounds(folder).content
    moved = tmp_path_factory.mktemp("moved") / "sounds"
    shutil.copytree(folder, moved)
    assert Sounds(moved).content == before
    soundfile.write(moved / "more.wav", np.ones(100), 8_000)
    assert Sounds(moved).content != before
