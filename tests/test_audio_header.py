"""Sizes that were never filled in, are absurd, or belong to a file that is cut off: what can be decoded counts."""

import struct
from contextlib import suppress
from io import BytesIO

import numpy as np
import pytest
import soundfile

from wavllm_cli.data.audio import audio_info, decode_audio, load
from wavllm_cli.data.audio_header import inspect
from wavllm_cli.errors import AudioError

RATE, FRAMES = 16_000, 32_000
BYTES = 2 * FRAMES
FORMATS = {"wav": "WAV", "rf64": "RF64", "w64": "W64", "aiff": "AIFF", "au": "AU", "caf": "CAF", "flac": "FLAC",
           "sph": "NIST", "ogg": "OGG", "mp3": "MP3"}  # fmt: skip


@pytest.fixture(scope="module")
def good():
    """Two seconds of noise as 16-bit samples, by format."""
    samples = (0.1 * np.random.default_rng(0).standard_normal(FRAMES)).astype(np.float32)
    contents = {}
    for suffix, kind in FORMATS.items():
        file = BytesIO()
        soundfile.write(file, samples, RATE, format=kind, subtype=None if kind in ("OGG", "MP3") else "PCM_16")
        contents[suffix] = file.getvalue()
    return contents


def changed(content: bytes, at: int, new: bytes) -> bytes:
    return content[:at] + new + content[at + len(new) :]


def sized(good, suffix: str, size: int) -> bytes:
    """The format with another size in front of its audio."""
    content = good[suffix]
    data = content.find(b"SSND" if suffix == "aiff" else b"data")
    if suffix == "au":
        return changed(content, 8, struct.pack(">I", size % 2**32))
    if suffix == "rf64":
        return changed(content, 28, struct.pack("<q", size))
    if suffix == "w64":
        return changed(content, data + 16, struct.pack("<q", size))
    if suffix == "caf":
        return changed(content, data + 4, struct.pack(">q", size))
    return changed(content, data + 4, struct.pack("<I" if suffix == "wav" else ">I", size % 2**32))


def flac(good, samples: int) -> bytes:
    """The FLAC with another number of samples in its header."""
    rest = int.from_bytes(good["flac"][18:26], "big") >> 36 << 36
    return changed(good["flac"], 18, (rest | samples).to_bytes(8, "big"))


def seconds(path, content: bytes) -> tuple[float, list[str]]:
    """Measured and decoded durations agree; and what is noted."""
    path.write_bytes(content)
    samples, notes = load(path)
    assert audio_info(path).duration == pytest.approx(len(samples) / RATE, abs=0.001)
    part, _ = load(path, 0.5, 0.5)
    np.testing.assert_allclose(part, samples[8_000:16_000], atol=0.02)
    return len(samples) / RATE, notes


@pytest.mark.parametrize("suffix", ["wav", "rf64", "w64", "aiff", "au", "caf"])
@pytest.mark.parametrize("size", [0, -1, 0x7F000000, 0x7FFFF000], ids=["zero", "minus one", "sox", "2 GB"])
def test_a_size_that_was_left_open_is_measured(good, tmp_path, suffix, size):
    if size > 0 and suffix in ("rf64", "w64", "caf"):
        size = 1 << 60
    assert seconds(tmp_path / f"x.{suffix}", sized(good, suffix, size)) == (2.0, [])


@pytest.mark.parametrize("total", [0, 2**36 - 1, 2**35])
def test_a_flac_of_open_or_impossible_length(good, tmp_path, total):
    found, notes = seconds(tmp_path / "x.flac", flac(good, total))
    assert found == 2.0
    says = f"has a wrong header, which says {total / RATE:.2f} s: 2.00 s are there and used."
    assert [note.removeprefix(f"{tmp_path}/x.flac ") for note in notes] == ([says] if total else [])


def test_a_flac_that_goes_on_behind_its_header_is_named(good, tmp_path):
    found, (note,) = seconds(tmp_path / "x.flac", flac(good, FRAMES // 2))
    assert found == 1.0 and "goes on behind the 1.00 s of its header" in note


@pytest.mark.parametrize("suffix", ["wav", "aiff"])
def test_a_wrong_size_in_a_whole_file_is_not_believed(good, tmp_path, suffix):
    for size in (100 * BYTES, 1000):
        found, (note,) = seconds(tmp_path / f"x.{suffix}", sized(good, suffix, size))
        assert found == pytest.approx(2.0) and "has a wrong header, which says" in note


@pytest.mark.parametrize("suffix", ["wav", "rf64", "aiff"])
def test_much_behind_the_audio_is_not_left_out_without_a_word(good, tmp_path, suffix):
    found, (note,) = seconds(tmp_path / f"x.{suffix}", sized(good, suffix, 3 * BYTES // 4))
    assert found == pytest.approx(1.5, abs=0.01) and "goes on behind the 1.50 s of its header" in note


def test_a_size_that_is_wrong_by_a_byte_is_no_news(good, tmp_path):
    assert seconds(tmp_path / "x.wav", sized(good, "wav", BYTES + 1)) == (2.0, [])
    assert seconds(tmp_path / "x.wav", good["wav"][:-1]) == (pytest.approx(2.0, abs=0.001), [])


def test_chunks_behind_the_audio_are_no_audio(good, tmp_path):
    notes = b"LIST" + struct.pack("<I", 200_000) + bytes(200_000)
    (tmp_path / "x.wav").write_bytes(good["wav"] + notes)
    assert audio_info(tmp_path / "x.wav").duration == 2.0
    content = good["wav"][:40] + bytes(4) + notes  # no samples at all, and a chunk
    assert inspect(BytesIO(content)).ratio == 1.0
    (tmp_path / "x.wav").write_bytes(content)
    with pytest.raises(AudioError, match="zero samples"):
        load(tmp_path / "x.wav")


@pytest.mark.parametrize("suffix", ["wav", "rf64", "w64", "aiff", "au", "caf", "sph", "flac", "ogg", "mp3"])
def test_a_cut_file_is_never_used_without_a_word(good, tmp_path, suffix):
    path, content = tmp_path / f"x.{suffix}", good[suffix]
    path.write_bytes(content[: len(content) * 7 // 10])
    if suffix == "flac":
        for read in (load, audio_info):
            with pytest.raises(AudioError, match=r"is damaged or cut off after 1\.\d\d s of 2\.00 s"):
                read(path)
    else:
        samples, (note,) = load(path)
        assert "is cut off" in note and f"{len(samples) / RATE:.2f} s" in note
        assert audio_info(path).duration == pytest.approx(len(samples) / RATE)
        assert 0.8 < len(samples) / RATE < 1.5
    path.write_bytes(content[: len(content) * 3 // 10])
    for read in (load, audio_info):
        with pytest.raises(AudioError, match="cut off"):
            read(path)


def test_a_hole_in_an_ogg_is_named(good, tmp_path):
    content = bytearray(good["ogg"])
    half = len(content) // 2
    content[half : half + 500] = bytes(500)
    (tmp_path / "x.ogg").write_bytes(content)
    samples, (note,) = load(tmp_path / "x.ogg")
    assert len(samples) < 2 * RATE and "is damaged in 1 place, which is left out" in note
    assert audio_info(tmp_path / "x.ogg").duration == pytest.approx(len(samples) / RATE)


def test_ogg_streams_one_after_the_other(good, tmp_path):
    (tmp_path / "x.ogg").write_bytes(good["ogg"] * 2)
    assert "several recordings one after the other" in load(tmp_path / "x.ogg")[1][0]


def test_codecs_that_cannot_seek(good, tmp_path):
    samples = np.sin(np.arange(RATE * 2) / 9).astype(np.float32) / 2
    soundfile.write(tmp_path / "x.wav", samples, 8000, subtype="GSM610")
    whole, notes = load(tmp_path / "x.wav")
    assert len(whole) / RATE == pytest.approx(4.0, abs=0.05) and not notes
    np.testing.assert_allclose(load(tmp_path / "x.wav", 1.0, 0.5)[0][200:-200], whole[16_200:23_800], atol=0.02)


@pytest.mark.parametrize("suffix", FORMATS)
def test_nothing_but_our_own_errors_leaves_a_damaged_file(good, suffix, capfd):
    """Also where libsndfile calls back into Python for a file in memory."""
    rng = np.random.default_rng(3)
    for _ in range(25):
        content = bytearray(good[suffix])
        for at in rng.integers(0, min(200, len(content)), 4):
            content[at] = rng.choice([0, 127, 255])
        with suppress(AudioError):
            decode_audio(bytes(content[: rng.integers(1, len(content))]), "x")
    assert "Traceback" not in capfd.readouterr().err
