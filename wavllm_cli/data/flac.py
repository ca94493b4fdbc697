"""How long a FLAC is, told without decoding: its header, and a whole last frame that ends where the file does."""

import os
from functools import cache
from pathlib import Path

import numpy as np

HEAD = 42  # bytes: the mark, and the block that describes the stream
MARK = b"fLaC"
STREAMINFO, STREAMINFO_SIZE = 0, 34
TAIL = 1 << 15  # bytes in which the last frame must begin
FIXED, VARIABLE = b"\xff\xf8", b"\xff\xf9"  # how a frame begins, in a file of blocks of one length or of several
LONGEST_HEADER = 16


def told(path: str | Path) -> tuple[int, int, int] | None:
    """(frames, rate in Hz, channels) of a file; None where only decoding tells, or it is no FLAC."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)  # a pipe does not keep us waiting
    except (OSError, ValueError):
        return None
    try:
        return _told(descriptor)
    except OSError:
        return None
    finally:
        os.close(descriptor)


def _told(descriptor: int) -> tuple[int, int, int] | None:
    head = os.read(descriptor, TAIL)  # most often all that there is
    if len(head) < HEAD or not head.startswith(MARK) or head[4] & 0x7F != STREAMINFO or head[7] != STREAMINFO_SIZE:
        return None
    packed = int.from_bytes(head[18:26], "big")  # rate: 20 bits, channels - 1: 3, bits of a sample - 1: 5, frames: 36
    rate, channels, frames = packed >> 44, (packed >> 41 & 7) + 1, packed & (1 << 36) - 1
    if not rate or not frames:
        return None
    tail = head[HEAD:]
    if len(head) == TAIL:
        tail = os.pread(descriptor, TAIL, max(HEAD, os.fstat(descriptor).st_size - TAIL))
    block = int.from_bytes(head[8:10], "big") if head[8:10] == head[10:12] else None
    return (frames, rate, channels) if _ends_with(tail, frames, block) else None


def _ends_with(tail: bytes, frames: int, block: int | None) -> bool:
    """Whether the last bytes of a file are those of its last frame.

    Args:
        frames: samples of the file in each channel.
        block: samples of every frame but the last; None where it is told by the frames.
    """
    if tail.endswith(b"\0"):  # zeros behind a frame leave its checksum as it is
        return False
    for sync in (FIXED, VARIABLE):
        at = len(tail)
        while (at := tail.rfind(sync, 0, at + 1)) >= 0:
            if _end(tail[at : at + LONGEST_HEADER], block) == frames and crc16(tail[at:]) == 0:
                return True  # what ends in its own checksum has the checksum 0
            at -= 1
    return False


def _end(header: bytes, block: int | None) -> int | None:
    """The number of the sample behind a frame; None where this is no frame's header."""
    number, at = _number(header[4:11])
    if number is None:
        return None
    at += 4
    code = header[2] >> 4
    if code in (6, 7):
        samples = int.from_bytes(header[at : at + code - 5], "big") + 1
        at += code - 5
    elif code >= 8:
        samples = 256 << code - 8
    else:
        samples = {1: 192, 2: 576, 3: 1152, 4: 2304, 5: 4608}.get(code, 0)
    at += {12: 1, 13: 2, 14: 2}.get(header[2] & 15, 0)  # the rate, where it has no code
    if not samples or at >= len(header) or crc8(header[:at]) != header[at]:
        return None
    if header.startswith(VARIABLE):
        return number + samples
    return None if block is None else number * block + samples


def _number(coded: bytes) -> tuple[int | None, int]:
    """A number written as UTF-8 writes characters, of up to 36 bits, and the bytes that it takes."""
    if not coded:
        return None, 0
    if coded[0] < 0x80:
        return coded[0], 1
    size = 8 - (coded[0] ^ 0xFF).bit_length()
    rest = coded[1:size]
    if not 2 <= size <= 7 or len(rest) < size - 1 or any(byte >> 6 != 2 for byte in rest):
        return None, 0
    value = coded[0] & 0x7F >> size
    for byte in rest:
        value = value << 6 | byte & 0x3F
    return value, size


# --- checksums ---


def crc8(content: bytes) -> int:
    """Of a frame's header: x⁸ + x² + x + 1."""
    value = 0
    for byte in content:
        value = _crc8_table()[value ^ byte]
    return value


def crc16(content: bytes) -> int:
    """Of a whole frame: x¹⁶ + x¹⁵ + x² + 1. It is linear, so that each bit that is set adds what it is at its place."""
    bits = np.unpackbits(np.frombuffer(content, dtype=np.uint8))
    return int(np.bitwise_xor.reduce(_crc16_table()[8 * TAIL - len(bits) :] * bits))


@cache
def _crc8_table() -> list[int]:
    table = np.arange(256)
    for _ in range(8):
        table = np.where(table & 0x80, table << 1 ^ 0x07, table << 1) & 0xFF
    return [int(value) for value in table]


@cache
def _crc16_table() -> np.ndarray:
    """(8 · TAIL,) uint16: the checksum of each single bit, the last bit of a frame at the end."""
    table = np.empty(8 * TAIL, dtype=np.uint16)
    value = 0x8005
    for place in range(8 * TAIL - 1, -1, -1):
        table[place] = value
        value = (value << 1 ^ 0x8005) & 0xFFFF if value & 0x8000 else value << 1
    return table
