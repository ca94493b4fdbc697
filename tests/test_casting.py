"""Who says what in the miniature: splits share no voice, moods change a voice's own manner, chance decides by name."""

from itertools import combinations

import numpy as np
import pytest

from wavllm_cli.mini.casting import SPLITS, Casting, conditions, moods, sex, timbre, voices
from wavllm_cli.speech.espeak import accents, speakers

TEXT = "the train leaves at nine"


def test_every_voice_is_espeaks_own():
    for split in SPLITS:
        for voice in voices(split):
            accent, _, speaker = voice.partition("+")
            assert accent in accents() and speaker in speakers() and sex(voice) in ("female", "male")
        assert len(set(voices(split))) == len(voices(split))


def test_splits_share_no_speaker_and_test_has_an_accent_of_its_own():
    for one, other in combinations(SPLITS, 2):
        assert not set(map(timbre, voices(one))) & set(map(timbre, voices(other)))
    spoken = {split: {voice.partition("+")[0] for voice in voices(split)} for split in SPLITS}
    assert spoken["test"] - spoken["train"] - spoken["dev"] == {"en-gb-scotland"}


def test_the_name_of_a_clip_decides_in_any_order():
    takes = [Casting("train", ["joe"], 7).said(f"clip {i}", TEXT) for i in range(40)]
    again = Casting("train", ["joe"], 7)
    assert [again.said(f"clip {i}", TEXT) for i in reversed(range(40))] == takes[::-1]
    assert Casting("train", ["joe"], 8).said("clip 0", TEXT) != takes[0]
    assert len({take.voice for take in takes}) > 20


def test_natural_voices_speak_in_train_alone():
    heard = {split: {Casting(split, ["joe"], 0).said(str(i), TEXT).voice for i in range(200)} for split in SPLITS}
    assert "joe" in heard["train"] and "joe" not in heard["dev"] | heard["test"]
    assert "joe" not in {Casting("train", ["joe"], 0).said(str(i), TEXT, natural=False).voice for i in range(200)}


def test_pairs_are_of_one_voice_or_of_two_of_one_sex():
    cast = Casting("test", [], 0)
    for i in range(40):
        first, second = cast.pair(f"pair {i}", ("one", "two"), same=i % 2 == 0)
        assert (first.voice == second.voice) == (timbre(first.voice) == timbre(second.voice)) == (i % 2 == 0)
        assert sex(first.voice) == sex(second.voice) and (first.text, second.text) == ("one", "two")


def test_moods_move_a_voices_own_manner():
    takes = {mood: [Casting("train", [], 0).felt(str(i), TEXT, mood) for i in range(60)] for mood in moods()}
    mean = {
        mood: {
            name: np.mean([getattr(take, name) for take in some]) for name in ("rate", "pitch", "variation", "level")
        }
        for mood, some in takes.items()
    }
    assert mean["sad"]["rate"] < mean["neutral"]["rate"] < mean["happy"]["rate"]
    assert mean["sad"]["pitch"] < mean["neutral"]["pitch"] < mean["happy"]["pitch"]
    assert mean["sad"]["variation"] < mean["neutral"]["variation"] < mean["happy"]["variation"]
    assert mean["sad"]["level"] < mean["neutral"]["level"] < mean["angry"]["level"]
    assert all(take.harshness > 0 for take in takes["angry"]) and not any(take.harshness for take in takes["happy"])
    rates = {mood: {take.rate for take in some} for mood, some in takes.items()}
    assert rates["neutral"] & rates["happy"]  # no rate tells a mood by itself


@pytest.mark.parametrize("split", SPLITS)
def test_rows_tell_how_a_clip_sounds(split):
    takes = [Casting(split, [], 0).said(str(i), TEXT) for i in range(200)]
    for take in takes:
        told = conditions(take)
        assert (told["sound"] == "noisy") == (take.noise is not None) == ("snr" in told)
        assert ("room" in told) == (take.room > 0)
    clean = sum(conditions(take)["sound"] == "clean" for take in takes)
    assert 60 < clean < 160
