"""How long a clip may be, said before anything is allocated: memory ends it, and the positions of the LLM.

Everything here is arithmetic over a configuration; the only look at the machine is `available_memory`. A sentence
lacks the name of its clip, which the caller puts before it.
"""

from collections.abc import Callable

import torch

from wavllm_cli.data.audio import SAMPLE_RATE
from wavllm_cli.data.memory import free_memory
from wavllm_cli.model.configuration_wavllm import WINDOWS_AT_ONCE, WavLLMConfig
from wavllm_cli.model.wavlm import BLOCK

FLOAT32 = 4  # bytes; what layers hold inside themselves, whatever the model's precision
CONVOLUTION_COPIES = 3  # output, normalised, activated
SCORE_COPIES = 4  # of a block of attention scores: bias, masked bias, scores, softmax
RESERVE = 2**28  # bytes left alone: buffers of the libraries and of the allocator
LONGEST = 24 * 3600  # seconds; where the search for the longest clip that fits ends


# --- memory ---


def available_memory(device: torch.device | str) -> int:
    """Bytes that may still be allocated: free memory of a GPU, or the least that host, container and ulimit leave."""
    device = torch.device(device)
    if device.type == "cuda":
        free, _total = torch.cuda.mem_get_info(device)
        return free + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    return free_memory()


def encoding_memory(config: WavLLMConfig, samples: int, dtype: torch.dtype, clips: int = 1) -> int:
    """Bytes above the model that encoding and prefilling takes at its peak, without gradients.

    Args:
        samples: of the longest clip.
        dtype: of the model's weights.
        clips: batched together.
    """
    if not samples:
        return 0
    samples = max(samples, config.audio_geometry.shortest)
    stages = (_convolutions, _transformer, _windows, _prefill)
    inputs = clips * samples * FLOAT32 + clips * _mel_bytes(config, samples)
    return RESERVE + inputs + max(stage(config, samples, dtype.itemsize, clips) for stage in stages)


def _mel_bytes(config: WavLLMConfig, samples: int) -> int:
    semantic = config.semantic_config
    windows = config.audio_geometry.windows(samples)
    return windows * semantic.num_mel_bins * 2 * semantic.max_source_positions * FLOAT32


def _convolutions(config: WavLLMConfig, samples: int, size: int, clips: int) -> int:
    """The first convolution on the waveform, by far the largest; wavlm-base takes clip after clip."""
    acoustic = config.acoustic_config
    kernel, stride = config.audio_geometry.acoustic_convs[0]
    samples, windowed = _window(config, samples)
    together = 1 if windowed or acoustic.feat_extract_norm == "group" else clips
    return CONVOLUTION_COPIES * together * acoustic.conv_dim[0] * ((samples - kernel) // stride + 1) * FLOAT32


def _transformer(config: WavLLMConfig, samples: int, size: int, clips: int) -> int:
    """All states of WavLM, which are summed in the end, one layer's inner width, and a block of attention scores.

    Of a clip in windows the sums of all, and all else of one window.
    """
    acoustic = config.acoustic_config
    sums = clips * config.audio_geometry.acoustic_frames(samples) * acoustic.hidden_size
    samples, windowed = _window(config, samples)
    clips, sums = (1, sums) if windowed else (clips, 0)
    frames = clips * config.audio_geometry.acoustic_frames(samples)
    states = (acoustic.num_hidden_layers + 4) * acoustic.hidden_size
    inner = 2 * acoustic.intermediate_size
    scores = acoustic.num_attention_heads * frames * config.audio_geometry.acoustic_frames(samples)
    least = acoustic.num_attention_heads * frames  # one query of each clip at least
    block = min(scores, max(BLOCK, least))
    return (sums + frames * (states + inner) + SCORE_COPIES * block) * FLOAT32


def _window(config: WavLLMConfig, samples: int) -> tuple[int, bool]:
    """Samples that the acoustic encoder takes in one piece, and whether the clip is longer."""
    window = config.acoustic_windows
    windowed = window is not None and samples > window.samples
    return (window.samples, True) if window and windowed else (samples, False)


def _windows(config: WavLLMConfig, samples: int, size: int, clips: int) -> int:
    """Whisper's windows, as many as are taken at once: residual, query, key, value, inner layer."""
    semantic = config.semantic_config
    windows = min(clips * config.audio_geometry.windows(samples), WINDOWS_AT_ONCE)
    frames = windows * semantic.max_source_positions
    return frames * (6 * semantic.d_model + 2 * semantic.encoder_ffn_dim) * FLOAT32


def _prefill(config: WavLLMConfig, samples: int, size: int, clips: int) -> int:
    """The LLM's keys and values of the speech tokens, and one layer's inner width."""
    text = config.text_config
    heads = getattr(text, "num_key_value_heads", None) or text.num_attention_heads
    head = getattr(text, "head_dim", None) or text.hidden_size // text.num_attention_heads
    cache = 2 * text.num_hidden_layers * heads * head
    inner = 6 * text.hidden_size + 3 * text.intermediate_size
    return clips * config.audio_geometry.tokens(samples) * (cache + inner) * size


def longest_that_fits(config: WavLLMConfig, dtype: torch.dtype, memory: int) -> int:
    """Whole seconds of the longest clip that can be encoded alone in `memory` bytes."""
    return _longest(lambda seconds: encoding_memory(config, seconds * SAMPLE_RATE, dtype) <= memory)


def memory_problem(config: WavLLMConfig, samples: int, dtype: torch.dtype, memory: int) -> str | None:
    """Why a clip cannot be encoded in `memory` bytes, as a sentence with the longest that can; None if it can."""
    if encoding_memory(config, samples, dtype) <= memory:
        return None
    return (
        f"the clip is {_seconds(samples)} long; with this model and {memory / 2**30:.1f} GiB of free memory "
        f"the longest that fits is {longest_that_fits(config, dtype, memory):,} s"
    )


# --- positions ---


def positions(config: WavLLMConfig) -> int | None:
    """Positions that the LLM was made for; None where its configuration sets no end."""
    return getattr(config.text_config, "max_position_embeddings", None)


def position_problem(config: WavLLMConfig, samples: int, text_tokens: int, new_tokens: int = 1) -> str | None:
    """Why a clip with its instruction has no room in the LLM, as a sentence with the longest that has; else None.

    Args:
        samples: 0 for text alone.
        text_tokens: everything in the prompt that is not speech: template, instruction, BOS.
        new_tokens: of the answer, as many as must have room.
    """
    limit = positions(config)
    speech = config.audio_geometry.tokens(max(samples, config.audio_geometry.shortest)) if samples else 0
    needed = text_tokens + speech + new_tokens
    if limit is None or needed <= limit:
        return None
    if not samples:
        return (
            f"its instruction of {text_tokens:,} tokens and an answer of {new_tokens:,} need {needed:,} positions, "
            f"the language model has {limit:,}"
        )
    left = limit - text_tokens - new_tokens
    longest = _longest(lambda seconds: config.audio_geometry.tokens(seconds * SAMPLE_RATE) <= left)
    return (
        f"{_seconds(samples)} of audio ({speech:,} tokens), {text_tokens:,} tokens of text and an answer of "
        f"{new_tokens:,} need {needed:,} positions, the language model has {limit:,}: "
        f"at most {longest:,} s of audio with this instruction"
    )


def _seconds(samples: int) -> str:
    seconds = samples / SAMPLE_RATE
    return f"{seconds:,.0f} s" if seconds >= 10 else f"{seconds:.1f} s"


def _longest(fits: Callable[[int], bool]) -> int:
    """The largest number of whole seconds that fits, found by halving; 0 if not even one does."""
    low, high = 0, LONGEST
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if fits(middle) else (low, middle - 1)
    return low
