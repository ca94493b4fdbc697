"""Fixtures shared by all tests."""

import os
import signal
import sys

import pytest

# Before torch: on tensors as small as the tests' a second thread waits for the first and computes nothing.
os.environ["OMP_NUM_THREADS"] = "1"
# The servers are on loopback and have no certificates; reading the machine's costs each client 60 ms.
os.environ.pop("SSL_CERT_FILE", None)
os.environ["SSL_CERT_DIR"] = os.path.dirname(__file__)
# What a user has set as the default model is nothing to tests.
os.environ.pop("WAVLLM_MODEL", None)
os.environ["XDG_CONFIG_HOME"] = os.path.join(os.path.dirname(__file__), "no-settings")
# What a script starts in the background ignores Ctrl-C, and some tests are about it.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def wavllm(monkeypatch, capsys):
    """Run a command in this process -> (exit code, stdout, stderr); the heavy imports are paid once."""
    from wavllm_cli.cli import main

    def call(*args: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["wavllm", *map(str, args)])
        with pytest.raises(SystemExit) as stop:
            main()
        out, err = capsys.readouterr()
        return stop.value.code, out, err

    return call


# --- tiny models: the real classes at toy sizes, every weight random so that every path matters ---
# Imports are inside the fixtures: tests of light modules must not wait for torch.

TINY_WINDOW = 32_000  # samples: the tiny semantic encoder listens to 2 s at a time


@pytest.fixture(scope="session")
def tiny_tokenizer():
    """Byte-level BPE without training: bytes, a few words, three special tokens; the same ids on every machine."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    vocab = {token: i for i, token in enumerate(["<unk>", "<s>", "</s>"])}
    vocab |= {char: len(vocab) + i for i, char in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}
    merges = [("h", "e"), ("l", "l"), ("he", "ll"), ("hell", "o"), ("Ġ", "s"), ("i", "n"), ("in", "g"), ("o", "r")]
    for left, right in merges:
        vocab[left + right] = len(vocab)
    backend = Tokenizer(models.BPE(vocab=vocab, merges=merges, unk_token="<unk>"))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(
        tokenizer_object=backend, bos_token="<s>", eos_token="</s>", unk_token="<unk>", pad_token="</s>"
    )


@pytest.fixture(scope="session")
def tiny_config(tiny_tokenizer):
    """Factory of `WavLLMConfig`; keyword arguments replace fields, `norm="layer"` gives WavLM-large's variant."""
    from wavllm_cli.model.configuration_wavllm import WavLLMConfig

    def make(norm: str = "group", **fields) -> WavLLMConfig:
        semantic = {
            "model_type": "whisper", "d_model": 32, "encoder_layers": 2, "encoder_attention_heads": 2,
            "encoder_ffn_dim": 64, "num_mel_bins": 16, "max_source_positions": TINY_WINDOW // 320,
            "decoder_layers": 1, "decoder_attention_heads": 2, "decoder_ffn_dim": 64, "vocab_size": 10,
            "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2, "decoder_start_token_id": 1,
            "init_std": 0.15, "dropout": 0.1, "encoder_layerdrop": 0.1,
        }  # fmt: skip
        acoustic = {
            "model_type": "wavlm", "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2,
            "intermediate_size": 64, "conv_dim": (16, 16, 16), "conv_stride": (10, 8, 4), "conv_kernel": (20, 16, 8),
            "num_conv_pos_embeddings": 16, "num_conv_pos_embedding_groups": 4, "initializer_range": 0.15,
            "feat_extract_norm": norm, "do_stable_layer_norm": norm == "layer", "conv_bias": norm == "layer",
        }  # fmt: skip
        text = {
            "model_type": "llama", "vocab_size": len(tiny_tokenizer), "hidden_size": 32, "intermediate_size": 64,
            "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2, "initializer_range": 0.15,
            "max_position_embeddings": 1024, "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 2,
        }  # fmt: skip
        sizes = {
            "semantic_channels": (32, 40), "acoustic_channels": (24, 40), "adapter_bottleneck": 16,
            "adapter_width": 24, "lora_rank": 4, "lora_alpha": 4.0, "lora_dropout": 0.0, "prompt_adapter_width": 8,
        }  # fmt: skip
        defaults = {
            "semantic_config": semantic,
            "acoustic_config": acoustic,
            "text_config": text,
            "audio_token_id": len(tiny_tokenizer),
        }
        return WavLLMConfig(**(defaults | sizes | fields))

    return make


@pytest.fixture(scope="session")
def randomize():
    """Function that fills the tensors which start at zero or one: LoRA B, prompt adapter, layer weights, norms."""
    import torch

    from wavllm_cli.model.groups import is_backbone_tensor

    @torch.no_grad()
    def fill(model, trained_only: bool = False):
        generator = torch.Generator().manual_seed(1)
        for name, tensor in model.named_parameters():
            if trained_only and is_backbone_tensor(name):
                continue
            if name.endswith(("bias", "lora_B.weight", "prompt_adapter.up.weight", "layer_weights", "norm.weight")):
                tensor += 0.5 * torch.randn(tensor.shape, generator=generator)
        return model

    return fill


@pytest.fixture(scope="session")
def tiny_model(tiny_config, randomize):
    """Factory of randomised models in eval mode, one per set of options. Shared: deepcopy before changing one."""
    import torch

    from wavllm_cli.model.modeling_wavllm import WavLLMForConditionalGeneration

    made = {}

    def make(norm: str = "group", dtype: torch.dtype = torch.float32, **fields):
        key = f"{norm} {dtype} {sorted(fields.items())}"
        if key not in made:
            with torch.random.fork_rng():
                torch.manual_seed(0)
                made[key] = randomize(WavLLMForConditionalGeneration(tiny_config(norm, **fields))).to(dtype).eval()
        return made[key]

    return make


@pytest.fixture(scope="session")
def tiny_processor(tiny_config, tiny_tokenizer):
    from wavllm_cli.model.processing_wavllm import WavLLMProcessor

    return WavLLMProcessor.for_config(tiny_config(), tiny_tokenizer)


@pytest.fixture(scope="session")
def utterances() -> list[dict]:
    """Rows that stress a batch: one window, several windows, shorter than the encoders can take, text only."""
    import numpy as np

    noise = np.random.default_rng(0)
    clips = []
    for samples in (16_000, 70_001, 300):
        t = np.arange(samples) / 16_000  # a voice of sorts: rising harmonics that come and go
        tone = sum(np.sin(2 * np.pi * k * (110 + 60 * t) * t) / k for k in range(1, 20)) * np.sin(2 * np.pi * 1.7 * t)
        clips.append((0.1 * tone + noise.normal(0, 0.01, samples)).astype(np.float32))
    rows = [("hello", "a b"), ("say something long about it", "c"), ("", "world"), ("no sound", "e f g")]
    return [{"text": t, "audio": a, "target": y} for (t, y), a in zip(rows, [*clips, None], strict=True)]


@pytest.fixture(scope="session")
def collate(tiny_processor):
    """Function: a list of utterances -> the model's inputs; with `target=True` labels too."""

    def make(rows: list[dict], target: bool = False):
        columns = {key: [row[key] for row in rows] for key in ("text", "audio", *(["target"] if target else []))}
        return tiny_processor(**columns)

    return make


@pytest.fixture(scope="session")
def answering(tiny_model, tiny_processor, tmp_path_factory):
    """Folder with a checkpoint `model`, and a manifest of clips of unequal length with a text row between them."""
    import numpy as np

    from wavllm_cli.data.audio import write_wav
    from wavllm_cli.data.manifest import write_manifest
    from wavllm_cli.data.schema import Utterance

    folder = tmp_path_factory.mktemp("answering")
    tiny_model().save_pretrained(folder / "model")
    tiny_processor.save_pretrained(folder / "model")
    noise = np.random.default_rng(0)
    rows = []
    for i in range(7):
        seconds = 0.4 + (i * 5 % 7) * 0.5
        write_wav(folder / f"{i}.wav", noise.normal(0, 0.1, int(16_000 * seconds)))
        row = {"audio": f"{i}.wav", "task": "asr", "prompt": "hello", "target": "x", "duration": seconds}
        rows.append(Utterance(id=f"clip{i}", **row))
    rows.insert(3, Utterance(id="text", audio=None, task="sft", prompt="say something"))
    write_manifest(folder / "manifest.jsonl", rows)
    return folder


@pytest.fixture(scope="session")
def system(answering):
    """The checkpoint of `answering` as a system, loaded; greedy, six tokens an answer."""
    from wavllm_cli.systems.base import Options
    from wavllm_cli.systems.decoding import Decoding
    from wavllm_cli.systems.wavllm import WavLLM

    decoding = Decoding(max_new_tokens=6, temperature=0)
    loaded = WavLLM.open(Options(str(answering / "model"), device="cpu", decoding=decoding))
    loaded.load()
    return loaded


@pytest.fixture
def decoding(system, monkeypatch):
    """Function: change the system's decoding for one test."""
    from dataclasses import replace

    def change(**options):
        monkeypatch.setattr(system, "decoding", replace(system.decoding, **options))

    return change


@pytest.fixture(scope="session")
def backbones(tmp_path_factory, tiny_config) -> dict[str, dict]:
    """`config.backbones`: a full tiny Whisper, a WavLM and a LLaMA on disk, as their own libraries save them."""
    import torch
    from transformers import LlamaForCausalLM, WavLMModel, WhisperForConditionalGeneration

    config = tiny_config()
    parts = {
        "semantic_encoder": (WhisperForConditionalGeneration, config.semantic_config),
        "acoustic_encoder": (WavLMModel, config.acoustic_config),
        "language_model": (LlamaForCausalLM, config.text_config),
    }
    folder = tmp_path_factory.mktemp("backbones")
    with torch.random.fork_rng():
        torch.manual_seed(2)
        for part, (cls, part_config) in parts.items():
            cls(part_config).save_pretrained(folder / part)
    return {part: {"path": str(folder / part), "revision": None} for part in parts}


@pytest.fixture(scope="session")
def tiny_whisper(tiny_config, tiny_tokenizer, tmp_path_factory):
    """Factory of folders with a whole Whisper that hears 2 s at a time and is sure of what it says, English and German.

    `scale` is of its output layer: at 1 it is sure of nothing. Keyword arguments replace generation settings.
    """
    from copy import deepcopy

    import torch
    from transformers import AddedToken, GenerationConfig, WhisperFeatureExtractor, WhisperForConditionalGeneration

    tokenizer = deepcopy(tiny_tokenizer)
    names = ["startoftranscript", "en", "de", "transcribe", "translate", "startofprev", "nospeech", "notimestamps"]
    tokenizer.add_special_tokens({"additional_special_tokens": [f"<|{name}|>" for name in names]})
    tokenizer.add_tokens([AddedToken(f"<|{step * 0.02:.2f}|>", special=False) for step in range(101)])
    ids = {name: tokenizer.convert_tokens_to_ids(f"<|{name}|>") for name in names}
    settings = {
        "bos_token_id": 2, "eos_token_id": 2, "pad_token_id": 2, "decoder_start_token_id": ids["startoftranscript"],
        "no_timestamps_token_id": ids["notimestamps"], "prev_sot_token_id": ids["startofprev"], "is_multilingual": True,
        "lang_to_id": {"<|en|>": ids["en"], "<|de|>": ids["de"]}, "max_length": 12, "return_timestamps": False,
        "task_to_id": {task: ids[task] for task in ("transcribe", "translate")}, "max_initial_timestamp_index": 50,
        "suppress_tokens": [*ids.values()],
    }  # fmt: skip
    made = {}

    def make(scale: float = 20.0, **changes):
        key = f"{scale} {changes}"
        if key not in made:
            config = deepcopy(tiny_config().semantic_config)
            config.vocab_size, config.max_target_positions = len(tokenizer), 12
            for name in ("bos_token_id", "eos_token_id", "pad_token_id", "decoder_start_token_id"):
                setattr(config, name, settings[name])
            with torch.random.fork_rng():
                torch.manual_seed(0)
                model = WhisperForConditionalGeneration(config)
            model.model.decoder.layer_norm.weight.data *= scale
            generation = {name: value for name, value in (settings | changes).items() if value is not None}
            model.generation_config = GenerationConfig(**generation)
            made[key] = tmp_path_factory.mktemp("whisper")
            model.save_pretrained(made[key])
            WhisperFeatureExtractor(feature_size=config.num_mel_bins, chunk_length=2).save_pretrained(made[key])
            tokenizer.save_pretrained(made[key])
        return made[key]

    return make


@pytest.fixture(scope="session")
def tiny_llm(tiny_config, tiny_tokenizer, tmp_path_factory):
    """Factory of folders with a chat LLM; keyword arguments replace fields of its configuration.

    Args:
        template: of its chats; None for none.
    """
    from copy import deepcopy

    import torch
    from transformers import LlamaForCausalLM

    plain = "{% for m in messages %}<s>{{ m.role }}: {{ m.content }}</s>{% endfor %}<s>assistant: "
    made = {}

    def make(template: str | None = plain, **fields):
        key = f"{template} {fields}"
        if key not in made:
            config = deepcopy(tiny_config().text_config)
            for name, value in fields.items():
                setattr(config, name, value)
            with torch.random.fork_rng():
                torch.manual_seed(1)
                model = LlamaForCausalLM(config)
            tokenizer = deepcopy(tiny_tokenizer)
            tokenizer.chat_template = template
            made[key] = tmp_path_factory.mktemp("llm")
            model.save_pretrained(made[key])
            tokenizer.save_pretrained(made[key])
        return made[key]

    return make


# --- a training ---


@pytest.fixture(scope="session")
def beeps(tmp_path_factory):
    """Folder with the data of `beeps.shrunken`'s recipe."""
    from beeps import write_beeps

    folder = tmp_path_factory.mktemp("beeps")
    write_beeps(folder)
    return folder


@pytest.fixture(scope="session")
def beep_recipe(beeps):
    """Factory: the recipe that trains on the beeps, with further overrides."""
    from functools import partial

    from beeps import shrunken

    return partial(shrunken, beeps)


@pytest.fixture(scope="session")
def beep_run(beep_recipe, tmp_path_factory):
    """Both stages of the recipe, trained without an interruption. Shared: copy it before changing anything."""
    from beeps import forget_accelerate

    from wavllm_cli.training import stages

    run = tmp_path_factory.mktemp("runs") / "whole"
    for stage in (1, 2):
        stages.train(beep_recipe(), stage, run)
    forget_accelerate()
    return run


# --- real audio and small clips ---


@pytest.fixture(scope="session")
def shared_data():
    """Folder of real data beside the repository; tests that need it are skipped in a lone clone."""
    from pathlib import Path

    folder = Path(__file__).parent.parent.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("needs the data folder beside the repository (../shared/data)")
    return folder


@pytest.fixture(scope="session")
def noise():
    """Function: (seconds * rate, channels) or (seconds * rate,) of float32 noise, peak below 1."""
    import numpy as np

    def make(seconds: float = 1.0, rate: int = 16_000, channels: int | None = None, seed: int = 0):
        shape = (round(seconds * rate),) if channels is None else (round(seconds * rate), channels)
        return np.random.default_rng(seed).uniform(-0.5, 0.5, shape).astype(np.float32)

    return make


# --- released checkpoints: the original names at small sizes ---


@pytest.fixture(scope="session")
def sentencepiece_file(tmp_path_factory):
    """A sentencepiece model like LLaMA-2's (byte fallback, no normalisation) with 512 pieces."""
    from sentencepiece import SentencePieceTrainer

    from wavllm_cli.model.processing_wavllm import LLAMA2
    from wavllm_cli.prompts import shipped_texts

    path = tmp_path_factory.mktemp("sentencepiece") / "tokenizer.model"
    with path.open("wb") as file:
        SentencePieceTrainer.train(
            sentence_iterator=iter([*shipped_texts(), LLAMA2.left, "<SPEECH> </SPEECH> [/INST]"]),
            model_writer=file,
            model_type="bpe",
            vocab_size=512,
            byte_fallback=True,
            normalization_rule_name="identity",
            remove_extra_whitespaces=False,
            minloglevel=2,
        )
    return path


@pytest.fixture(scope="session")
def released(tmp_path_factory, sentencepiece_file):
    """Factory of released checkpoints, converted: `.tensors`, `.file`, `.folder`, `.sizes`; options as for
    `random_checkpoint`."""
    from dataclasses import replace
    from types import SimpleNamespace

    import torch
    from released import Sizes, random_checkpoint

    from wavllm_cli.convert.from_fairseq import Heads, from_fairseq

    sizes = replace(Sizes(), vocab=512)
    heads = Heads(sizes.semantic_heads, sizes.acoustic_heads, sizes.heads)
    made = {}

    def make(**options):
        key = str(sorted(options.items(), key=str))
        if key not in made:
            folder = tmp_path_factory.mktemp("released")
            tensors = random_checkpoint(sizes, **options)
            torch.save({"model": tensors, "cfg": {"task": {"_name": "speechllm_task"}}}, folder / "final.pt")
            from_fairseq(folder / "final.pt", sentencepiece_file, folder / "model", heads, {})
            made[key] = SimpleNamespace(
                tensors=tensors, file=folder / "final.pt", folder=folder / "model", sizes=sizes, heads=heads
            )
        return made[key]

    return make
