"""Models of transformers that speak: tiny random ones of the real classes."""

import json

import numpy as np
import pytest

from wavllm_cli.data.manifest import read_manifest
from wavllm_cli.errors import UsageError, WavLLMError
from wavllm_cli.speech import huggingface
from wavllm_cli.speech.engine import Line, Options, Unspoken

LETTERS = "abcdefghijklmnopqrstuvwxyz' "


@pytest.fixture(scope="module")
def vits(tmp_path_factory):
    """Function: the folder of a VITS with so many speakers."""
    import torch
    from transformers import VitsConfig, VitsModel, VitsTokenizer

    made = {}

    def make(speakers: int = 1, **tokenizer_options):
        key = (speakers, *tokenizer_options)
        if key in made:
            return made[key]
        folder = made[key] = tmp_path_factory.mktemp("vits") / f"tiny-{speakers}"
        folder.mkdir()
        vocabulary = {letter: n for n, letter in enumerate(["<pad>", "<unk>", *LETTERS])}
        (folder / "letters.json").write_text(json.dumps(vocabulary))
        options = {"phonemize": False, "is_uroman": False} | tokenizer_options
        VitsTokenizer(str(folder / "letters.json"), **options).save_pretrained(folder)
        config = VitsConfig(
            vocab_size=len(vocabulary), hidden_size=16, num_hidden_layers=1, num_attention_heads=2, window_size=2,
            ffn_dim=16, flow_size=16, spectrogram_bins=9, upsample_initial_channel=16, upsample_rates=[8, 8],
            upsample_kernel_sizes=[16, 16], resblock_kernel_sizes=[3], resblock_dilation_sizes=[[1]],
            prior_encoder_num_flows=1, prior_encoder_num_wavenet_layers=1, posterior_encoder_num_wavenet_layers=1,
            duration_predictor_num_flows=1, duration_predictor_filter_channels=16, depth_separable_num_layers=1,
            num_speakers=speakers, speaker_embedding_size=8 if speakers > 1 else 0,
        )  # fmt: skip
        with torch.random.fork_rng():
            torch.manual_seed(0)
            VitsModel(config).save_pretrained(folder)
        return folder

    return make


def engine(folder, **options):
    return huggingface.HuggingFace.open(Options(str(folder), device="cpu", **options))


def test_a_line_sounds_the_same_whatever_was_spoken_before(vits):
    speaking = engine(vits())
    assert speaking.voices("en") == ["tiny-1"]
    one, two = Line("a good morning to you", "tiny-1"), Line("and good night", "tiny-1")
    first, second, again = speaking.speak([one, two, one])
    assert first.dtype == np.float32 and first.ndim == 1 and len(first) > 1_000
    np.testing.assert_array_equal(first, again)
    np.testing.assert_array_equal(first, engine(vits()).speak([one])[0])
    assert len(engine(vits(), speed=2.0).speak([one])[0]) < 0.75 * len(first)
    assert not np.array_equal(first[: len(second)], second[: len(first)])


def test_each_speaker_of_a_model_is_a_voice(vits):
    speaking = engine(vits(3))
    assert speaking.voices("en") == ["tiny-3#0", "tiny-3#1", "tiny-3#2"]
    assert engine(vits(3), voices=("*#[02]",)).voices("de") == ["tiny-3#0", "tiny-3#2"]
    clips = speaking.speak([Line("good morning", voice) for voice in speaking.voices("en")])
    assert len({clip.tobytes() for clip in clips}) == 3
    assert speaking.settings("tiny-3#0")["model"] != engine(vits()).settings("tiny-1")["model"]


def test_a_text_that_the_model_cannot_read_costs_no_other(vits):
    good, bad = engine(vits()).speak([Line("good morning", "tiny-1"), Line("你好", "tiny-1")])
    assert len(good) and isinstance(bad, Unspoken) and "the model fails on '你好'" in str(bad)
    (foreign,) = engine(vits(1, is_uroman=True)).speak([Line("привет", "tiny-1")])
    assert "uroman" in str(foreign)


@pytest.fixture
def speecht5(tmp_path, monkeypatch):
    """The folder of a SpeechT5, and of the vocoder that it speaks through."""
    import sentencepiece
    import torch
    from transformers import (
        SpeechT5Config,
        SpeechT5ForTextToSpeech,
        SpeechT5HifiGan,
        SpeechT5HifiGanConfig,
        SpeechT5Tokenizer,
    )
    from transformers.pipelines import text_to_audio

    folder = tmp_path / "speecht5"
    folder.mkdir()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter([LETTERS]), model_prefix=str(folder / "spm_char"), vocab_size=32, model_type="char",
        hard_vocab_limit=False, minloglevel=2,
    )  # fmt: skip
    SpeechT5Tokenizer(str(folder / "spm_char.model")).save_pretrained(folder)
    config = SpeechT5Config(
        vocab_size=40, hidden_size=16, encoder_layers=1, decoder_layers=1, encoder_attention_heads=2,
        decoder_attention_heads=2, encoder_ffn_dim=16, decoder_ffn_dim=16, speech_decoder_prenet_units=16,
        speaker_embedding_dim=4, num_mel_bins=8, speech_decoder_postnet_units=8, speech_decoder_postnet_layers=2,
    )  # fmt: skip
    vocoder = SpeechT5HifiGanConfig(
        model_in_dim=8, upsample_initial_channel=8, upsample_rates=[4], upsample_kernel_sizes=[8],
        resblock_kernel_sizes=[3], resblock_dilation_sizes=[[1]],
    )  # fmt: skip
    with torch.random.fork_rng():
        torch.manual_seed(0)
        SpeechT5ForTextToSpeech(config).save_pretrained(folder)
        SpeechT5HifiGan(vocoder).save_pretrained(tmp_path / "vocoder")
    monkeypatch.setattr(text_to_audio, "DEFAULT_VOCODER_ID", str(tmp_path / "vocoder"))
    return folder


def test_speecht5_takes_its_voices_from_x_vectors(speecht5, tmp_path):
    files = []
    for name in ("ann", "bob"):
        files.append(str(tmp_path / f"{name}.npy"))
        np.save(files[-1], np.random.default_rng(ord(name[0])).normal(0, 3, 4))
    speaking = engine(speecht5, voices=tuple(files))
    assert speaking.voices("en") == ["ann", "bob"]
    ann, bob, again = speaking.speak([Line("good morning", voice) for voice in ("ann", "bob", "ann")])
    np.testing.assert_array_equal(ann, again)
    assert not np.array_equal(ann, bob) and speaking.settings("ann") != speaking.settings("bob")


def test_bark_takes_its_voices_from_presets(tmp_path, monkeypatch):
    monkeypatch.setattr(huggingface, "_open", lambda *args: None)
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "bark"}))
    speaking = engine(tmp_path, voices=("v2/en_speaker_6",))
    assert speaking.voices("en") == ["v2/en_speaker_6"]
    assert speaking._parameters("v2/en_speaker_6") == {"preprocess_params": {"voice_preset": "v2/en_speaker_6"}}


def test_wrong_use(vits, tmp_path):
    with pytest.raises(UsageError, match="--engine hf needs a model"):
        huggingface.HuggingFace.open(Options())
    with pytest.raises(WavLLMError, match=r"gone"):
        engine(tmp_path / "gone")
    for kind, options, says in [
        ("speecht5", {}, "SpeechT5 needs voices: give --voices with .npy files"),
        ("speecht5", {"voices": ("gone.npy",)}, "gone.npy cannot be read as an x-vector"),
        ("bark", {"speed": 1.5}, "a model of the kind bark has no speed"),
    ]:
        (tmp_path / "config.json").write_text(json.dumps({"model_type": kind}))
        with pytest.raises(UsageError, match=says):
            engine(tmp_path, **options)
    with pytest.raises(WavLLMError, match="cannot be loaded as a model that speaks"):
        engine(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "own", "auto_map": {"AutoModel": "own.Own"}}))
    with pytest.raises(UsageError, match="names Python code of its own"):
        engine(tmp_path)


def test_the_command(vits, wavllm, tmp_path):
    row = {"audio": None, "task": "sqqa", "prompt": "", "target": "x", "language": "en"}
    manifest = tmp_path / "in.jsonl"
    manifest.write_text(
        "".join(json.dumps({"id": t, **row, "speech_text": t}) + "\n" for t in ("one two", "three", "four"))
    )
    out, options = tmp_path / "out.jsonl", ("--engine", "hf", "--model", vits(3), "--device", "cpu")
    assert wavllm("prep", "speak", manifest, "--out", out, *options)[0] == 0
    assert sorted(row.speaker for row in read_manifest(out)) == ["tiny-3#0", "tiny-3#1", "tiny-3#2"]
    code, _, err = wavllm("prep", "speak", manifest, "--out", out, "--trust-remote-code")
    assert code == 2 and "they belong with --engine hf" in err
