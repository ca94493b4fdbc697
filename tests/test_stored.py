"""What a checkpoint holds is compared with its configuration before anything is allocated."""

import json
import os
import shutil
import struct
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModel, AutoProcessor

from wavllm_cli.data.origin import locate
from wavllm_cli.errors import UsageError, WavLLMError
from wavllm_cli.model.backbones import load_backbone
from wavllm_cli.model.load import described_config, load_model
from wavllm_cli.model.modeling_wavllm import WavLLMForConditionalGeneration
from wavllm_cli.model.processing_wavllm import WavLLMProcessor


@pytest.fixture(scope="module")
def saved(tiny_model, tiny_processor, tmp_path_factory):
    folder = tmp_path_factory.mktemp("stored") / "model"
    tiny_model().save_pretrained(folder)
    tiny_processor.save_pretrained(folder)
    return folder


@pytest.fixture
def folder(saved, tmp_path):
    return shutil.copytree(saved, tmp_path / "model")


def edit(file: Path, **keys) -> None:
    """Change keys; `a__b` is b in the section a."""
    content = json.loads(file.read_text())
    for key, value in keys.items():
        *sections, last = key.split("__")
        target = content
        for section in sections:
            target = target[section]
        target[last] = value
    file.write_text(json.dumps(content))


def refused(work, error, sentence: str) -> None:
    with pytest.raises(error, match=sentence) as caught:
        work()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("keys", "sentence"),
    [
        (
            {"text_config__hidden_size": 10**7},
            r"35 of another shape \(fusion\.weight \(32, 48\), expected \(10000000, 48\)",
        ),
        (
            {"acoustic_config__hidden_size": 10**11},
            r"asks for hidden_size = 100,000,000,000, its weights hold 161 tens",
        ),
        ({"text_config__num_hidden_layers": 10**8}, r"asks for num_hidden_layers = 100,000,000, its weights hold"),
        ({"text_config__num_hidden_layers": 3}, r"17 missing \(language_model\.model\.layers\.2\."),
        ({"text_config__num_hidden_layers": 1}, r"17 surplus \(language_model\.model\.layers\.1\."),
        ({"prompt_adapter_width": None}, r"6 surplus \(prompt_adapter\."),
        (
            {"semantic_config__max_source_positions": 10**6},
            r"embed_positions\.weight \(100, 32\), expected \(1000000, 32",
        ),
        (
            {"text_config__num_attention_heads": 0},
            "its config.json describes no possible model: integer modulo by zero",
        ),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_a_configuration_that_the_weights_do_not_fit(folder, keys, sentence):
    edit(folder / "config.json", **keys)
    refused(lambda: described_config(str(folder)), WavLLMError, sentence)


def test_it_is_looked_at_wherever_a_model_is_loaded(folder):
    edit(folder / "config.json", text_config__hidden_size=10**7)
    for load in (load_model, WavLLMForConditionalGeneration.from_pretrained, AutoModel.from_pretrained):
        refused(lambda: load(str(folder)), WavLLMError, "35 of another shape")  # noqa: B023


@pytest.mark.parametrize(
    ("keys", "sentence"),
    [
        (
            {"feature_extractor__feature_size": 10**7},
            r"processor_config\.json has feature_size 10000000: a whole number",
        ),
        ({"feature_extractor__n_fft": 10**9}, "has n_fft 1000000000"),
        ({"feature_extractor__chunk_length": "x"}, "has chunk_length 'x'"),
        ({"feature_extractor__chunk_length": 3}, "does not fit its config.json in clips"),
        ({"audio_token_id": 5}, "does not fit its config.json in the placeholder: 5 and 267"),
    ],
)
def test_a_processor_that_the_network_does_not_fit(folder, keys, sentence):
    edit(folder / "processor_config.json", **keys)
    refused(lambda: load_model(str(folder)), WavLLMError, sentence)


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"num_beams": 1_000_000}, r"has num_beams 1,000,000: \d+ is the limit"),
        ({"num_beams": 8, "num_return_sequences": 5}, "has num_return_sequences 5: 1 is the limit"),
    ],
    ids=str,
)
def test_decoding_beyond_what_a_command_may_ask_for(folder, keys, said):
    edit(folder / "generation_config.json", **keys)
    with pytest.raises(UsageError, match=said):
        load_model(str(folder))


def test_decoding_that_would_be_fetched(folder):
    edit(folder / "generation_config.json", penalty_alpha=0.6, top_k=4)
    refused(
        lambda: load_model(str(folder)), UsageError, "asks for contrastive search, .* with code from the hub: remove"
    )


WEIGHTS = "model.safetensors"


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (lambda content: b"", r"model\.safetensors is damaged \(.*header too small\): copy or download"),
        (lambda content: content[:5000], r"is damaged \(.*invalid header length\)"),
        (lambda content: content[:-5000], r"is damaged \(.*\)"),
        (lambda content: struct.pack("<Q", 2**60) + content[8:], r"is damaged \(.*header too large\)"),
        (
            lambda content: b"version https://git-lfs.github.com/spec/v1\n",
            r"is only a Git LFS pointer, .*`git lfs pull`",
        ),
    ],
)
def test_damaged_weights_are_one_sentence(folder, damage, sentence):
    (folder / WEIGHTS).write_bytes(damage((folder / WEIGHTS).read_bytes()))
    refused(lambda: load_model(str(folder)), WavLLMError, sentence)


def test_weights_that_are_not_there(folder):
    (folder / WEIGHTS).unlink()
    refused(lambda: load_model(str(folder)), WavLLMError, r"has no weights: model\.safetensors is missing")
    index = folder / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"a": "../other.safetensors"}}))
    refused(lambda: load_model(str(folder)), UsageError, r"\.\./other\.safetensors, which lies outside of its folder")
    index.write_text(json.dumps({"weight_map": {"a": "model-1.safetensors"}}))
    refused(lambda: load_model(str(folder)), WavLLMError, r"is incomplete: model-1\.safetensors, which .* is missing")


TOKENS = """
from pathlib import Path
from transformers import PreTrainedTokenizerFast

Path("ran").mkdir()


class Tokens(PreTrainedTokenizerFast):
    pass
"""


def test_code_in_a_folder_runs_only_where_its_author_is_trusted(folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("transformers.dynamic_module_utils.HF_MODULES_CACHE", str(tmp_path / "modules"))
    monkeypatch.syspath_prepend(str(tmp_path / "modules"))
    monkeypatch.setattr("builtins.input", lambda _: "y")
    (folder / "mine.py").write_text(TOKENS)
    names = {"auto_map": {"AutoTokenizer": [None, "mine.Tokens"]}, "tokenizer_class": "Tokens"}
    edit(folder / "tokenizer_config.json", **names)
    refused(lambda: load_model(str(folder)), UsageError, r"names Python code of its own \(mine\.Tokens\)")
    for loader in (WavLLMProcessor, AutoProcessor):
        refused(lambda: loader.from_pretrained(folder), UsageError, "names Python code of its own")  # noqa: B023
    assert not (tmp_path / "ran").exists()
    _, processor = load_model(str(folder), trust=True)
    assert (tmp_path / "ran").exists() and type(processor.tokenizer).__name__ == "Tokens"


# --- pickles ---


class Program:
    def __reduce__(self):
        return os.mkdir, ("ran",)


def test_pickled_weights(folder, backbones, tmp_path, monkeypatch):
    """Of a model of ours never; of a backbone, whose author we do not choose, if they are tensors and nothing else."""
    monkeypatch.chdir(tmp_path)
    tensors = load_file(folder / WEIGHTS)
    (folder / WEIGHTS).unlink()
    torch.save(tensors, folder / "pytorch_model.bin")
    refused(
        lambda: load_model(str(folder)), UsageError, r"holds pickled weights \(pytorch_model\.bin\) .* can run code"
    )
    llm = shutil.copytree(backbones["language_model"]["path"], tmp_path / "llm")
    tensors = load_file(llm / WEIGHTS)
    (llm / WEIGHTS).unlink()
    torch.save(tensors, llm / "pytorch_model.bin")
    loaded = load_backbone("language_model", locate(str(llm)))
    assert torch.equal(loaded.lm_head.weight, tensors["lm_head.weight"])
    torch.save(tensors | {"x": Program()}, llm / "pytorch_model.bin")
    refused(
        lambda: load_backbone("language_model", locate(str(llm))), UsageError, r"Python objects among them, .* run code"
    )
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("part", "keys", "sentence"),
    [
        (
            "language_model",
            {"hidden_size": 10**7},
            r"asks for model\.embed_tokens\.weight \(267, 10000000\), its weights",
        ),
        ("language_model", {"num_hidden_layers": 10**8}, r"asks for num_hidden_layers = 100,000,000"),
        (
            "semantic_encoder",
            {"d_model": 10**6},
            r"asks for conv1\.weight \(1000000, 16, 3\), its weights hold \(32, 16",
        ),
        (
            "acoustic_encoder",
            {"hidden_size": 10**7},
            r"asks for masked_spec_embed \(10000000,\), its weights hold \(32,",
        ),
        ("semantic_encoder", {"model_type": "llama"}, r"it is a 'llama' model, not a 'whisper'"),
    ],
)
def test_a_backbones_configuration_that_its_weights_do_not_fit(backbones, tmp_path, part, keys, sentence):
    folder = shutil.copytree(backbones[part]["path"], tmp_path / "part")
    edit(folder / "config.json", **keys)
    refused(
        lambda: load_backbone(part, locate(str(folder))),
        WavLLMError,
        rf"^The {part} '.*' cannot be loaded: .*{sentence}",
    )


def test_weights_get_the_umasks_mode(saved):
    modes = {file.stat().st_mode & 0o777 for file in saved.iterdir()}
    assert len(modes) == 1
