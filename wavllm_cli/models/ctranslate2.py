"""Reads `model.bin`, the file of tensors of CTranslate2, without that library.

Layout, little-endian: version u32; name of the architecture; its revision u32; number of tensors u32. Of each tensor:
name; rank u8; sizes u32 each; type u8; bytes u32; content. Then u32 pairs of names: another name, the tensor's. A name
is its length u16, with a final NUL that counts, and its letters.
"""

import mmap
import struct
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from wavllm_cli.errors import WavLLMError

VERSION = 6
TYPES = {0: np.float32, 1: np.int8, 2: np.int16, 3: np.int32, 4: np.float16}  # 5 is bfloat16, which NumPy has not
SCALE = "_scale"  # behind the name of a quantised tensor


class _Reader:
    """A file's bytes, taken from front to back."""

    def __init__(self, content: mmap.mmap):
        self.content = content
        self.position = 0

    def number(self, kind: str) -> int:
        size = struct.calcsize(f"<{kind}")
        (value,) = struct.unpack(f"<{kind}", self.bytes(size))
        return value

    def text(self) -> str:
        return self.bytes(self.number("H")).rstrip(b"\0").decode()

    def bytes(self, size: int) -> bytes:
        self.skip(size)
        return self.content[self.position - size : self.position]

    def skip(self, size: int) -> None:
        self.position += size
        if self.position > len(self.content):
            raise ValueError("it ends too early")


def read_model(path: Path, architecture: str) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """The tensors of a file by name, quantised ones as float32, and the further names of some.

    Raises:
        WavLLMError: it is damaged, of another version, or of another architecture.
    """
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            reader = _Reader(content)
            version, found = reader.number("I"), reader.text()
            if (version, found) != (VERSION, architecture):
                raise ValueError(f"it is a {found} of version {version}, not a {architecture} of version {VERSION}")
            reader.number("I")  # of the architecture; what it adds, other tensors, would be noticed
            tensors = dict(_tensors(reader))
            aliases = {reader.text(): reader.text() for _ in range(reader.number("I"))}
            if reader.position != len(content):
                raise ValueError(f"{len(content) - reader.position} bytes follow its end")
    except (OSError, ValueError, struct.error) as error:
        raise WavLLMError(f"{path} cannot be read as a CTranslate2 model: {error}.") from error
    return _dequantised(tensors), aliases


def _tensors(reader: _Reader) -> Iterator[tuple[str, np.ndarray]]:
    for _ in range(reader.number("I")):
        name = reader.text()
        shape = [reader.number("I") for _ in range(reader.number("B"))]
        kind, size = reader.number("B"), reader.number("I")
        if kind not in TYPES:
            raise ValueError(f"{name} is of type {kind}, which is unknown")
        values = np.frombuffer(reader.bytes(size), TYPES[kind])
        yield name, values.reshape(shape)


def _dequantised(tensors: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Integers as the numbers that they stand for: integer / scale, one scale a row or one for all."""
    return {
        name: _scaled(values, tensors.get(f"{name}{SCALE}"))
        for name, values in tensors.items()
        if not name.endswith(SCALE)
    }


def _scaled(values: np.ndarray, scale: np.ndarray | None) -> np.ndarray:
    if scale is None:
        return values
    rows = scale.reshape(-1, *[1] * (values.ndim - 1)) if scale.ndim else scale
    return values.astype(np.float32) / rows
