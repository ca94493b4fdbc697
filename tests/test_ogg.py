from io import BytesIO

import numpy as np
import pytest
import soundfile

from wavllm_cli.data import ogg
from wavllm_cli.data.ogg import Pages


@pytest.fixture(scope="module", params=["VORBIS", "OPUS"])
def content(request):
    file = BytesIO()
    samples = 0.1 * np.random.default_rng(0).standard_normal(64_000)
    soundfile.write(file, samples, 16_000, format="OGG", subtype=request.param)
    return file.getvalue()


def scan(content: bytes) -> Pages:
    return ogg.scan(BytesIO(content))


def test_a_whole_file(content):
    assert scan(content) == Pages(gaps=0, is_cut=False, streams=False)
    assert scan(content + b"TAG" + bytes(125)).is_cut is False


def test_one_bit_or_a_stretch_in_the_midst_is_a_gap(content):
    half = len(content) // 2
    assert scan(content[:half] + bytes([content[half] ^ 1]) + content[half + 1 :]) == Pages(1, False, False)
    assert scan(content[:half] + content[half + 300 :]) == Pages(1, False, False)


def test_an_end_that_is_missing_is_no_gap(content):
    assert scan(content[:-10]) == Pages(0, True, False)
    assert scan(content[: content.rfind(b"OggS")]) == Pages(0, True, False)


def test_another_stream_behind_the_first_even_of_the_same_number(content):
    assert scan(content + content) == Pages(0, False, True)
