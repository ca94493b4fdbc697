from itertools import pairwise

import numpy as np
import pytest

from wavllm_cli.data import pauses, voice

RATE = 16_000


@pytest.fixture(params=["loudness", "voice"])
def detector(request, monkeypatch):
    if request.param == "loudness":
        monkeypatch.setattr(pauses, "find_detector", lambda: None)
    elif voice.find_detector() is None:
        pytest.skip("the package silero-vad is not installed")


def covered(found, length):
    """Segments follow each other without a gap, and say truly what they share."""
    assert found[0].start == 0 and found[0].shared == 0 and found[-1].end == length
    for before, after in pairwise(found):
        assert after.start + after.shared == before.end


@pytest.fixture(scope="module")
def talk(shared_data):
    """Sentences of real speech with a second of noise floor between them."""
    from wavllm_cli.data.audio import read_audio

    sentence = read_audio(shared_data / "wavllm_examples/audio/asr.flac")
    floor = np.random.default_rng(0).normal(0, 1e-3, RATE).astype(np.float32)
    return np.concatenate([sentence, floor] * 4)


def test_a_talk_is_cut_in_its_pauses(talk, detector):
    found = pauses.segments(talk, 30)
    covered(found, len(talk))
    assert len(found) > 1 and all(segment.end - segment.start <= 30 * RATE for segment in found)
    for segment in found[:-1]:
        around = segment.end // voice.FRAME
        assert pauses.speech(talk)[around - 3 : around + 4].mean() < 0.5
    assert all(segment.shared == 0 for segment in found)


def test_sound_without_a_pause_is_cut_with_an_overlap(monkeypatch):
    monkeypatch.setattr(pauses, "find_detector", lambda: lambda samples: np.ones(-(-len(samples) // voice.FRAME)))
    samples = np.zeros(100 * RATE, dtype=np.float32)
    found = pauses.segments(samples, 30)
    covered(found, len(samples))
    assert len(found) == 4 and all(segment.shared == 2 * RATE for segment in found[1:])


@pytest.mark.parametrize("seconds", [0.1, 29.9, 30.0])
def test_what_is_short_enough_stays_whole(seconds, noise):
    samples = noise(seconds)
    assert pauses.segments(samples, 30) == [pauses.Segment(0, len(samples))]


@pytest.mark.parametrize("samples", [np.zeros(70 * RATE, np.float32), np.full(70 * RATE, 0.5, np.float32)])
def test_silence_and_a_constant_are_cut_as_well(samples, monkeypatch):
    monkeypatch.setattr(pauses, "find_detector", lambda: None)
    covered(pauses.segments(samples, 30), len(samples))


def test_loudness_tells_sound_from_quiet():
    quiet, loud = np.full(voice.FRAME * 10, 1e-3, np.float32), np.full(voice.FRAME * 10, 0.5, np.float32)
    spoken = pauses.by_loudness(np.concatenate([quiet, loud, quiet]))
    assert spoken[:10].max() == spoken[-10:].max() == 0 and spoken[10:20].min() == 1


def test_a_weaker_voice_is_no_pause():
    weaker, stronger = np.full(voice.FRAME * 10, 0.2, np.float32), np.full(voice.FRAME * 10, 0.4, np.float32)
    assert pauses.by_loudness(np.concatenate([stronger, weaker, stronger])).min() > 0.5
