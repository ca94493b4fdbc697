import io
import os

import numpy as np
import pytest
import soundfile

from wavllm_cli.data import flac
from wavllm_cli.data.audio import AudioInfo, audio_info
from wavllm_cli.errors import AudioError


@pytest.fixture
def written(tmp_path):
    def write(frames, rate=16_000, channels=1, name="a.flac", quiet=False):
        samples = np.random.default_rng(0).normal(0, 0 if quiet else 0.1, (frames, channels))
        soundfile.write(tmp_path / name, samples, rate)
        return tmp_path / name

    return write


@pytest.mark.parametrize("frames", [1, 191, 4096, 4097, 16_000, 70_000, 4096 * 130])
@pytest.mark.parametrize("quiet", [False, True])
def test_what_is_told_is_what_is_there(written, frames, quiet):
    assert flac.told(written(frames, quiet=quiet)) == (frames, 16_000, 1)


def test_rates_and_channels(written):
    assert flac.told(written(5000, 44_100, 2)) == (5000, 44_100, 2)
    assert flac.told(written(5000, 12_345)) == (5000, 12_345, 1)
    assert audio_info(written(5000, 8000, 3)) == AudioInfo(8000, 3, 0.625)


def test_where_anything_else_stands_the_decoder_is_asked(written, tmp_path):
    path = written(20_000)
    whole = path.read_bytes()
    for name, content in {
        "cut": whole[:-1],
        "cut at a frame": whole[: len(whole) // 2],
        "longer": whole + b"\0",
        "claims more": whole[:21] + bytes([whole[21] & 0xF0]) + (20_001).to_bytes(4, "big") + whole[26:],
        "length unknown": whole[:21] + bytes([whole[21] & 0xF0]) + bytes(4) + whole[26:],
        "damaged": whole[:-100] + bytes([whole[-100] ^ 1]) + whole[-99:],
        "id3": b"ID3" + whole,
        "head": whole[:30],
        "empty": b"",
    }.items():
        path.write_bytes(content)
        assert flac.told(path) is None, name
    os.mkfifo(tmp_path / "pipe.flac")
    assert flac.told(tmp_path / "pipe.flac") is None and flac.told(tmp_path / "gone.flac") is None
    path.write_bytes(whole[: len(whole) // 4])
    with pytest.raises(AudioError, match="cut off"):
        audio_info(path)


def test_checksums_of_the_polynomials():
    assert flac.crc8(b"123456789") == 0xF4 and flac.crc16(b"123456789") == 0xFEE8  # CRC-8/SMBUS, CRC-16/UMTS


def test_real_files_are_as_long_as_the_decoder_finds(shared_data):
    for path in sorted((shared_data / "real").rglob("*.flac"))[:20]:
        samples, rate = soundfile.read(io.BytesIO(path.read_bytes()))
        assert flac.told(path) in ((len(samples), rate, 1), None)
