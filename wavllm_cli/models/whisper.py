"""A Whisper in CTranslate2's files as a Hugging Face folder: model, tokenizer, feature extractor."""

import re
from collections.abc import Iterator, Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers import (
    AddedToken,
    GenerationConfig,
    WhisperConfig,
    WhisperFeatureExtractor,
    WhisperForConditionalGeneration,
    WhisperTokenizer,
)
from transformers.models.whisper.tokenization_whisper import LANGUAGES, TASK_IDS

from wavllm_cli.data.origin import read_json
from wavllm_cli.errors import WavLLMError
from wavllm_cli.models.ctranslate2 import read_model
from wavllm_cli.models.folder import write_model

ARCHITECTURE = "WhisperSpec"
END = "<|endoftext|>"
TIMESTAMPS = [f"<|{step * 0.02:.2f}|>" for step in range(1501)]
LAST_FIRST_TIMESTAMP = 50  # a transcript's first words begin within a second (50 steps), as in OpenAI's decoding

# Modules by their names there; joined ones hold several of ours, one below the other.
MODULES = {
    "conv1": ["conv1"],
    "conv2": ["conv2"],
    "embeddings": ["embed_tokens"],
    "position_encodings": ["embed_positions"],
    "layer_norm": ["layer_norm"],
    "self_attention/layer_norm": ["self_attn_layer_norm"],
    "self_attention/linear_0": ["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"],
    "self_attention/linear_1": ["self_attn.out_proj"],
    "attention/layer_norm": ["encoder_attn_layer_norm"],
    "attention/linear_0": ["encoder_attn.q_proj"],
    "attention/linear_1": ["encoder_attn.k_proj", "encoder_attn.v_proj"],
    "attention/linear_2": ["encoder_attn.out_proj"],
    "ffn/layer_norm": ["final_layer_norm"],
    "ffn/linear_0": ["fc1"],
    "ffn/linear_1": ["fc2"],
}
VALUES = {"weight": "weight", "bias": "bias", "gamma": "weight", "beta": "bias", "encodings": "weight"}
NAME = re.compile(r"(encoder|decoder)/(?:layer_(\d+)/)?(.+)/(\w+)")


def convert_whisper(source: Path, folder: Path) -> None:
    """Write the folder of a Whisper whose `model.bin`, `config.json` and `tokenizer.json` lie in `source`.

    Raises:
        WavLLMError: the files are damaged, or are not those of a Whisper.
    """
    stored, aliases = read_model(source / "model.bin", ARCHITECTURE)
    if aliases.get("decoder/projection/weight") != "decoder/embeddings/weight":
        raise WavLLMError(f"{source / 'model.bin'} has an output layer of its own, which no Whisper has.")
    tensors = dict(_renamed(stored))
    tokenizer = _tokenizer(source / "tokenizer.json")
    config = _config(stored, tensors)
    generation = _generation(tokenizer, read_json(source / "config.json"), config.max_target_positions)
    for name in ("bos_token_id", "eos_token_id", "pad_token_id", "decoder_start_token_id"):
        setattr(config, name, getattr(generation, name))
    write_model(WhisperForConditionalGeneration, config, tensors, generation, folder)
    WhisperFeatureExtractor(feature_size=config.num_mel_bins).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    (folder / "normalizer.json").write_text(_spellings(), encoding="utf-8")


# --- tensors ---


def _renamed(stored: Mapping[str, np.ndarray]) -> Iterator[tuple[str, Tensor]]:
    """Everything but the settings, which are numbers and lists of heads, under the names of transformers."""
    half = all(values.dtype != np.float32 for values in stored.values())
    for name, values in stored.items():
        if values.dtype.kind != "f":
            continue
        part, layer, module, kind = match.groups() if (match := NAME.fullmatch(name)) else (None, None, "", "")
        if module not in MODULES or kind not in VALUES:
            raise WavLLMError(f"the tensor {name} is none of a Whisper's.")
        home = f"model.{part}.layers.{layer}" if layer else f"model.{part}"
        names = MODULES[module]
        for own, piece in zip(names, np.split(values, len(names)), strict=True):
            if own.endswith("k_proj") and kind == "bias":
                _require_zero(name, piece)  # a Whisper's keys have none; joined with the others, they need one
                continue
            tensor = torch.from_numpy(piece.copy())
            yield f"{home}.{own}.{VALUES[kind]}", tensor if half else tensor.float()


def _require_zero(name: str, values: np.ndarray) -> None:
    if np.any(values):
        raise WavLLMError(f"{name} gives the keys a bias, which no Whisper has.")


def _config(stored: Mapping[str, np.ndarray], tensors: Mapping[str, Tensor]) -> WhisperConfig:
    """The sizes, as the tensors show them."""
    sizes: dict[str, Any] = {}
    for part in ("encoder", "decoder"):
        layers = {match[1] for name in tensors if (match := re.search(rf"{part}\.layers\.(\d+)\.", name))}
        sizes[f"{part}_layers"] = len(layers)
        sizes[f"{part}_attention_heads"] = int(stored[f"{part}/num_heads"])
        sizes[f"{part}_ffn_dim"] = len(tensors[f"model.{part}.layers.0.fc1.weight"])
    vocabulary, width = tensors["model.decoder.embed_tokens.weight"].shape
    return WhisperConfig(
        vocab_size=vocabulary,
        d_model=width,
        num_hidden_layers=sizes["encoder_layers"],
        num_mel_bins=tensors["model.encoder.conv1.weight"].shape[1],
        max_source_positions=len(tensors["model.encoder.embed_positions.weight"]),
        max_target_positions=len(tensors["model.decoder.embed_positions.weight"]),
        dtype=tensors["model.decoder.embed_tokens.weight"].dtype,
        **sizes,
    )


# --- tokens ---


def _tokenizer(path: Path) -> WhisperTokenizer:
    """The tokenizer, with a token for each timestamp: files of English models end before them, their networks do not.

    Raises:
        WavLLMError: it is not a Whisper's.
    """
    special = [token["content"] for token in read_json(path)["added_tokens"] if token["special"]]
    tokenizer = WhisperTokenizer(
        tokenizer_file=str(path),
        pad_token=END,
        additional_special_tokens=[name for name in special if name != END],
    )
    tokenizer.add_tokens([AddedToken(name, normalized=True, special=False) for name in TIMESTAMPS])
    if tokenizer.convert_tokens_to_ids(TIMESTAMPS[0]) != max(tokenizer.all_special_ids) + 1:
        raise WavLLMError(f"{path} is no Whisper's tokenizer: timestamps do not follow its special tokens.")
    return tokenizer


def _generation(tokenizer: WhisperTokenizer, settings: Mapping[str, Any], positions: int) -> GenerationConfig:
    """What decoding has to know: which token means what, which are never said, which heads follow the time.

    Args:
        settings: CTranslate2's `config.json`.
        positions: tokens that the decoder has room for.
    """
    tokens = tokenizer.get_vocab()
    end = tokens[END]
    # English models have GPT-2's vocabulary, of which this token is a part; the others' comes before it.
    multilingual = end >= tokenizer.backend_tokenizer.get_vocab_size(with_added_tokens=False)
    more = {
        "task": "transcribe",  # without a task among its first tokens, a multilingual model loses its way
        "lang_to_id": {name: tokens[name] for name in map("<|{}|>".format, LANGUAGES) if name in tokens},
        "task_to_id": {task: tokens[f"<|{task}|>"] for task in TASK_IDS},
    }
    return GenerationConfig(
        max_length=positions,
        bos_token_id=end,
        eos_token_id=end,
        pad_token_id=end,
        decoder_start_token_id=tokens["<|startoftranscript|>"],
        prev_sot_token_id=tokens["<|startofprev|>"],
        no_timestamps_token_id=tokens["<|notimestamps|>"],
        max_initial_timestamp_index=LAST_FIRST_TIMESTAMP,
        return_timestamps=False,
        suppress_tokens=settings["suppress_ids"],
        begin_suppress_tokens=settings["suppress_ids_begin"],
        alignment_heads=settings["alignment_heads"],
        is_multilingual=multilingual,
        **(more if multilingual else {}),
    )


def _spellings() -> str:
    """American spellings of British words, which the normaliser of transformers reads beside the tokenizer."""
    return files("whisper_normalizer").joinpath("normalizers", "english.json").read_text(encoding="utf-8")
