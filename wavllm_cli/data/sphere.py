"""NIST SPHERE, the format of LDC's telephone speech: a header in text, then samples that may be compressed.

libsndfile reads what is not compressed. It takes 8-bit samples of which the header does not say how they are coded for
linear ones, which makes noise of µ-law. What is compressed takes the program sph2pipe.
"""

import io
import re
import shutil
import subprocess
from pathlib import Path
from typing import BinaryIO

import soundfile

from wavllm_cli.data.files import replacing, shown
from wavllm_cli.data.interrupts import interrupts_deferred
from wavllm_cli.errors import AudioError, shortened

MAGIC = b"NIST_1A\n"
LONGEST = 1 << 16  # bytes of a header; LDC's have 1,024
COMPRESSIONS = ("shorten", "wavpack", "shortpack")
PROGRAM = "sph2pipe"
SOURCE = "https://github.com/burrmill/sph2pipe"

_FIELD = re.compile(r"^(\w+) -\w+ (.*?)\s*$", re.MULTILINE)
_NUMBER = re.compile(r"\d{1,18}")


def fields(file: BinaryIO) -> dict[str, str]:
    """What the header of an opened file says; nothing if it is no SPHERE."""
    file.seek(0)
    head = file.read(LONGEST)
    return dict(_FIELD.findall(head.split(b"end_head")[0].decode("latin-1"))) if head.startswith(MAGIC) else {}


def compression(header: dict[str, str]) -> str | None:
    """By what the samples are compressed."""
    coding = header.get("sample_coding", "").lower()
    return next((name for name in COMPRESSIONS if name in coding), None)


def why_refused(header: dict[str, str]) -> str | None:
    """Why a file is not to be read, to stand behind its name; None if nothing speaks against it."""
    if packed := compression(header):
        cure = f"convert it first, by `{PROGRAM} -f wav -p IN.sph OUT.wav` ({SOURCE})"
        coding = shortened(header["sample_coding"])
        return f"is NIST SPHERE compressed by {packed} ({coding}), which cannot be read: {cure}"
    if "sample_coding" not in header and header.get("sample_n_bytes", "1") == "1":
        unknown = "nobody can tell µ-law from linear samples; find out which they are and convert it to wav"
        return f"is NIST SPHERE whose header has no sample_coding: {unknown}"
    return None


def claimed_frames(header: dict[str, str], size: int) -> int | None:
    """The number of frames that a header claims; release 1 of Switchboard counts both channels of a call together.

    Args:
        size: bytes of samples in the file.
    """
    names = ("sample_count", "channel_count", "sample_n_bytes")
    count, channels, width = (int(n) if _NUMBER.fullmatch(n := header.get(name, "")) else 0 for name in names)
    counts_both = width and channels and count == size // width
    return (count // channels if counts_both else count) or None


# --- compressed files ---


def is_compressed(path: Path) -> bool:
    """Whether a file is SPHERE that only sph2pipe can read, whatever its name; False where it cannot be opened."""
    try:
        with path.open("rb") as file:
            return compression(fields(file)) is not None
    except OSError:
        return False


def converter() -> str | None:
    """The path of sph2pipe, where it is installed."""
    return shutil.which(PROGRAM)


def convert(path: Path, flac: Path) -> None:
    """Write a compressed file as 16-bit FLAC with all its channels, complete or not at all; no sample changes.

    Raises:
        AudioError: sph2pipe does not read it.
        WavLLMError: nothing can be written there.
    """
    command = [converter() or PROGRAM, "-f", "wav", "-p", str(path.absolute())]
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    except OSError as error:
        raise AudioError(f"{shown(path)} takes {PROGRAM}, which cannot be run: {error.strerror}.") from error
    wav = io.BytesIO(done.stdout)
    try:
        with interrupts_deferred():
            samples, rate = soundfile.read(wav, dtype="int16", always_2d=True)
    except (soundfile.LibsndfileError, RuntimeError) as error:
        said = done.stderr.decode(errors="replace").strip().splitlines()
        why = shortened(said[-1]) if said else "it wrote no wav"
        raise AudioError(f"{shown(path)} cannot be read by {PROGRAM}: {why}.") from error
    if done.returncode or not len(samples):
        raise AudioError(f"{shown(path)} cannot be read by {PROGRAM}: it ended with {done.returncode}.")
    made = io.BytesIO()
    with interrupts_deferred():
        soundfile.write(made, samples, rate, format="FLAC", subtype="PCM_16")
    with replacing(flac, durable=False) as draft:
        draft.write_bytes(made.getbuffer())
