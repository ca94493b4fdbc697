"""Audio chat models of the real classes at toy sizes, with real processors, as folders that their own library saves."""

import json
from base64 import b64encode
from copy import deepcopy
from pathlib import Path

import torch
from transformers import (
    AudioFlamingo3Config,
    AudioFlamingo3ForConditionalGeneration,
    AudioFlamingo3Processor,
    GraniteSpeechConfig,
    GraniteSpeechFeatureExtractor,
    GraniteSpeechForConditionalGeneration,
    GraniteSpeechProcessor,
    Qwen2AudioConfig,
    Qwen2AudioForConditionalGeneration,
    Qwen2AudioProcessor,
    VoxtralConfig,
    VoxtralForConditionalGeneration,
    VoxtralProcessor,
    WhisperFeatureExtractor,
)

POSITIONS = 512
TEXT = {
    "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "initializer_range": 0.3, "max_position_embeddings": POSITIONS, "bos_token_id": 1,
    "eos_token_id": 2, "pad_token_id": 2,
}  # fmt: skip
MELS, WINDOW = 16, 2  # seconds that the Whisper-like encoders hear at once: 100 frames

# Messages of several parts, the clip always first; and messages that are one text.
PARTS = """{% for m in messages %}<|turn|>{{ m.role }}
{% for part in m.content if part.type == 'audio' %}<sound>{% endfor -%}
{% for part in m.content if part.type == 'text' %}{{ part.text }}{% endfor %}
{% endfor %}<|turn|>assistant
"""
ONE_TEXT = "{% for m in messages %}<|turn|>{{ m.role }}: {{ m.content }}\n{% endfor %}<|turn|>assistant: "


def qwen2_audio(tokenizer, _folder: Path):
    tokenizer = with_tokens(tokenizer, "<|AUDIO|>", "<|audio_bos|>", "<|audio_eos|>", "<|im_start|>", "<|im_end|>")
    encoder = {
        "d_model": 32, "encoder_layers": 2, "encoder_attention_heads": 2, "encoder_ffn_dim": 64, "init_std": 0.15,
        "num_mel_bins": MELS, "max_source_positions": 50 * WINDOW,
    }  # fmt: skip
    config = Qwen2AudioConfig(
        audio_config=encoder,
        text_config={"model_type": "qwen2", "vocab_size": len(tokenizer), **TEXT},
        audio_token_index=tokenizer.convert_tokens_to_ids("<|AUDIO|>"),
    )
    processor = Qwen2AudioProcessor(WhisperFeatureExtractor(MELS, chunk_length=WINDOW), tokenizer)
    return Qwen2AudioForConditionalGeneration(config), processor


def audio_flamingo_3(tokenizer, _folder: Path):
    """Hears up to three windows."""
    tokenizer = with_tokens(tokenizer, "<sound>", "<|turn|>")
    encoder = {
        "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64,
        "num_mel_bins": MELS, "max_source_positions": 50 * WINDOW, "initializer_range": 0.15,
    }  # fmt: skip
    config = AudioFlamingo3Config(
        audio_config=encoder,
        text_config={"model_type": "qwen2", "vocab_size": len(tokenizer), **TEXT},
        audio_token_id=tokenizer.convert_tokens_to_ids("<sound>"),
    )
    extractor = WhisperFeatureExtractor(MELS, chunk_length=WINDOW)
    processor = AudioFlamingo3Processor(extractor, tokenizer, chat_template=PARTS, max_audio_len=3 * WINDOW)
    return AudioFlamingo3ForConditionalGeneration(config), processor


def granite_speech(tokenizer, _folder: Path):
    """Its encoder has no mask, its template knows texts only."""
    tokenizer = with_tokens(tokenizer, "<|audio|>", "<|turn|>")
    encoder = {
        "input_dim": 160, "num_layers": 2, "hidden_dim": 32, "feedforward_mult": 2, "num_heads": 2, "dim_head": 16,
        "output_dim": 12, "context_size": 20, "max_pos_emb": 32, "conv_kernel_size": 5, "initializer_range": 0.15,
    }  # fmt: skip
    projector = {
        "model_type": "blip_2_qformer", "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2,
        "intermediate_size": 64, "encoder_hidden_size": 32, "vocab_size": 10,
    }  # fmt: skip
    config = GraniteSpeechConfig(
        text_config={"model_type": "granite", "vocab_size": len(tokenizer), **TEXT},
        encoder_config=encoder,
        projector_config=projector,
        audio_token_index=tokenizer.convert_tokens_to_ids("<|audio|>"),
        has_lora_adapter=False,
        initializer_range=0.3,
    )
    processor = GraniteSpeechProcessor(GraniteSpeechFeatureExtractor(), tokenizer, chat_template=ONE_TEXT)
    return GraniteSpeechForConditionalGeneration(config), processor


def voxtral(_, folder: Path):
    """Its tokenizer is mistral-common's, its windows have 30 s."""
    from transformers import MistralCommonBackend

    file = folder / "tekken.json"
    file.write_text(json.dumps(tekken()), encoding="utf-8")
    tokenizer = MistralCommonBackend(tokenizer_path=file)
    encoder = {
        "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 128,
        "num_mel_bins": MELS, "max_source_positions": 1500, "initializer_range": 0.15,
    }  # fmt: skip
    text = {"model_type": "llama", "vocab_size": len(tokenizer), "head_dim": 8, **TEXT}
    config = VoxtralConfig(audio_config=encoder, text_config=text, audio_token_id=24)
    processor = VoxtralProcessor(WhisperFeatureExtractor(MELS), tokenizer)
    return VoxtralForConditionalGeneration(config), processor


def tekken() -> dict:
    """A vocabulary of bytes, with the special tokens that the format asks for at their places."""
    names = "<unk> <s> </s> [INST] [/INST] [AVAILABLE_TOOLS] [/AVAILABLE_TOOLS] [TOOL_RESULTS] [/TOOL_RESULTS]"
    special = dict(
        enumerate([*names.split(), "[TOOL_CALLS]", "[IMG]", "<pad>", "[IMG_BREAK]", "[IMG_END]", "[PREFIX]"])
    )
    special |= {15: "[MIDDLE]", 16: "[SUFFIX]", 17: "[SYSTEM_PROMPT]", 18: "[/SYSTEM_PROMPT]", 19: "[TOOL_CONTENT]"}
    special |= {24: "[AUDIO]", 25: "[BEGIN_AUDIO]", 34: "[TRANSCRIBE]"}
    count = 40
    sizes = {"num_vocab_tokens": 256 + count, "default_vocab_size": 256 + count, "default_num_special_tokens": count}
    return {
        "config": {"pattern": r"\s+|\S+", "version": "v7", **sizes},
        "vocab": [
            {"rank": byte, "token_bytes": b64encode(bytes([byte])).decode(), "token_str": chr(byte)}
            for byte in range(256)
        ],
        "special_tokens": [
            {"rank": i, "token_str": special.get(i, f"<SPECIAL_{i}>"), "is_control": True} for i in range(count)
        ],
        "audio": {
            "sampling_rate": 16_000, "frame_rate": 12.5, "chunk_length_s": 30.0,
            "audio_encoding_config": {"num_mel_bins": MELS, "hop_length": 160, "window_size": 400},
        },
    }  # fmt: skip


FAMILIES = {
    "voxtral": voxtral,
    "qwen2_audio": qwen2_audio,
    "audio_flamingo_3": audio_flamingo_3,
    "granite_speech": granite_speech,
}


def save_audio_chat(family: str, tokenizer, folder: Path) -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model, processor = FAMILIES[family](tokenizer, folder)
    model.save_pretrained(folder)
    processor.save_pretrained(folder)


def with_tokens(tokenizer, *tokens: str):
    tokenizer = deepcopy(tokenizer)
    tokenizer.add_special_tokens({"additional_special_tokens": list(tokens)})
    return tokenizer
