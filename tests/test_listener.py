import json
import os
import signal
from dataclasses import replace

import numpy as np
import pytest
import torch
from transformers import AutoFeatureExtractor, WavLMModel

from wavllm_cli.data.audio import SAMPLE_RATE, write_wav
from wavllm_cli.data.manifest import read_manifest, write_manifest
from wavllm_cli.data.origin import stored_origin
from wavllm_cli.data.schema import Utterance
from wavllm_cli.errors import UsageError
from wavllm_cli.mini import listener
from wavllm_cli.mini.listener import Settings, train_listener
from wavllm_cli.mini.listener_data import PART, Classes, examples_of, pronounced
from wavllm_cli.mini.listener_model import Heard, Listener, filterbank
from wavllm_cli.mini.listener_scores import Share, greedy, scores_of
from wavllm_cli.model.backbones import load_backbone
from wavllm_cli.recipe import Optimizer
from wavllm_cli.speech.espeak import synthesise

VOICES = ("en-us+m3", "en-us+f3")
MOODS = {"sad": 10, "happy": 95}  # pitch
SENTENCES = tuple(f"{a} {b}" for a in ("one two", "three four", "five") for b in ("six", "seven", "eight", "nine"))
TINY = Settings(
    steps=6,
    network={
        "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64,
        "conv_dim": [32, 32], "conv_kernel": [400, 2], "conv_stride": [160, 2], "conv_bias": True,
        "feat_extract_norm": "layer", "do_stable_layer_norm": True, "initializer_range": 0.1,
        "num_conv_pos_embeddings": 8, "num_conv_pos_embedding_groups": 2, "mask_time_prob": 0.0,
        "mask_feature_prob": 0.0,
    },
    weights={"speaker": 1.0, "emotion": 1.0, "phonemes": 1.0},
    batches=2,
    batch_seconds=6.0,
    batch_clips=4,
    optimizer=Optimizer(learning_rate=5e-3, warmup_steps=2, schedule="linear", weight_decay=0.01),
)  # fmt: skip


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """A folder as `prep mini` makes it: two voices, two moods, twelve sentences, one clip of 7 s, one without audio."""
    folder = tmp_path_factory.mktemp("mini")
    for split in ("train", "dev"):
        asr, er = [], []
        for i, (text, voice) in enumerate((text, voice) for text in SENTENCES for voice in VOICES):
            mood = list(MOODS)[i // 4 % 2]
            samples = synthesise(text, voice, 240, MOODS[mood])
            write_wav(folder / f"{split}-{i}.wav", samples)
            about = {"audio": f"{split}-{i}.wav", "duration": len(samples) / SAMPLE_RATE, "speaker": voice}
            rows, target = (asr, text) if i % 4 < 2 else (er, mood)
            task = "asr" if rows is asr else "er"
            rows.append(Utterance(id=f"{split}-{i}", task=task, prompt="?", target=target, transcript=text, **about))
        write_wav(folder / "long.wav", np.random.default_rng(0).normal(0, 0.1, 7 * SAMPLE_RATE))
        asr.append(
            Utterance(
                id="long", audio="long.wav", duration=7.0, task="asr", prompt="?", target="ten eleven", speaker="x"
            )
        )
        asr.append(
            Utterance(
                id="lost", audio="lost.wav", duration=1.0, task="asr", prompt="?", target="ten eleven", speaker="x"
            )
        )
        write_manifest(folder / f"{split}-world.jsonl", asr)
        write_manifest(folder / f"{split}-er.jsonl", er)
    return folder


@pytest.fixture(scope="module")
def trained(data, tmp_path_factory):
    """A folder that was trained without an interruption, and its report."""
    out = tmp_path_factory.mktemp("runs") / "listener"
    return out, train_listener(data, out, settings=TINY)


def test_a_wavlm_folder_as_backbones_are_loaded_from(trained):
    out, report = trained
    assert {file.name for file in out.iterdir()} == {
        "config.json", "model.safetensors", "preprocessor_config.json", "listener.json"
    }  # fmt: skip
    loaded = load_backbone("acoustic_encoder", stored_origin({"path": str(out)}))
    assert isinstance(loaded, WavLMModel) and loaded.dtype == torch.float32
    assert sum(p.numel() for p in loaded.parameters()) == report.parameters
    extractor = AutoFeatureExtractor.from_pretrained(out)
    assert extractor.do_normalize and extractor.return_attention_mask


def test_a_report_counts_every_clip_once(data, trained):
    _, report = trained
    dev = examples_of(data, "dev")
    assert report.dev.clips == len(dev) - 1  # the lost one
    assert report.dev.emotions.total == sum(e.emotion is not None for e in dev) == 12
    assert report.dev.phoneme_errors.total == sum(len(e.pronounced) for e in dev if e.clip.row.id != "lost")
    assert set(report.dev.speaker_frames_of) == {"world", "er"}
    assert report.speakers == 3 and report.emotions == ["happy", "sad"]
    assert report.held_out.clips == sum(e.is_held_out for e in examples_of(data, "train")) > 0


def test_an_interrupted_training_goes_on_as_if_it_had_not_been(data, trained, tmp_path, monkeypatch):
    whole, report = trained
    out = tmp_path / "listener"
    losses, steps = Listener.losses, []

    def interrupted(self, batch):
        steps.append(batch)
        if len(steps) == 3:
            os.kill(os.getpid(), signal.SIGINT)
        return losses(self, batch)

    monkeypatch.setattr(Listener, "losses", interrupted)
    with pytest.raises(KeyboardInterrupt):
        train_listener(data, out, settings=TINY)
    assert not out.exists() and len(steps) == 4
    with pytest.raises(UsageError, match=r"begun with steps 6, not 7: continue that one"):
        train_listener(data, out, steps=7, settings=TINY)
    again = train_listener(data, out, settings=TINY)
    assert len(steps) == 12
    assert (out / "model.safetensors").read_bytes() == (whole / "model.safetensors").read_bytes()
    assert again.dev == report.dev and again.held_out == report.held_out
    logs = [(folder.with_name("listener-training") / "log.jsonl").read_text() for folder in (out, whole)]
    assert logs[0] == logs[1] and json.loads(logs[0].splitlines()[-1])["step"] == 6


def test_a_finished_one_is_only_read(data, trained, monkeypatch):
    out, report = trained
    monkeypatch.setattr(listener, "_Training", None)
    assert train_listener(data, out, settings=TINY) == report
    with pytest.raises(UsageError, match="trained with seed 1, not 2: delete it"):
        train_listener(data, out, seed=2, settings=TINY)


def test_other_data_are_another_listener(data, trained, tmp_path):
    out, _ = trained
    for path in data.iterdir():
        (tmp_path / path.name).symlink_to(path)
    (tmp_path / "dev-er.jsonl").unlink()
    write_manifest(tmp_path / "dev-er.jsonl", list(read_manifest(data / "dev-er.jsonl"))[1:])
    with pytest.raises(UsageError, match=r"trained on another dev-er\.jsonl"):
        train_listener(tmp_path, out, settings=TINY)


def test_what_is_not_a_listener_is_left_alone(data, tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(UsageError, match="exists already"):
        train_listener(data, tmp_path, settings=TINY)
    with pytest.raises(UsageError, match="wavllm prep mini"):
        train_listener(tmp_path, tmp_path / "out", settings=TINY)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_one_sentence_of_twenty_is_held_out_whoever_says_it(data):
    first, *_, last = examples_of(data, "train")
    texts = [f"sentence {number}" for number in range(2000)]
    held_out = [replace(first, text=text).is_held_out for text in texts]
    assert held_out == [replace(last, text=text).is_held_out for text in texts]
    assert 70 < sum(held_out) < 130


def test_of_a_long_clip_a_part_is_heard_without_its_words(data):
    long = next(e for e in examples_of(data, "train") if e.clip.row.id == "long")
    assert (long.seconds, long.pronounced, long.text) == (PART, "", "ten eleven")
    whole = long.clip.read()
    for place, start in ((0.0, 0), (1.0, 3 * SAMPLE_RATE), (0.5, 3 * SAMPLE_RATE // 2)):
        np.testing.assert_array_equal(long.heard(place), whole[start : start + int(PART * SAMPLE_RATE)])


@pytest.mark.slow
def test_it_learns_voices_moods_and_phonemes(data, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(listener, "SAVE_EVERY", 1000)
    report = train_listener(data, tmp_path / "listener", steps=60, settings=TINY)
    assert capsys.readouterr().err.count("lost: There is no audio file") == 1
    assert report.dev.speaker_frames.value > 0.7
    assert report.dev.emotions.value > 0.7
    assert report.dev.phoneme_errors.value < 0.9


# --- its parts ---


def test_texts_together_are_pronounced_as_each_alone():
    texts = ["the train leaves at nine", "it's mr. smith", "one, two: three", "she asked why", "a b c", "3.5 dollars"]
    assert pronounced(texts) == {text: pronounced([text])[text] for text in texts}
    assert pronounced(["three four"])["three four"] == "θɹiːfɔːɹ"


def test_the_filterbank_hears_a_tone_where_its_frequency_is():
    filters = filterbank(64, 400)
    assert filters.shape == (64, 400)
    np.testing.assert_allclose(filters.unflatten(0, (16, 4)).sum(1), 0, atol=1e-6)  # phases cancel
    time = torch.arange(8000) / SAMPLE_RATE
    loudest = [
        int(
            torch.conv1d(torch.sin(2 * torch.pi * hertz * time)[None, None], filters[:, None])
            .square()
            .mean(-1)
            .argmax()
        )
        for hertz in (100, 500, 1500, 5000)
    ]
    assert loudest == sorted(loudest) and len({each // 4 for each in loudest}) == 4
    assert filterbank(10, 40).shape == (10, 40)


def test_the_best_path_is_without_repeats_and_blanks():
    path = torch.tensor([[0, 2, 2, 0, 2, 1, 1, 3], [1, 0, 0, 1, 3, 3, 3, 3]])
    logits = torch.nn.functional.one_hot(path, 4).float()
    heard = Heard(speakers=logits, emotions=logits[:, 0], phonemes=logits, frames=torch.tensor([8, 4]))
    assert greedy(heard) == [[2, 2, 1, 3], [1, 1]]


def test_scores_of_nothing_are_unknown():
    assert str(Share()) == "unknown" and str(Share(count=1, total=4)) == "25.0% of 4"
    scores = scores_of(Listener.__new__(Listener), [])
    assert scores.clips == 0 and scores.speaker_frames.value is None


def test_classes_are_those_that_are_known(data):
    classes = Classes.of(examples_of(data, "train"))
    assert classes.speakers == (*sorted(VOICES), "x") and classes.emotions == ("happy", "sad")
    speakers, _, phonemes = classes.numbers
    assert speakers["x"] == 2 and min(phonemes.values()) == 1 and len(phonemes) == len(classes.phonemes)
