import struct

import numpy as np
import pytest
import soundfile

from wavllm_cli.data import ffmpeg
from wavllm_cli.data.audio import SAMPLE_RATE, audio_info, decode_audio, is_silent, load, read_audio, write_wav
from wavllm_cli.errors import AudioError, UsageError, WavLLMError

FORMATS = {
    "x.wav": ("WAV", "PCM_16"), "x.flac": ("FLAC", "PCM_16"), "x.sph": ("NIST", "PCM_16"), "u.sph": ("NIST", "ULAW"),
    "x.mp3": ("MP3", "MPEG_LAYER_III"), "x.ogg": ("OGG", "VORBIS"), "x.opus": ("OGG", "OPUS"),
}  # fmt: skip
LOSSLESS = {"x.wav", "x.flac", "x.sph"}


def tone(hertz: float, rate: int, seconds: float = 1.0) -> np.ndarray:
    return (0.5 * np.sin(2 * np.pi * hertz * np.arange(round(rate * seconds)) / rate)).astype(np.float32)


def level(samples: np.ndarray, hertz: float) -> float:
    """Amplitude in dB of full scale of a tone at 16 kHz, the ends left out."""
    middle = samples[2000:-2000]
    wave = np.exp(-2j * np.pi * hertz * np.arange(len(middle)) / SAMPLE_RATE) * np.hanning(len(middle))
    return 20 * np.log10(4 * abs(middle @ wave) / len(middle) + 1e-12)


@pytest.mark.parametrize("name", FORMATS)
def test_formats(tmp_path, name):
    kind, subtype = FORMATS[name]
    soundfile.write(tmp_path / name, tone(1000, 16_000, 2), 16_000, format=kind, subtype=subtype)
    samples = read_audio(tmp_path / name)
    assert samples.dtype == np.float32 and samples.ndim == 1 and abs(len(samples) - 32_000) <= 8
    assert level(samples, 1000) == pytest.approx(20 * np.log10(0.5), abs=0.5)
    info = audio_info(tmp_path / name)
    assert (info.sample_rate, info.channels) == (16_000, 1) and info.duration == pytest.approx(2.0, abs=0.01)
    np.testing.assert_array_equal(decode_audio((tmp_path / name).read_bytes(), "bytes"), samples)


@pytest.mark.parametrize("name", FORMATS)
def test_a_segment_is_a_slice_of_the_whole(tmp_path, noise, name):
    kind, subtype = FORMATS[name]
    soundfile.write(tmp_path / name, noise(3), 16_000, format=kind, subtype=subtype)
    whole = read_audio(tmp_path / name)
    tolerance = 0 if name in LOSSLESS else 0.02
    np.testing.assert_allclose(read_audio(tmp_path / name, 1.25, 0.5), whole[20_000:28_000], atol=tolerance)
    np.testing.assert_allclose(read_audio(tmp_path / name, 2.5), whole[40_000:], atol=tolerance)


def test_only_the_segment_is_decoded(tmp_path, noise, monkeypatch):
    soundfile.write(tmp_path / "x.wav", noise(5), 16_000)
    asked = []
    read = soundfile.SoundFile.read
    monkeypatch.setattr(soundfile.SoundFile, "read", lambda s, n, **kw: asked.append(n) or read(s, n, **kw))
    read_audio(tmp_path / "x.wav", start=3, duration=0.5)
    assert asked == [8000]


def test_channels_are_averaged(tmp_path, noise):
    stereo = noise(channels=2)
    soundfile.write(tmp_path / "x.wav", stereo, 16_000, subtype="FLOAT")
    np.testing.assert_allclose(read_audio(tmp_path / "x.wav"), stereo.mean(axis=1), atol=1e-7)
    assert audio_info(tmp_path / "x.wav").channels == 2


def test_one_channel_is_read_alone(tmp_path, noise):
    stereo = noise(channels=2) * [0.5, 0]
    soundfile.write(tmp_path / "x.wav", stereo, 16_000, subtype="FLOAT")
    for channel in (0, 1):
        samples = read_audio(tmp_path / "x.wav", 0.25, 0.5, channel)
        np.testing.assert_allclose(samples, stereo[4000:12_000, channel], atol=1e-7)
    soundfile.write(tmp_path / "y.wav", stereo[:, :1] * [1, -1], 16_000, subtype="FLOAT")  # no warning of its mean
    assert load(tmp_path / "y.wav", channel=1)[1] == []
    with pytest.raises(AudioError, match=r"x.wav has 2 channels: there is no channel 2, they count from 0\."):
        read_audio(tmp_path / "x.wav", channel=2)


@pytest.mark.parametrize("rate", [8_000, 11_025, 22_050, 44_100, 48_000])
def test_resampling_keeps_time_pitch_and_level(tmp_path, rate):
    soundfile.write(tmp_path / "x.wav", tone(1000, rate), rate, subtype="FLOAT")
    samples = read_audio(tmp_path / "x.wav")
    assert abs(len(samples) - SAMPLE_RATE) <= 1
    expected = tone(1000, SAMPLE_RATE)
    np.testing.assert_allclose(samples[2000:-2000], expected[2000 : len(samples) - 2000], atol=1e-3)


def test_resampling_does_not_fold_high_tones_back(tmp_path):
    """10 kHz cannot be heard at 16 kHz; a poor filter leaves it at 6 kHz, 45 dB down."""
    soundfile.write(tmp_path / "x.wav", tone(10_000, 44_100), 44_100, subtype="FLOAT")
    assert level(read_audio(tmp_path / "x.wav"), 6000) < -110
    assert level(tone(6000, SAMPLE_RATE), 6000) == pytest.approx(-6.02, abs=0.1)  # the meter works


@pytest.mark.parametrize(
    ("name", "rate"), [("asr.flac", 16_000), ("II-task.wav", 44_100), ("CoT-task-story.wav", 16_000)]
)
def test_released_clips(shared_data, name, rate):
    path = shared_data / "wavllm_examples" / "audio" / name
    info = audio_info(path)
    assert info.sample_rate == rate
    samples = read_audio(path)
    assert abs(len(samples) - info.duration * SAMPLE_RATE) <= 1 and not is_silent(samples)


# --- what cannot be used ---


def test_missing_file_and_folder(tmp_path):
    for path, word in ((tmp_path / "gone.wav", "no audio file"), (tmp_path, "folder")):
        with pytest.raises(UsageError, match=word):
            read_audio(path)
        with pytest.raises(UsageError, match=word):
            audio_info(path)


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("text.wav", b"this is not audio\n" * 40, "is not audio"),
        ("text.mp3", b"this is not audio\n" * 40, "is not audio"),
        ("noise.mp3", b"\xff\xfb" + b"garbage" * 99, "is damaged: there is no frame of mp3 in it"),
        ("x.raw", bytes(100), "is not audio"),
        ("empty.wav", b"", "is empty"),
        (
            "talk.m4a",
            b"\0\0\0\x20ftypM4A \0\0\0\0" + bytes(500),
            "can be read only with ffmpeg, which is not installed: convert it to wav or flac",
        ),
    ],
)
def test_files_that_are_not_audio(tmp_path, monkeypatch, name, content, says):
    monkeypatch.setattr(ffmpeg, "installed", lambda: None)
    (tmp_path / name).write_bytes(content)
    for read in (read_audio, audio_info):
        with pytest.raises(AudioError, match=says) as caught:
            read(tmp_path / name)
        assert str(tmp_path / name) in str(caught.value) and "\n" not in str(caught.value)


def test_no_samples(tmp_path):
    soundfile.write(tmp_path / "x.wav", np.zeros(0), 16_000)
    with pytest.raises(AudioError, match="zero samples"):
        read_audio(tmp_path / "x.wav")


@pytest.mark.parametrize("name", ["x.wav", "x.mp3"])
def test_a_cut_file_is_used_with_a_warning_or_not_at_all(tmp_path, noise, capsys, name):
    kind, subtype = FORMATS[name]
    soundfile.write(tmp_path / name, noise(2), 16_000, format=kind, subtype=subtype)
    content = (tmp_path / name).read_bytes()
    assert len(read_audio(tmp_path / name)) == 32_000 and not capsys.readouterr().err
    (tmp_path / name).write_bytes(content[: int(len(content) * 0.7)])
    assert len(read_audio(tmp_path / name)) == pytest.approx(0.7 * 32_000, rel=0.05)
    assert f"{tmp_path / name} is cut off" in capsys.readouterr().err
    (tmp_path / name).write_bytes(content[: int(len(content) * 0.3)])
    with pytest.raises(AudioError, match=r"is cut off: 0\.\d\d s of 2\.00 s"):
        read_audio(tmp_path / name)


def test_a_damaged_flac_is_named(tmp_path, noise):
    soundfile.write(tmp_path / "x.flac", noise(2), 16_000)
    content = (tmp_path / "x.flac").read_bytes()
    (tmp_path / "x.flac").write_bytes(content[: len(content) * 7 // 10])
    with pytest.raises(AudioError, match="is damaged"):
        read_audio(tmp_path / "x.flac")


def test_a_wav_written_to_a_pipe_is_not_cut(tmp_path, noise, capsys):
    soundfile.write(tmp_path / "x.wav", noise(1), 16_000)
    content = bytearray((tmp_path / "x.wav").read_bytes())
    size = content.find(b"data") + 4
    content[size : size + 4] = struct.pack("<I", 0xFFFFFFFF)
    (tmp_path / "x.wav").write_bytes(content)
    assert len(read_audio(tmp_path / "x.wav")) == 16_000 and not capsys.readouterr().err


def test_segments_beyond_the_end(tmp_path, noise, capsys):
    soundfile.write(tmp_path / "x.wav", noise(2), 16_000)
    with pytest.raises(AudioError, match=r"2\.00 s long: a segment cannot begin at 2\.00 s"):
        read_audio(tmp_path / "x.wav", start=2.0)
    with pytest.raises(AudioError, match="cut off"):
        read_audio(tmp_path / "x.wav", start=1.5, duration=2.0)
    assert len(read_audio(tmp_path / "x.wav", start=1.5, duration=0.51)) == 8000  # a rounded duration
    assert not capsys.readouterr().err
    assert len(read_audio(tmp_path / "x.wav", start=1.0, duration=1.5)) == 16_000
    assert "cut off" in capsys.readouterr().err


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_samples_that_are_not_numbers(tmp_path, noise, bad):
    samples = noise()
    samples[77] = bad
    soundfile.write(tmp_path / "x.wav", samples, 16_000, subtype="FLOAT")
    with pytest.raises(AudioError, match="not numbers"):
        read_audio(tmp_path / "x.wav")


def test_silence():
    assert is_silent(np.zeros(100, np.float32)) and is_silent(np.zeros(0, np.float32))
    assert is_silent(np.full(100, 0.0009)) and not is_silent(np.array([0, 0, -0.0011]))


# --- writing ---


def test_write_wav(tmp_path, noise):
    path = tmp_path / "new" / "x.wav"
    write_wav(path, np.concatenate([noise(), [2.0, -2.0]]).astype(np.float32))
    samples = read_audio(path)
    np.testing.assert_allclose(samples[:-2], noise(), atol=2 / 2**15)
    assert samples[-2] > 0.999 and samples[-1] <= -0.999  # clipped, not wrapped round
    assert soundfile.info(path).subtype == "PCM_16" and [p.name for p in path.parent.iterdir()] == ["x.wav"]
    with pytest.raises(WavLLMError, match="cannot be written"):
        write_wav(path / "y.wav", noise())


def test_a_long_file_is_in_memory_once(tmp_path, noise):
    """It is decoded block by block, and the blocks are nowhere beside the whole."""
    import tracemalloc

    write_wav(tmp_path / "long.wav", noise(120))
    read_audio(tmp_path / "long.wav", duration=1)
    tracemalloc.start()
    samples = read_audio(tmp_path / "long.wav")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert samples.flags.writeable and peak < 1.5 * samples.nbytes
