import shutil
import subprocess
import sys

import numpy as np
import pytest
import soundfile

from wavllm_cli.data import ffmpeg
from wavllm_cli.data.audio import audio_info, read_audio
from wavllm_cli.errors import AudioError

M4A = b"\0\0\0\x20ftypM4A \0\0\0\0" + bytes(500)


@pytest.fixture
def program(tmp_path, monkeypatch):
    """Puts a program of this Python source on PATH as ffmpeg; `out` is where it shall write."""

    def install(source: str) -> None:
        folder = tmp_path / "bin"
        folder.mkdir()
        path = folder / "ffmpeg"
        path.write_text(f"#!{sys.executable}\nimport sys\nout = sys.argv[-1].removeprefix('file:')\n{source}\n")
        path.chmod(0o755)
        monkeypatch.setenv("PATH", str(folder))

    return install


@pytest.fixture
def talk(tmp_path):
    (tmp_path / "talk.m4a").write_bytes(M4A)
    return tmp_path / "talk.m4a"


def test_what_ffmpeg_decodes_is_read_as_any_file(program, talk, tmp_path):
    stereo = np.stack([np.full(48_000, 0.25), np.full(48_000, 0.5)], axis=1)
    soundfile.write(tmp_path / "decoded.wav", stereo, 48_000)
    program(f"import shutil\nshutil.copy({str(tmp_path / 'decoded.wav')!r}, out)")
    info = audio_info(talk)
    assert (info.sample_rate, info.channels, info.duration) == (48_000, 2, 1.0)
    assert read_audio(talk, channel=1)[4000] == pytest.approx(0.5, abs=1e-3)
    assert len(read_audio(talk, start=0.5, duration=0.25)) == 4_000


def test_only_containers_are_opened_and_nothing_that_they_name(program, talk):
    program("open(out, 'w').write('no wav')\nsys.stderr.write(repr(sys.argv))\nsys.exit(1)")
    with pytest.raises(AudioError):
        read_audio(talk)
    options = ffmpeg._options(talk, talk.with_suffix(".wav"))
    assert options[options.index("-protocol_whitelist") + 1] == "file"
    assert not {"hls", "concat", "dash", "tee"} & set(options[options.index("-format_whitelist") + 1].split(","))


def test_a_file_that_ffmpeg_cannot_read_is_named_with_its_words(program, talk):
    program("sys.stderr.write('[x @ 0x1] odd\\n' + out + ': Invalid data found.\\n')\nsys.exit(183)")
    with pytest.raises(AudioError) as caught:
        read_audio(talk)
    assert str(caught.value) == f"{talk} is not audio that can be read, not even by ffmpeg (Invalid data found)."


def test_a_program_that_cannot_be_run_is_named(program, talk, tmp_path):
    program("")
    (tmp_path / "bin/ffmpeg").write_bytes(b"\x7fELF broken")
    with pytest.raises(AudioError, match="can be read only with ffmpeg, which cannot be run: "):
        read_audio(talk)


def test_known_formats_never_ask_for_ffmpeg(program, tmp_path, noise):
    program("sys.exit(1)")
    soundfile.write(tmp_path / "x.wav", noise(), 16_000)
    assert len(read_audio(tmp_path / "x.wav")) == 16_000


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="ffmpeg is not installed")
@pytest.mark.parametrize(("name", "codec"), [("a.m4a", "aac"), ("a.webm", "libopus"), ("a.mkv", "flac")])
def test_the_real_program(tmp_path, noise, name, codec):
    soundfile.write(tmp_path / "x.wav", noise(2), 16_000)
    command = ["ffmpeg", "-v", "error", "-i", tmp_path / "x.wav", "-c:a", codec, tmp_path / name]
    if subprocess.run(command, check=False).returncode:
        pytest.skip(f"this ffmpeg has no encoder {codec}")
    assert audio_info(tmp_path / name).duration == pytest.approx(2.0, abs=0.1)
    playlist = tmp_path / "list.m3u8"
    playlist.write_text(f"#EXTM3U\n#EXTINF:2,\n{tmp_path / name}\n#EXT-X-ENDLIST\n")
    with pytest.raises(AudioError, match="not even by ffmpeg"):
        read_audio(playlist)
