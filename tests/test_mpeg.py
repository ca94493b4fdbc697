from io import BytesIO

import numpy as np
import pytest
import soundfile

from wavllm_cli.data import mpeg
from wavllm_cli.data.audio import audio_info, load
from wavllm_cli.errors import AudioError


@pytest.fixture(scope="module")
def vbr():
    """1 s of silence, then 3 s of noise: what libsndfile guesses from the first frames is far from the length."""
    samples = np.concatenate([np.zeros(16_000), 0.3 * np.random.default_rng(0).standard_normal(48_000)])
    file = BytesIO()
    soundfile.write(file, samples, 16_000, format="MP3", bitrate_mode="VARIABLE", compression_level=0.0)
    return file.getvalue()


def without_xing(content: bytes) -> bytes:
    return content[mpeg.scan(BytesIO(content), 0).first :]


def test_frames_are_counted(vbr):
    found = mpeg.scan(BytesIO(vbr), 0)
    assert found.frames == found.promised and found.frame_samples == 576 and not found.gaps and not found.is_cut
    assert found.frames * 576 == pytest.approx(64_000, abs=2000)
    bare = mpeg.scan(BytesIO(without_xing(vbr)), 0)
    assert (bare.frames, bare.promised, bare.first) == (found.frames, None, 0)
    assert mpeg.scan(BytesIO(without_xing(vbr)[:-10]), 0).is_cut
    assert mpeg.scan(BytesIO(b"\xff\xfb" + bytes(1000)), 0) is None


ID3 = b"ID3\3\0\0\0\0\1\0" + bytes(128)


@pytest.mark.parametrize("tag", [b"", ID3, ID3 + ID3], ids=["bare", "ID3", "two ID3"])
def test_without_a_xing_header_all_is_read(vbr, tmp_path, tag):
    path = tmp_path / "x.mp3"
    path.write_bytes(tag + without_xing(vbr))
    assert abs(soundfile.info(path).duration - 4) > 1  # what libsndfile alone makes of it
    samples, notes = load(path)
    assert len(samples) / 16_000 == pytest.approx(4.0, abs=0.1) and not notes
    assert audio_info(path).duration == pytest.approx(len(samples) / 16_000)
    np.testing.assert_allclose(load(path, 3.0, 0.5)[0], samples[48_000:56_000], atol=0.02)


def test_two_files_in_one_are_read_to_the_end(vbr, tmp_path):
    (tmp_path / "x.mp3").write_bytes(vbr + vbr)
    assert audio_info(tmp_path / "x.mp3").duration == pytest.approx(8.0, abs=0.3)


def test_damaged_places_are_counted(vbr, tmp_path, capfd):
    content = bytearray(vbr)
    found = mpeg.scan(BytesIO(vbr), 0)
    frame = len(content) // found.frames
    for at in range(len(content) // 2, len(content) - 20 * frame, 40 * frame):
        content[at : at + 2 * frame] = bytes(2 * frame)
    (tmp_path / "x.mp3").write_bytes(bytes(content))
    _, notes = load(tmp_path / "x.mp3")
    assert any("is damaged in" in note for note in notes)
    assert not capfd.readouterr().err  # libmpg123's own notes


def test_junk_that_ends_the_decoding_is_found_when_it_is_measured(vbr, tmp_path):
    junk = np.random.default_rng(0).bytes(3000)
    (tmp_path / "x.mp3").write_bytes(vbr[: len(vbr) // 2] + junk + vbr[len(vbr) // 2 :])
    for read in (load, audio_info):
        with pytest.raises(AudioError, match=r"is damaged or cut off after"):
            read(tmp_path / "x.mp3")


def test_a_quarter_of_an_hour_is_not_decoded_to_be_measured(vbr, tmp_path, monkeypatch):
    (tmp_path / "x.mp3").write_bytes(without_xing(vbr) * 225)
    monkeypatch.delattr(soundfile.SoundFile, "read")
    assert audio_info(tmp_path / "x.mp3").duration == pytest.approx(900, rel=0.05)
