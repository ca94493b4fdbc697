"""The frames of an MP3, counted. Without a Xing header libsndfile guesses the length from the first frames and stops
there (after 0.3 of 2.0 s, in one case); and it says nothing of places that it had to leave out.
"""

from dataclasses import dataclass
from typing import BinaryIO

from wavllm_cli.data.mapped import Content, scanned

MPEG1, MPEG2, MPEG25 = 3, 2, 0  # as a frame's header has them
LAYER_3 = 1
BITRATES_1 = (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)  # kbit/s
BITRATES_2 = (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)
RATES = {MPEG1: (44_100, 48_000, 32_000), MPEG2: (22_050, 24_000, 16_000), MPEG25: (11_025, 12_000, 8_000)}
XING = (b"Xing", b"Info")


@dataclass(frozen=True)
class Mp3:
    """What a file of MPEG audio, layer III, holds."""

    first: int  # bytes before the first frame of audio
    header: bytes  # of that frame
    frames: int  # whole ones
    promised: int | None  # frames by the Xing header
    gaps: int  # places where something else stands between two frames
    is_cut: bool  # the last frame is not whole

    @property
    def frame_samples(self) -> int:
        return 1152 if _version(self.header) == MPEG1 else 576

    def xing_frame(self) -> bytes:
        """A frame to stand before the first one: it tells a decoder how many there are, and is not heard."""
        header = bytearray(self.header)
        header[1] |= 1  # no checksum
        header[2] = header[2] & 0b1100 | 14 << 4  # the greatest bit rate has room for it
        fields = b"Xing\0\0\0\1" + self.frames.to_bytes(4, "big")
        return (bytes(header) + bytes(_side_information(self.header)) + fields).ljust(_size(header), b"\0")


def scan(file: BinaryIO, start: int) -> Mp3 | None:
    """Walk through all frames, which takes about 0.1 s for an hour; None if it is another kind of MPEG audio.

    Args:
        file: an open file, or a BytesIO.
        start: bytes before the first frame (an ID3v2 tag).
    """
    return scanned(file, _walk, start)


def _walk(content: Content, start: int) -> Mp3 | None:
    first = _next_frame(content, start, None)
    if first is None:
        return None
    header = content[first : first + 4]
    promised = _xing_frames(content, first)
    if promised is not None:
        first += _size(header)
    at, frames, gaps = first, 0, 0
    while True:
        size = _size(content[at : at + 4], header)
        if size and at + size <= len(content):
            frames, at = frames + 1, at + size
            continue
        found = _next_frame(content, at, header)
        if found is None:
            return Mp3(first, header, frames, promised, gaps, is_cut=bool(size))
        gaps, at = gaps + 1, found


def _next_frame(content: Content, start: int, like: bytes | None) -> int | None:
    """Where two frames stand one behind the other, or one ends with the file."""
    at = content.find(b"\xff", start)
    while at >= 0:
        header = content[at : at + 4]
        size = _size(header, like)
        if size and (at + size == len(content) or _size(content[at + size : at + size + 4], header)):
            return at
        at = content.find(b"\xff", at + 1)
    return None


def _size(header: bytes | bytearray, like: bytes | None = None) -> int:
    """Bytes of the frame with these first four; 0 if they are no frame's, or of another stream than `like`."""
    if len(header) < 4 or header[0] != 0xFF or header[1] & 0xE0 != 0xE0:
        return 0
    version, layer = _version(header), header[1] >> 1 & 3
    bitrate, rate = header[2] >> 4, header[2] >> 2 & 3
    if version == 1 or layer != LAYER_3 or not 0 < bitrate < 15 or rate == 3:
        return 0
    if like is not None and (header[1] ^ like[1] | (header[2] ^ like[2]) & 0b1100) & 0b11111110:
        return 0
    bits = 1000 * (BITRATES_1 if version == MPEG1 else BITRATES_2)[bitrate]
    padding = header[2] >> 1 & 1
    return (144 if version == MPEG1 else 72) * bits // RATES[version][rate] + padding


def _xing_frames(content: Content, at: int) -> int | None:
    """What the Xing header in the first frame says, if there is one."""
    header = content[at : at + 4]
    start = at + 4 + _side_information(header)
    if content[start : start + 4] not in XING:
        return None
    knows_frames = content[start + 7] & 1
    return int.from_bytes(content[start + 8 : start + 12], "big") if knows_frames else None


def _version(header: bytes | bytearray) -> int:
    return header[1] >> 3 & 3


def _side_information(header: bytes | bytearray) -> int:
    """Bytes between a frame's header and its content."""
    mono = header[3] >> 6 == 3
    if _version(header) == MPEG1:
        return 17 if mono else 32
    return 9 if mono else 17
