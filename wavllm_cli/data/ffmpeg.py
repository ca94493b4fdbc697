"""Formats that libsndfile does not know, by way of the program ffmpeg where it is installed: m4a, mp4, webm, mkv …"""

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import BinaryIO

from wavllm_cli.errors import AudioError, shortened

SUFFIXES = (".m4a", ".mp4", ".mov", ".aac", ".wma", ".webm", ".mkv", ".avi", ".3gp", ".amr", ".flv", ".ts")
# Containers that hold what they play. Playlists and scripts, which name other files, are none of them.
CONTAINERS = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,aac,asf,avi,flv,mpegts,mpeg,amr,ac3,eac3,dts,wv,ape,tta,rm,caf,au"
LONGEST = 5 * 3600  # seconds; beyond what is read in one piece


def installed() -> str | None:
    """The program's path."""
    return shutil.which("ffmpeg")


@contextmanager
def decoded(path: Path, name: str) -> Iterator[BinaryIO]:
    """The first audio stream of a file as a wav of 16 bits, with its own rate and channels, until the block is left.

    Raises:
        AudioError: there is no ffmpeg, or it finds no audio in the file; messages call it `name`.
    """
    program = installed()
    if program is None:
        raise AudioError(f"{name} can be read only with ffmpeg, which is not installed: convert it to wav or flac.")
    with TemporaryDirectory(prefix="wavllm-") as folder:
        wav = Path(folder, "decoded.wav")
        _run([program, *_options(path, wav)], name)
        with wav.open("rb", buffering=0) as file:
            yield file


def _options(path: Path, wav: Path) -> list[str]:
    only_this_file = ["-protocol_whitelist", "file", "-format_whitelist", CONTAINERS]
    reading = ["-nostdin", "-v", "error", *only_this_file, "-i", f"file:{path.absolute()}", "-map", "0:a:0"]
    return [*reading, "-t", str(LONGEST), "-c:a", "pcm_s16le", "-f", "wav", "-rf64", "auto", f"file:{wav}"]


def _run(command: list[str], name: str) -> None:
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    except OSError as error:
        raise AudioError(f"{name} can be read only with ffmpeg, which cannot be run: {error.strerror}.") from error
    if done.returncode:
        lines = done.stderr.decode(errors="replace").strip().splitlines()
        why = shortened(lines[-1].rsplit(": ", 1)[-1].rstrip(".")) if lines else "it wrote nothing"
        raise AudioError(f"{name} is not audio that can be read, not even by ffmpeg ({why}).")
