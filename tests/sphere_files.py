"""Telephone calls as LDC ships them: SPHERE files of two channels, compressed or not; and a stand-in for sph2pipe."""

import stat
import sys
from io import BytesIO
from pathlib import Path

import numpy as np
import soundfile

RATE = 8000
CALL = (0.3 * np.sin(np.arange(2 * RATE)[:, None] * [[0.1, 0.3]])).astype(np.float32)  # 2 s, 2 channels


def header(**fields) -> bytes:
    """1,024 bytes, like LDC's; a field that is None is left out."""
    usual = {"channel_count": 2, "sample_count": 2 * RATE, "sample_rate": RATE, "sample_n_bytes": 1}
    usual |= {"sample_byte_format": "1", "sample_coding": "ulaw"} | fields
    kinds = {name: "-i" if isinstance(value, int) else f"-s{len(str(value))}" for name, value in usual.items()}
    lines = [f"{name} {kinds[name]} {value}" for name, value in usual.items() if value is not None]
    return "\n".join(["NIST_1A", "   1024", *lines, "end_head", ""]).encode().ljust(1024)


def ulaw(samples: np.ndarray = CALL) -> bytes:
    raw = BytesIO()
    soundfile.write(raw, samples, RATE, format="RAW", subtype="ULAW")
    return raw.getvalue()


def sphere(path: Path, seconds: float = 2) -> None:
    """A call as Switchboard has it, not compressed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    frames = round(seconds * RATE)
    path.write_bytes(header(sample_count=frames) + ulaw(np.resize(CALL, (frames, 2))))


def compressed(path: Path, seconds: float = 2) -> None:
    """A call as Fisher has it: the header of one that is compressed, and how long `FAKE` shall make it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    coded = header(sample_coding="ulaw,embedded-shorten-v2.00", sample_count=round(seconds * RATE))
    path.write_bytes(coded + b"ajkg\x02" + bytes(99))


def fake_sph2pipe(folder, monkeypatch, body: str) -> None:
    """A program of that name on PATH, alone there."""
    program = folder / "bin" / "sph2pipe"
    program.parent.mkdir(exist_ok=True)
    program.write_text(f"#!{sys.executable} -IS\nimport sys\n{body}\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", str(program.parent))


FAKE = """
import struct
text = open(sys.argv[-1], "rb").read(1024).decode()
assert sys.argv[1:-1] == ["-f", "wav", "-p"]
frames = int(text.split("sample_count -i ")[1].split()[0])
if not frames:
    sys.exit(f"{sys.argv[-1]}: bad header")
data = bytes(4 * frames)
head = struct.pack("<4sI4s4sIHHIIHH4sI", b"RIFF", 36 + len(data), b"WAVE", b"fmt ", 16, 1, 2, 8000, 32000, 4, 16,
                   b"data", len(data))
sys.stdout.buffer.write(head + data)
"""  # the body of a program that "unpacks" what `compressed` has written: silence
