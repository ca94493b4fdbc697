"""Opening: every way in which a path or its content can be wrong, in a sentence."""

import os
import signal
from io import BytesIO

import pytest
import soundfile

from wavllm_cli.data import audio_file
from wavllm_cli.data.audio import audio_info, load
from wavllm_cli.data.audio_file import opened
from wavllm_cli.errors import AudioError, UsageError


@pytest.fixture
def clip(tmp_path, noise):
    soundfile.write(tmp_path / "x.wav", noise(), 16_000)
    return tmp_path / "x.wav"


def test_paths_that_lead_to_no_file(tmp_path):
    os.mkfifo(tmp_path / "pipe.wav")
    (tmp_path / "dangling.wav").symlink_to("gone.wav")
    (tmp_path / "loop.wav").symlink_to("loop.wav")
    for name, says in (
        ("pipe.wav", "is a named pipe, not audio"),
        ("dangling.wav", "is a link that leads nowhere"),
        ("loop.wav", "cannot be found: Too many levels of symbolic links"),
        ("x" * 5000, "cannot be found: File name too long"),
        ("nul\0.wav", "its name has a NUL in it"),
        ("gone.wav", "There is no audio file"),
        ("/dev/zero", "is a device"),
    ):
        for read in (load, audio_info):
            with pytest.raises(UsageError, match=says) as caught:
                read(tmp_path / name)
            assert len(str(caught.value)) < 300


def test_a_file_that_may_not_be_read_says_so(clip, monkeypatch):
    def refused(*args, **more):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(audio_file.Path, "open", refused)
    with pytest.raises(AudioError, match="may not be read: Permission denied"):
        load(clip)
    monkeypatch.setattr("wavllm_cli.data.files.os.stat", refused)
    with pytest.raises(AudioError, match="may not be read: permission denied"):
        load(clip)


def test_a_name_that_is_not_utf_8(clip):
    other = clip.parent / os.fsdecode(b"caf\xe9.wav")
    clip.rename(other)
    assert len(load(other)[0]) == 16_000
    with pytest.raises(AudioError, match=r"caf\\xe9.wav is 1.00 s long"):
        load(other, 1e308)


def test_a_git_lfs_pointer_is_called_one(tmp_path):
    text = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n"
    (tmp_path / "x.flac").write_text(text)
    with pytest.raises(AudioError, match="is only a Git LFS pointer, not the file itself: run `git lfs pull`"):
        load(tmp_path / "x.flac")


def test_junk_behind_a_known_header_is_not_called_another_format(tmp_path):
    (tmp_path / "x.caf").write_bytes(b"caff\0\1\0\0desc" + bytes(100))
    (tmp_path / "x.ogg").write_bytes(b"OggS" + bytes(200))
    for name in ("x.caf", "x.ogg"):
        with pytest.raises(AudioError, match=r"damaged|cut off"):
            load(tmp_path / name)


@pytest.mark.parametrize("error", [MemoryError(), OSError(5, "Input/output error"), RuntimeError("x"), OverflowError()])
def test_whatever_goes_wrong_is_about_this_clip(error):
    with pytest.raises(AudioError, match=r"^x\.wav "), opened(BytesIO(b"RIFF" + bytes(100)), "x.wav"):
        raise error


def test_ctrl_c_while_a_file_in_memory_is_decoded(clip):
    class Interrupting(BytesIO):
        def readinto(self, buffer):
            signal.raise_signal(signal.SIGINT)
            return super().readinto(buffer)

    with pytest.raises(KeyboardInterrupt), opened(Interrupting(clip.read_bytes()), "x.wav") as audio:
        list(audio.blocks(0, None))


@pytest.mark.parametrize(
    ("start", "duration", "says"),
    [
        (1e308, None, r"is 1\.00 s long: a segment cannot begin at 1e\+308 s"),
        (1e308, 1e308, r"a segment cannot begin at 1e\+308 s"),
        (0.0, 1e308, r"is cut off: 1\.00 s of 1e\+308 s are there"),
        (0.5, 1e-300, "too short to be heard"),
    ],
)
def test_absurd_segments(clip, start, duration, says):
    with pytest.raises(AudioError, match=says):
        load(clip, start, duration)


def test_a_clip_that_is_too_long_for_one_piece(clip, monkeypatch):
    monkeypatch.setattr("wavllm_cli.data.audio.LONGEST", 0.5)
    assert len(load(clip, 0.5, 0.5)[0]) == 8_000
    with pytest.raises(AudioError, match="is longer than"):
        load(clip)
