"""Clips of the miniature: rooms, noises and harshness made by rule, and the studio that records takes."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from wavllm_cli.data.audio import read_audio
from wavllm_cli.mini.acoustics import NOISES, harsh, noise, room
from wavllm_cli.mini.takes import PEAK, Clip, Studio, Take, placed, record
from wavllm_cli.speech.engine import Unspoken

TONE = np.sin(2 * np.pi * 200 * np.arange(16_000) / 16_000).astype(np.float32) / 4


def decibels(samples):
    return 20 * np.log10(np.sqrt(np.mean(np.square(samples))))


@pytest.mark.parametrize("kind", NOISES)
def test_a_noise_is_as_long_as_asked_and_as_its_seed_says(kind):
    first, again = (noise(kind, 12_345, np.random.default_rng(3)) for _ in range(2))
    assert first.shape == (12_345,) and first.dtype == np.float32 and np.array_equal(first, again)
    assert np.std(first) > 0 and not np.array_equal(first, noise(kind, 12_345, np.random.default_rng(4)))


def test_pink_noise_has_more_bass_than_white():
    def bass(kind):
        power = np.square(np.abs(np.fft.rfft(noise(kind, 32_000, np.random.default_rng(0)))))
        return power[:2000].sum() / power.sum()  # below 1 kHz

    assert bass("white") < 0.2 < 0.5 < bass("pink")


def test_a_room_begins_with_the_direct_sound_and_dies_away():
    response = room(0.3, np.random.default_rng(0))
    assert len(response) == 4800 and np.abs(response).argmax() == 0
    assert np.square(response[-480:]).sum() < 1e-3 * np.square(response[1:481]).sum()


def test_a_harsh_voice_has_overtones_and_keeps_its_level():
    assert harsh(TONE, 0) is TONE
    strained = harsh(TONE, 0.8)
    spectrum = np.abs(np.fft.rfft(strained))
    assert spectrum[600] > 0.01 * spectrum[200] and abs(decibels(strained) - decibels(TONE)) < 6


def test_a_take_is_placed_at_its_level_with_its_noise():
    quiet = Take("", "", level=-30.0)
    assert decibels(placed(TONE, quiet)) == pytest.approx(-30, abs=0.1)
    assert len(placed(TONE, replace(quiet, speed=1.25))) == 12_800
    noisy = placed(TONE, replace(quiet, noise="white", snr=20.0))
    clean = TONE * np.dot(noisy, TONE) / np.dot(TONE, TONE)
    assert decibels(clean) - decibels(noisy - clean) == pytest.approx(20, abs=0.5)
    assert np.abs(placed(TONE, Take("", "", level=-1.0))).max() == pytest.approx(PEAK)


def test_the_same_take_is_the_same_file(tmp_path):
    takes = [
        Take("good morning", "en-us+m3"),
        Take("good morning", "en-us+m3", rate=200),
        Take("good evening", "en+f2"),
    ]
    clips = record([*takes, takes[0]], Studio(None), tmp_path, processes=1)
    assert all(isinstance(clip, Clip) and clip.take == take for take, clip in clips.items())
    assert len({clip.audio for clip in clips.values()}) == 3
    assert clips[takes[1]].seconds < clips[takes[0]].seconds
    path = tmp_path / clips[takes[0]].audio
    before, inode = path.read_bytes(), path.stat().st_ino
    assert record(takes, Studio(None), tmp_path, processes=1) == clips and path.stat().st_ino == inode
    path.unlink()
    record(takes, Studio(None), tmp_path, processes=1)
    assert path.read_bytes() == before and len(read_audio(path)) / 16_000 == clips[takes[0]].seconds


def test_natural_voices_are_pipers_and_what_cannot_be_said_is_told(tmp_path):
    def speak(lines):
        return [Unspoken("no words.") if line.text == "?" else TONE for line in lines]

    piper = SimpleNamespace(voices=lambda language: ["joe"], settings=lambda voice: {"model": "x"}, speak=speak)
    said, lost = Take("hello", "joe"), Take("?", "joe")
    clips = record([said, lost], Studio(piper), tmp_path, processes=1)
    assert clips[said].seconds == 1.0 and isinstance(clips[lost], Unspoken)
