"""Audio chat models of the real classes at toy sizes, with real processors, as folders that their own library saves."""

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


def qwen2_audio(tokenizer):
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


def audio_flamingo_3(tokenizer):
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


def granite_speech(tokenizer):
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


FAMILIES = {"qwen2_audio": qwen2_audio, "audio_flamingo_3": audio_flamingo_3, "granite_speech": granite_speech}


def save_audio_chat(family: str, tokenizer, folder: Path) -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model, processor = FAMILIES[family](tokenizer)
    model.save_pretrained(folder)
    processor.save_pretrained(folder)


def with_tokens(tokenizer, *tokens: str):
    tokenizer = deepcopy(tokenizer)
    tokenizer.add_special_tokens({"additional_special_tokens": list(tokens)})
    return tokenizer
