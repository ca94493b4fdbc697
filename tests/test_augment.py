"""Speed, rooms and noise: their effect measured, and that chance is a function of seed, clip and draw."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from wavllm_cli.data.augment import Augmenter, Speeds, add_noise, change_speed, reverberate
from wavllm_cli.recipe import Augmentation

REAL = Path(__file__).parents[2] / "shared" / "data" / "real"


def decibels(signal, noise):
    return 10 * np.log10(np.mean(np.square(signal, dtype=float)) / np.mean(np.square(noise, dtype=float)))


@pytest.mark.parametrize("factor", [0.5, 0.9, 1.0, 1.1, 1.37, 2.0])
def test_speed_changes_length_and_pitch_alike(factor):
    t = np.arange(32_001) / 16_000
    tone = np.sin(2 * np.pi * 500 * t).astype(np.float32)
    changed = change_speed(tone, factor)
    assert len(changed) == round(32_001 / factor) and changed.dtype == np.float32
    spectrum = np.abs(np.fft.rfft(changed * np.hanning(len(changed))))
    assert spectrum.argmax() * 16_000 / len(changed) == pytest.approx(500 * factor, abs=1)


@pytest.mark.parametrize("snr", [-5.0, 0.0, 7.3, 30.0])
def test_noise_has_the_ratio_that_is_asked_for(noise, snr):
    clip, other = noise(1.0), 7 * noise(1.0, seed=1)
    mixed = add_noise(clip, other, snr)
    assert mixed.dtype == np.float32
    assert decibels(clip, mixed - clip) == pytest.approx(snr, abs=0.1)
    silence = np.zeros_like(clip)
    assert add_noise(silence, other, snr) is silence and add_noise(clip, silence, snr) is clip


def test_a_room_keeps_time_and_loudness(noise):
    clip = noise(1.0)
    response = np.zeros(8_000, np.float32)
    response[200], response[1_000] = 0.5, 0.25  # straight after 12.5 ms, an echo 50 ms later
    heard = reverberate(clip, response)
    assert heard.shape == clip.shape and heard.dtype == np.float32
    assert decibels(heard, clip) == pytest.approx(0, abs=1e-3)
    echo = clip + 0.5 * np.pad(clip, (800, 0))[:-800]
    np.testing.assert_allclose(heard, echo * np.sqrt(np.mean(clip**2) / np.mean(echo**2)), atol=1e-5)
    silence = np.zeros_like(clip)
    assert reverberate(silence, response) is silence


def test_factors_depend_on_seed_clip_and_draw_alone():
    least = [np.zeros(50), np.zeros(7)]
    first, second = (Speeds([0.9, 1.0, 1.1], least, seed=3) for _ in range(2))
    draws = [(m, d) for m, size in enumerate((50, 7)) for d in range(20 * size)]
    factors = [first.factor(*draw) for draw in draws]
    assert [second.factor(*draw) for draw in reversed(draws)] == factors[::-1]
    assert {*factors} == {0.9, 1.0, 1.1} and factors[:50] != factors[50:100]
    assert [Speeds([0.9, 1.0, 1.1], least, seed=4).factor(*draw) for draw in draws] != factors
    bounded = Speeds([0.5, 0.9, 1.1], [np.array([0.0, 0.9, 1.0])], seed=0)
    seen = [{bounded.factor(0, 3 * times + row) for times in range(40)} for row in range(3)]
    assert seen == [{0.5, 0.9, 1.1}, {0.9, 1.1}, {1.0, 1.1}]


@pytest.fixture
def augmenter(tmp_path, noise):
    """Function: what a section of a recipe does."""
    for name in ("noise", "rooms"):
        (tmp_path / name).mkdir()
    for i in range(3):
        soundfile.write(tmp_path / "noise" / f"{i}.wav", noise(0.7, seed=10 + i), 16_000)
    soundfile.write(tmp_path / "rooms" / "a.wav", np.exp(-np.arange(4_000) / 500) * noise(0.25, seed=20), 16_000)

    def make(seed=0, speeds=None, **section):
        return Augmenter(Augmentation.model_validate(section), tmp_path, speeds, seed)

    return make


ALL = {"noise": {"source": "noise", "snr": (5, 20)}, "reverb": {"source": "rooms", "probability": 0.5}}


def test_the_same_draw_sounds_the_same_and_another_otherwise(augmenter, noise):
    clip = noise(1.0)
    first, _ = augmenter(**ALL).apply(clip, 0, 7)
    again, notes = augmenter(**ALL).apply(clip, 0, 7)
    np.testing.assert_array_equal(first, again)
    assert not notes and first.shape == clip.shape
    others = [
        augmenter(**ALL).apply(clip, 0, 8),
        augmenter(**ALL).apply(clip, 1, 7),
        augmenter(1, **ALL).apply(clip, 0, 7),
    ]
    assert not any(np.array_equal(other, first) for other, _ in others)


def test_chance_has_the_range_and_the_share_that_are_asked_for(augmenter, noise):
    clip = noise(1.0)
    some = augmenter(noise={"source": "noise", "snr": (5, 20), "probability": 0.4})
    mixed = [some.apply(clip, 0, draw)[0] - clip for draw in range(300)]
    ratios = [decibels(clip, added) for added in mixed if added.any()]
    assert len(ratios) / 300 == pytest.approx(0.4, abs=0.08)
    assert 4.9 < min(ratios) < 6.5 and 18.5 < max(ratios) < 20.1
    assert np.mean(ratios) == pytest.approx(12.5, abs=1.2)


def test_speed_comes_first_and_alone_changes_the_length(augmenter, noise):
    clip = noise(1.0)
    speeds = Speeds([1.25], [np.zeros(4)], 0)
    heard, _ = augmenter(speeds=speeds, speed={"factors": [1.25]}, **ALL).apply(clip, 0, 5)
    assert len(heard) == 12_800


def test_a_broken_sound_is_said_and_leaves_the_clip(augmenter, noise, tmp_path):
    for path in (tmp_path / "noise").iterdir():
        path.write_bytes(b"RIFF")
    heard, notes = augmenter(noise={"source": "noise", "snr": (5, 20)}).apply(clip := noise(1.0), 0, 0)
    assert heard is clip and len(notes) == 1 and "such clips stay as they are" in notes[0] and ".wav" in notes[0]


@pytest.mark.skipif(not REAL.is_dir(), reason="no real recordings beside the project")
def test_real_noise_at_44_khz_and_in_stereo(noise):
    section = Augmentation.model_validate({"noise": {"source": "non-speech/audio", "snr": (10, 10)}})
    clip = noise(2.0)
    for draw in range(8):
        heard, notes = Augmenter(section, REAL, None, 0).apply(clip, 0, draw)
        assert not notes and decibels(clip, heard - clip) == pytest.approx(10, abs=0.1)
