import re

import pytest
import torch

from wavllm_cli.model import limits
from wavllm_cli.model.configuration_wavllm import WavLLMConfig

GIB = 2**30


@pytest.fixture(scope="module")
def published():
    return WavLLMConfig()


def seconds(n: float) -> int:
    return round(n * 16_000)


def test_memory_grows_with_the_length_not_its_square(published):
    minute, ten, hour = (limits.encoding_memory(published, seconds(n), torch.bfloat16) for n in (60, 600, 3600))
    assert 1 < minute / GIB < 3 and 2 < ten / minute < 5 and hour < 6 * ten
    whole = WavLLMConfig(acoustic_window=None)
    assert 7 < limits.encoding_memory(whole, seconds(600), torch.bfloat16) / minute <= 10
    assert limits.encoding_memory(published, 0, torch.bfloat16) == 0
    assert limits.encoding_memory(published, 1, torch.bfloat16) > 0  # padded to the shortest clip
    assert limits.encoding_memory(published, seconds(60), torch.float32, clips=4) > 2 * minute


def test_the_estimate_covers_what_the_convolutions_take(published):
    """Measured on a CPU in float32, WavLM-base: 0.94 GiB for 60 s above the model."""
    assert 0.94 * GIB < limits.encoding_memory(published, seconds(60), torch.float32) < 3 * 0.94 * GIB


@pytest.mark.parametrize("memory", [2 * GIB, 17 * GIB])
def test_the_longest_clip_that_fits_is_named(published, memory):
    longest = limits.longest_that_fits(published, torch.bfloat16, memory)
    assert limits.memory_problem(published, seconds(longest), torch.bfloat16, memory) is None
    sentence = limits.memory_problem(published, seconds(longest + 1), torch.bfloat16, memory)
    assert sentence == (
        f"the clip is {longest + 1:,} s long; with this model and {memory / GIB:.1f} GiB of free memory "
        f"the longest that fits is {longest:,} s"
    )
    assert limits.longest_that_fits(published, torch.bfloat16, 0) == 0


def test_a_short_clip_has_a_length(published):
    sentence = limits.memory_problem(published, 8000, torch.float32, 0)
    assert sentence.startswith("the clip is 0.5 s long; ")


def test_positions_end_a_clip_with_its_instruction(published):
    """LLaMA-2 has 4,096; a second is 12.5 speech tokens."""
    published.text_config.max_position_embeddings = 4096
    sentence = limits.position_problem(published, seconds(400), 100, new_tokens=12)
    assert sentence.startswith("400 s of audio (5,000 tokens), 100 tokens of text and an answer of 12 need 5,112 ")
    assert "the language model has 4,096: at most " in sentence
    longest = int(re.search(r"at most (\d+) s of audio with this instruction$", sentence)[1])
    assert 315 <= longest <= 320
    assert limits.position_problem(published, seconds(longest), 100, new_tokens=12) is None
    assert limits.position_problem(published, seconds(longest + 1), 100, new_tokens=12)
    assert limits.position_problem(published, 0, 4096).startswith("its instruction of 4,096 tokens and an answer of 1 ")
    assert limits.position_problem(published, 0, 4095) is None


def test_no_end_of_positions_no_problem(published, monkeypatch):
    monkeypatch.setattr(limits, "positions", lambda _: None)
    assert limits.position_problem(published, seconds(10_000), 10**6) is None
