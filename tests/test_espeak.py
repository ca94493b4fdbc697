import hashlib
import signal
import subprocess
import sys

import numpy as np
import pytest

from wavllm_cli.data.audio import SAMPLE_RATE, is_silent
from wavllm_cli.errors import UsageError, WavLLMError
from wavllm_cli.speech import espeak
from wavllm_cli.speech.engine import Line, NoVoice, Unspoken
from wavllm_cli.speech.espeak import VOICES, synthesise
from wavllm_cli.text.languages import LANGUAGES


@pytest.mark.slow
def test_every_voice_exists_and_sounds_like_no_other():
    clips = {voice: synthesise("zero three four five nine", voice) for voice in VOICES}
    assert len({clip.tobytes() for clip in clips.values()}) == len(VOICES) == 104
    for voice, clip in clips.items():
        assert clip.dtype == np.float32 and clip.ndim == 1 and not is_silent(clip), voice
        assert 0.1 < np.abs(clip).max() < 1.05, voice  # resampling overshoots a little
        assert 1.0 < len(clip) / SAMPLE_RATE < 2.5, voice


def test_the_same_words_sound_the_same_whatever_was_spoken_before():
    first = synthesise("one two three", "en-us+f3")
    synthesise("something else", "en-029+m4", rate=200, pitch=80)
    np.testing.assert_array_equal(synthesise("one two three", "en-us+f3"), first)
    code = (
        "import hashlib; from wavllm_cli.speech.espeak import synthesise;"
        "print(hashlib.sha256(synthesise('one two three', 'en-us+f3').tobytes()).hexdigest())"
    )
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
    assert other == hashlib.sha256(first.tobytes()).hexdigest()


def test_rate_and_pitch_do_something():
    slow, fast = synthesise("one two three", rate=100), synthesise("one two three", rate=200)
    assert len(slow) > 1.4 * len(fast)

    def crossings(samples):
        return np.mean(np.abs(np.diff(np.sign(samples))) > 0)

    assert not np.array_equal(synthesise("one", pitch=10), synthesise("one", pitch=90))
    assert crossings(synthesise("one", pitch=99)) > crossings(synthesise("one", pitch=0))
    assert not np.array_equal(synthesise("one", variation=0), synthesise("one", variation=99))


def test_ctrl_c_stops_the_synthesis_and_is_not_lost_in_c_code(monkeypatch, capfd):
    calls = []
    collect = espeak._Spoken.collect

    def interrupted(self, samples, count, events):
        calls.append(count)
        signal.raise_signal(signal.SIGINT)
        return collect(self, samples, count, events)

    monkeypatch.setattr(espeak._Spoken, "collect", interrupted)
    with pytest.raises(KeyboardInterrupt):
        synthesise("one two three four five six seven eight nine", rate=80)
    assert len(calls) < 3 and not capfd.readouterr().err
    monkeypatch.undo()
    assert not is_silent(synthesise("one"))


def test_an_error_while_it_speaks_is_raised(monkeypatch, capfd):
    monkeypatch.setattr(espeak.np.ctypeslib, "as_array", lambda *args: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        synthesise("one")
    assert not capfd.readouterr().err


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"voice": "en-gb+f3"}, "no voice 'en-gb\\+f3'"),
        ({"voice": "en-us+nobody"}, "no voice"),  # espeak-ng itself would quietly take another
        ({"rate": 10}, "rate must be from 80 to 450, not 10"),
        ({"pitch": 120}, "pitch must be"),
        ({"variation": 120}, "variation must be"),
    ],
)
def test_wrong_use(options, says):
    with pytest.raises(UsageError, match=says):
        synthesise("one", **options)


def test_missing_package(monkeypatch):
    monkeypatch.setitem(sys.modules, "espeakng_loader", None)
    with pytest.raises(WavLLMError, match="pip install espeakng-loader"):
        synthesise("one")


def test_a_language_has_an_accent_and_what_is_unknown_none():
    assert espeak.accents_of("en") == list(espeak.ACCENTS)
    codes = {"de-DE": "de", "zh-CN": "cmn", "pt_BR": "pt-br", "fr": "fr", "sv-SE": "sv", "no": "nb", "en-GB": "en"}
    assert {code: espeak.accents_of(code)[0] for code in codes} == codes
    for language in ("mn", "klingon", ""):
        with pytest.raises(NoVoice, match=f"does not speak '{language}'"):
            espeak.accents_of(language)
    assert {*espeak.ACCENTS} < {*espeak.accents()} and "xex" not in espeak.accents()  # which has no dictionary


def test_every_language_of_ours_that_it_knows_makes_sound():
    said = {"ar": "مرحبا", "fa": "سلام", "ja": "こんにちは", "ru": "привет", "ta": "வணக்கம்", "zh": "你好"}
    for language in LANGUAGES:
        if language != "mn":
            (accent, *_) = espeak.accents_of(language)
            assert len(synthesise(said.get(language, "banana"), f"{accent}+f2")) > 0.2 * SAMPLE_RATE, language


def test_a_text_of_which_nothing_comes_is_its_own_fault(monkeypatch):
    monkeypatch.setattr(espeak._Spoken, "collect", lambda self, samples, count, events: 0)
    (unspoken,) = espeak.Espeak((), 1.0).speak([Line("one", "en-us+f3")])
    assert isinstance(unspoken, Unspoken) and "makes no sound of 'one'" in str(unspoken)


def test_phonemes_come_clause_by_clause_with_their_stops():
    clauses = espeak.phonemes("Hello, world. He paid $3.50! Really? Yes", "en-us")
    assert [clause.stop for clause in clauses] == [",", ".", "!", "?", ""]
    assert clauses[0].ipa == "həlˈoʊ" and clauses[2].ipa.split()[-1] == "zˈiəɹoʊ"
    assert [clause.stop for clause in espeak.phonemes("你好，世界。再见！", "cmn")] == [",", ".", "!"]
    assert "(" not in "".join(clause.ipa for clause in espeak.phonemes("Das ist ein Update Manager.", "de"))
    assert espeak.phonemes(" … ", "en-us") == []
    with pytest.raises(WavLLMError, match="no voice 'nobody'"):
        espeak.phonemes("one", "nobody")
