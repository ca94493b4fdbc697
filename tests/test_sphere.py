"""SPHERE files as LDC ships them: what is compressed or does not say how it is coded is refused by name."""

import numpy as np
import pytest
import soundfile
from sphere_files import CALL, RATE, fake_sph2pipe, header, ulaw

from wavllm_cli.data import sphere
from wavllm_cli.data.audio import audio_info, load
from wavllm_cli.errors import AudioError


@pytest.mark.parametrize("coding", ["ulaw,embedded-shorten-v2.00", "pcm,embedded-shorten-v2.00"])
@pytest.mark.parametrize("name", ["call.sph", "call.wav"])
def test_shorten_is_named_with_its_cure(tmp_path, name, coding):
    (tmp_path / name).write_bytes(header(sample_coding=coding) + b"ajkg\x02" + bytes(999))
    for read in (load, audio_info):
        with pytest.raises(AudioError, match=rf"{name} is NIST SPHERE compressed by shorten \({coding}\).*sph2pipe"):
            read(tmp_path / name)
    assert sphere.is_compressed(tmp_path / name) and not sphere.is_compressed(tmp_path / "none.sph")


def test_samples_of_unknown_coding_are_not_guessed(tmp_path):
    path = tmp_path / "call.sph"
    path.write_bytes(header() + ulaw())
    assert audio_info(path).channels == 2 and np.abs(load(path, channel=1)[0]).max() < 0.35
    path.write_bytes(header(sample_coding=None) + ulaw())
    for read in (load, audio_info):
        with pytest.raises(AudioError, match="has no sample_coding: nobody can tell µ-law from linear"):
            read(path)


def test_two_bytes_a_sample_are_linear(tmp_path):
    """TIMIT's headers have no sample_coding."""
    path = tmp_path / "timit.wav"
    fields = {"channel_count": 1, "sample_n_bytes": 2, "sample_byte_format": "01", "sample_coding": None}
    path.write_bytes(header(**fields) + np.round(CALL[:, 0] * 32768).astype("<i2").tobytes())
    assert audio_info(path).duration == 2.0 and load(path)[1] == []


@pytest.mark.parametrize("count", [2 * RATE, 4 * RATE, None])
def test_both_ways_of_counting_samples_are_the_whole_file(tmp_path, count):
    """Per channel, or of both together as in release 1 of Switchboard."""
    (tmp_path / "call.sph").write_bytes(header(sample_count=count) + ulaw())
    assert audio_info(tmp_path / "call.sph").duration == 2.0 and load(tmp_path / "call.sph")[1] == []


def test_what_sph2pipe_reads_becomes_flac(tmp_path, monkeypatch):
    wav = tmp_path / "answer"
    soundfile.write(wav, CALL, RATE, format="WAV", subtype="PCM_16")
    fake_sph2pipe(tmp_path, monkeypatch, f"sys.stdout.buffer.write(open({str(wav)!r}, 'rb').read())")
    sphere.convert(tmp_path / "call.sph", tmp_path / "new" / "call.flac")
    there, rate = soundfile.read(tmp_path / "new" / "call.flac", dtype="int16")
    assert rate == RATE and np.array_equal(there, soundfile.read(wav, dtype="int16")[0])
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["call.flac"]


@pytest.mark.parametrize(
    "body, said",
    [("sys.exit('bad header')", "bad header"), ("", "it wrote no wav"), ("print('RIFF')", "it wrote no wav")],
)
def test_what_sph2pipe_does_not_read_is_said_and_leaves_nothing(tmp_path, monkeypatch, body, said):
    fake_sph2pipe(tmp_path, monkeypatch, body)
    with pytest.raises(AudioError, match=rf"call\.sph cannot be read by sph2pipe: {said}"):
        sphere.convert(tmp_path / "call.sph", tmp_path / "call.flac")
    assert not (tmp_path / "call.flac").exists()
