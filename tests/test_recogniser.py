"""Whisper as a recogniser: windows, stretches, languages, silence."""

import numpy as np
import pytest
import torch

from wavllm_cli.data.audio import SAMPLE_RATE
from wavllm_cli.errors import UsageError
from wavllm_cli.systems import recogniser as module
from wavllm_cli.systems.base import Item
from wavllm_cli.systems.pretrained import Pretrained
from wavllm_cli.systems.recogniser import NOTHING, Recogniser


def opened(folder, seed: int = 0) -> Recogniser:
    return Recogniser(Pretrained("recogniser", str(folder), trust=False), "cpu", torch.float32, seed)


@pytest.fixture(autouse=True)
def hears_all(monkeypatch):
    """Noise is no voice: without a detector it is recognised as if it were."""
    monkeypatch.setattr(module, "find_detector", lambda: None)


@pytest.fixture(scope="module")
def whisper(tiny_whisper):
    return opened(tiny_whisper())


@pytest.fixture
def encoded(whisper, monkeypatch):
    """The number of windows in each run of the encoder's first layer."""
    runs = []
    hook = whisper.model.model.encoder.conv1.register_forward_hook(lambda _, args, __: runs.append(len(args[0])))
    whisper._known.clear()
    yield runs
    hook.remove()


@pytest.fixture(scope="module")
def items(utterances):
    clips = [utterances[0]["audio"], utterances[1]["audio"][:20_000], utterances[1]["audio"][20_000:51_000]]
    return [Item(str(n), "", clip, language="de" if n == 1 else None) for n, clip in enumerate(clips)]


def test_a_clip_is_heard_alone_as_it_is_beside_others(whisper, items):
    together = whisper.transcripts(items)
    whisper._known.clear()
    assert together == [whisper.transcripts([item])[0] for item in items]
    assert len({transcript.text for transcript in together}) > 1 and all(one.said for one in together)


def test_what_greedy_decoding_fails_for_is_drawn_by_its_own_seed(tiny_whisper, items, monkeypatch):
    monkeypatch.setattr(module, "TEMPERATURES", (0.0, 1.0))
    unsure = opened(tiny_whisper(scale=1.0))
    together = unsure.transcripts(items[:2])
    unsure._known.clear()
    assert together == unsure.transcripts(items[1::-1])[::-1]
    assert together[:1] != opened(tiny_whisper(scale=1.0), seed=1).transcripts(items[:1])


def test_a_window_is_encoded_once(whisper, items, encoded):
    whisper.transcripts(items[:1])
    assert encoded == [1]


def test_a_clip_that_was_just_heard_is_not_heard_again(whisper, items, encoded):
    first = whisper.transcripts(items)
    runs = len(encoded)
    assert whisper.transcripts([items[2], items[0]]) == [first[2], first[0]] and len(encoded) == runs


def test_a_long_recording_is_heard_in_stretches(whisper, noise, monkeypatch):
    monkeypatch.setattr(module, "STRETCH", 5.0)
    found = whisper.transcripts([Item("long", "", noise(16.3))])[0]
    starts = [one.start for one in found.said]
    assert starts == sorted(starts) and starts[-1] > 10 and found.said[-1].end <= 16.3
    assert all(one.start <= one.end for one in found.said)
    assert found.text and found.language in ("en", "de")


def test_a_language_is_taken_as_told_and_heard_where_it_is_not(whisper, items, noise):
    clip = noise(1.0)
    (heard,) = whisper.transcripts([Item("x", "", clip)])
    told = [whisper.transcripts([Item("x", "", clip, language=code)])[0].language for code in ("de-DE", "en", "xx")]
    assert told == ["de", "en", heard.language]


def test_a_model_of_english_only_is_told_no_language(tiny_whisper, items):
    english = opened(tiny_whisper(is_multilingual=False, lang_to_id=None, task_to_id=None))
    assert [transcript.language for transcript in english.transcripts(items)] == [None] * 3


def test_in_silence_and_without_a_voice_nothing_is_said(whisper, encoded, noise, monkeypatch):
    silence = Item("silence", "", np.zeros(SAMPLE_RATE * 5, np.float32))
    monkeypatch.setattr(module, "find_detector", lambda: lambda samples: np.full(9, 0.4))
    found = whisper.transcripts(
        [silence, Item("noise", "", noise()), Item("text", "hello"), Item("long", "", noise(3))]
    )
    assert found == [NOTHING] * 4 and encoded == []


def test_less_than_a_word_is_nothing(whisper, encoded, noise):
    short, word = whisper.transcripts([Item("short", "", noise(0.19)), Item("word", "", noise(0.2))])
    assert short == NOTHING and word.text and len(encoded) == 1


def test_only_a_whisper_that_tells_times_is_one(tiny_whisper, tiny_llm):
    with pytest.raises(UsageError, match="is a 'llama' model, not a Whisper"):
        opened(tiny_llm())
    with pytest.raises(UsageError, match="lacks no_timestamps_token_id"):
        opened(tiny_whisper(no_timestamps_token_id=None))
