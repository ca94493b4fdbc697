"""A Whisper of transformers written as CTranslate2 keeps it, independent of our reader."""

import json
import struct
from pathlib import Path

import numpy as np
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors

CODES = {"float32": 0, "int8": 1, "int16": 2, "float16": 4}
SPECIAL = ["<|startoftranscript|>", "<|en|>", "<|de|>", "<|translate|>", "<|transcribe|>", "<|startoflm|>",
           "<|startofprev|>", "<|nospeech|>", "<|notimestamps|>"]  # fmt: skip
END = "<|endoftext|>"
TIMESTAMPS = 1501


def packed(tensors: dict[str, np.ndarray], aliases: dict[str, str], architecture: str = "WhisperSpec") -> bytes:
    """The bytes of a `model.bin`, version 6."""

    def name(text: str) -> bytes:
        return struct.pack("<H", len(text) + 1) + text.encode() + b"\0"

    content = struct.pack("<I", 6) + name(architecture) + struct.pack("<II", 3, len(tensors))
    for key, values in tensors.items():
        shape = struct.pack(f"<B{values.ndim}I", values.ndim, *values.shape)
        content += name(key) + shape + struct.pack("<BI", CODES[values.dtype.name], values.nbytes) + values.tobytes()
    content += struct.pack("<I", len(aliases))
    return content + b"".join(name(alias) + name(key) for alias, key in aliases.items())


def tensors_of(model) -> dict[str, np.ndarray]:
    """Under CTranslate2's names, with queries, keys and values joined."""
    state = {key.removeprefix("model."): value.numpy() for key, value in model.state_dict().items()}
    found: dict[str, np.ndarray] = {}

    def norm(there: str, here: str) -> None:
        found[f"{there}/gamma"], found[f"{there}/beta"] = state[f"{here}.weight"], state[f"{here}.bias"]

    def linear(there: str, *here: str) -> None:
        found[f"{there}/weight"] = np.concatenate([state[f"{name}.weight"] for name in here])
        biases = [state.get(f"{name}.bias", np.zeros_like(state[f"{name}.weight"][:, 0])) for name in here]
        found[f"{there}/bias"] = np.concatenate(biases)

    for part, layers in (("encoder", model.config.encoder_layers), ("decoder", model.config.decoder_layers)):
        found[f"{part}/num_heads"] = np.array(getattr(model.config, f"{part}_attention_heads"), np.int16)
        found[f"{part}/position_encodings/encodings"] = state[f"{part}.embed_positions.weight"]
        norm(f"{part}/layer_norm", f"{part}.layer_norm")
        for n in range(layers):
            there, here = f"{part}/layer_{n}", f"{part}.layers.{n}"
            norm(f"{there}/self_attention/layer_norm", f"{here}.self_attn_layer_norm")
            linear(f"{there}/self_attention/linear_0", *(f"{here}.self_attn.{x}_proj" for x in "qkv"))
            linear(f"{there}/self_attention/linear_1", f"{here}.self_attn.out_proj")
            norm(f"{there}/ffn/layer_norm", f"{here}.final_layer_norm")
            linear(f"{there}/ffn/linear_0", f"{here}.fc1")
            linear(f"{there}/ffn/linear_1", f"{here}.fc2")
            if part == "decoder":
                norm(f"{there}/attention/layer_norm", f"{here}.encoder_attn_layer_norm")
                linear(f"{there}/attention/linear_0", f"{here}.encoder_attn.q_proj")
                linear(f"{there}/attention/linear_1", *(f"{here}.encoder_attn.{x}_proj" for x in "kv"))
                linear(f"{there}/attention/linear_2", f"{here}.encoder_attn.out_proj")
    linear("encoder/conv1", "encoder.conv1")
    linear("encoder/conv2", "encoder.conv2")
    found["encoder/conv1/bias"], found["encoder/conv2/bias"] = state["encoder.conv1.bias"], state["encoder.conv2.bias"]
    found["decoder/embeddings/weight"] = state["decoder.embed_tokens.weight"]
    found["decoder/alignment_layer"] = np.array(-1, np.int16)
    return found


def quantised(tensors: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Matrices as int8 with a scale for each row."""
    found = {}
    for name, values in tensors.items():
        if values.ndim == 2 and name.endswith("/weight"):
            scale = 127 / np.maximum(np.abs(values.astype(np.float32)).max(axis=1), 1e-3)
            found[name], found[f"{name}_scale"] = np.rint(values * scale[:, None]).astype(np.int8), scale
        else:
            found[name] = values
    return found


def write(folder: Path, model, english: bool = False, int8: bool = False, **changes) -> Path:
    """`model.bin`, `tokenizer.json` and `config.json` as a package brings them.

    Args:
        english: as of an English model: without names for the timestamps, and with the end within the vocabulary.
        changes: tensors in place of the model's; None leaves one out.
    """
    folder.mkdir(exist_ok=True)
    tensors = {name: values for name, values in (tensors_of(model) | changes).items() if values is not None}
    aliases = {"decoder/projection/weight": "decoder/embeddings/weight"}
    (folder / "model.bin").write_bytes(packed(quantised(tensors) if int8 else tensors, aliases))
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {letter: n for n, letter in enumerate([*letters, *([END] if english else [])])}
    tokenizer = Tokenizer(models.BPE(vocabulary, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([END, *SPECIAL])
    if not english:
        names = [f"<|{step * 0.02:.2f}|>" for step in range(TIMESTAMPS)]
        tokenizer.add_tokens([AddedToken(name, normalized=True) for name in names])
    start, last = (tokenizer.token_to_id(name) for name in ("<|startoftranscript|>", "<|notimestamps|>"))
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{SPECIAL[0]} {SPECIAL[-1]} $A {END}",
        special_tokens=[(SPECIAL[0], start), (SPECIAL[-1], last), (END, tokenizer.token_to_id(END))],
    )
    tokenizer.save(str(folder / "tokenizer.json"))
    settings = {"suppress_ids": [1, 2, start], "suppress_ids_begin": [0], "alignment_heads": [[0, 1]]}
    (folder / "config.json").write_text(json.dumps(settings))
    return folder
