from collections import Counter

import pytest

from wavllm_cli.speech.engine import NoVoice, wanted
from wavllm_cli.speech.voices import Cast

VOICES = {"en": ["ann", "bob", "cid"], "de": ["dora", "emil"]}


def dealt(texts, seed=0, language="en"):
    cast = Cast(VOICES.__getitem__, seed)
    return [cast.voice(text, language) for text in texts]


def test_every_voice_takes_its_turn_before_any_speaks_again():
    voices = dealt([f"text {i}" for i in range(301)])
    assert all(set(voices[i : i + 3]) == set(VOICES["en"]) for i in range(0, 300, 3))
    assert max(Counter(voices).values()) - min(Counter(voices).values()) == 1
    assert len({tuple(voices[i : i + 3]) for i in range(0, 300, 3)}) == 6  # no fixed order


def test_the_same_seed_casts_the_same_and_later_texts_change_nothing():
    texts = [f"text {i}" for i in range(40)]
    assert dealt(texts) == dealt(texts) == dealt([*texts, "more"])[:40]
    assert dealt(texts) != dealt(texts, seed=1)


def test_a_text_has_one_voice_in_each_language():
    cast = Cast(VOICES.__getitem__, 0)
    first = cast.voice("hello", "en"), cast.voice("hello", "de")
    assert first[0] in VOICES["en"] and first[1] in VOICES["de"]
    for i in range(10):
        cast.voice(f"text {i}", "en")
    assert (cast.voice("hello", "en"), cast.voice("hello", "de")) == first


def test_patterns_choose_among_the_voices():
    known = ["en-us+f1", "en-us+m1", "de+f1"]
    assert wanted(known, [], "en") == known
    assert wanted(known, ["en-us+*", "de+f1"], "en") == known
    assert wanted(known, ["*+m?"], "en") == ["en-us+m1"]
    with pytest.raises(NoVoice, match=r"'en' is called en-us\+f9 \(did you mean en-us\+f1\?\); there are en-us\+f1, "):
        wanted(known, ["en-us+f9"], "en")
