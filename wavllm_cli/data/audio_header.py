"""What the header of an audio file claims about its length, held against the bytes that are there.

libsndfile believes sizes that were never filled in (a header written into a pipe), says nothing of many files that are
cut off, and refuses others. Here the size is found and judged; where it is wrong, libsndfile is given the same file
with the right one.
"""

import io
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import BinaryIO, Literal

from wavllm_cli.data import mpeg, ogg, sphere

LONGEST_HEADER = 1 << 24  # bytes; notes and pictures may stand before the audio
LEFT_OPEN = 0x7F00_0000  # bytes: encoders that write into a pipe claim 2 or 4 GB, or nearly so
NO_SIZE = 1 << 48  # bytes
SURPLUS = 1 << 12  # bytes of nothing known behind the audio that are no reason yet to doubt its size
FLAC_SAMPLES_PER_BYTE = 6600  # at most: a frame of silence has 65,535 samples in 10 bytes
BUFFER = 1 << 16  # bytes: libmpg123 reads four at a time

Length = Literal["counted", "claimed", "open"]


@dataclass(frozen=True)
class Header:
    """How a file is to be read, and what its header promises.

    Attributes:
        source: what libsndfile is given: the file, or the file with another beginning.
        length: whether libsndfile's length is counted from the bytes that are there, only claimed, or left open.
        ratio: the length that the header claims by the one that is there, None where it claims none.
        samples: the number that the header claims, where it is not to be had from libsndfile.
        credible: False where what is there cannot be a part of what is claimed.
        cut: the end is missing; how much is not known.
        goes_on: something of unknown kind, and much of it, stands behind the audio.
        gaps: places where something else stands in the midst of the audio.
        streams: whether others follow the first one.
        is_mpeg: whether libmpg123 decodes it.
        refused: why it is not read at all, to stand behind its name.
    """

    source: BinaryIO
    length: Length = "counted"
    ratio: float | None = 1.0
    samples: int | None = None
    credible: bool = True
    cut: bool = False
    goes_on: bool = False
    gaps: int = 0
    streams: bool = False
    is_mpeg: bool = False
    refused: str | None = None


def inspect(file: BinaryIO) -> Header:
    """Read the header, of an MP3 the headers of all frames, and of an Ogg file all pages.

    Args:
        file: opened, seekable.
    """
    end = file.seek(0, io.SEEK_END)
    start = _id3(file)
    magic = _at(file, start, 4)
    if magic == b"fLaC":
        return _flac(file, start, end)
    if magic[:1] == b"\xff":
        return _mp3(file, start)
    if magic in CHUNKED:
        return _chunked(file, end, CHUNKED[magic])
    if magic in (b".snd", b"dns."):
        return _au(file, end, "big" if magic == b".snd" else "little")
    if magic == b"OggS":
        return _ogg(file)
    if magic == b"NIST":
        return _sphere(file, end)
    return Header(file, "claimed")


def _at(file: BinaryIO, start: int, size: int) -> bytes:
    file.seek(start)
    return file.read(size)


def _id3(file: BinaryIO) -> int:
    """Bytes of the ID3v2 tags that FLAC and MP3 files may begin with; some programs put theirs before another's."""
    start = 0
    while len(tag := _at(file, start, 10)) == 10 and tag[:3] == b"ID3":
        start += 10 + sum((byte & 0x7F) << shift for byte, shift in zip(tag[6:], (21, 14, 7, 0), strict=True))
    return start


def _flac(file: BinaryIO, start: int, end: int) -> Header:
    samples = int.from_bytes(_at(file, start + 18, 8), "big") & (1 << 36) - 1
    if not samples:
        return Header(file, "open", ratio=None)
    if samples > FLAC_SAMPLES_PER_BYTE * (end - start):
        return Header(file, "open", samples=samples, credible=False)
    return Header(file, "claimed")


def _mp3(file: BinaryIO, start: int) -> Header:
    found = mpeg.scan(file, start)
    if found is None:
        return Header(file, "claimed", ratio=None, is_mpeg=True)
    if found.promised is None or found.frames > found.promised:
        whole = spliced(found.xing_frame(), file, found.first)
        return Header(whole, ratio=None, cut=found.is_cut, gaps=found.gaps, is_mpeg=True)
    length: Length = "counted" if found.frames == found.promised else "claimed"
    return Header(file, length, gaps=found.gaps, is_mpeg=True)


def _ogg(file: BinaryIO) -> Header:
    found = ogg.scan(file)
    return Header(file, ratio=None, cut=found.is_cut, gaps=found.gaps, streams=found.streams)


def _sphere(file: BinaryIO, end: int) -> Header:
    size = _at(file, 8, 8).strip()
    fields = sphere.fields(file)
    samples = sphere.claimed_frames(fields, end - int(size)) if size.isdigit() else None
    refused = sphere.why_refused(fields)
    return Header(file, "claimed" if samples is None else "counted", samples=samples, refused=refused)


# --- containers of chunks ---


@dataclass(frozen=True)
class _Layout:
    """How chunks are written: name, size, content, padding."""

    start: int  # bytes before the first chunk
    order: Literal["little", "big"]
    name: int = 4  # bytes
    size: int = 4
    alignment: int = 2
    counts_itself: bool = False  # whether a chunk's size is that of its name and size too
    before_audio: int = 0  # bytes in the audio chunk that are none of the audio


@dataclass(frozen=True)
class _Chunk:
    name: bytes
    size_at: int
    size: int  # of the content, as claimed
    content: int  # where it begins


CHUNKED = {
    b"RIFF": _Layout(12, "little"),
    b"RIFX": _Layout(12, "big"),
    b"RF64": _Layout(12, "little"),
    b"BW64": _Layout(12, "little"),
    b"FORM": _Layout(12, "big", before_audio=8),
    b"riff": _Layout(40, "little", name=16, size=8, alignment=8, counts_itself=True),  # Sony Wave64
    b"caff": _Layout(8, "big", size=8, alignment=1, before_audio=4),
}
DS64_SIZE = 28  # where RF64 has the real size of its audio, of 8 bytes


def _chunks(file: BinaryIO, at: int, end: int, layout: _Layout) -> Iterator[_Chunk]:
    """The chunks from a place on, as far as their names are names."""
    head = layout.name + layout.size
    while at + head <= end:
        read = _at(file, at, head)
        name, size = read[:4], int.from_bytes(read[layout.name :], layout.order, signed=layout.size == 8)
        if not re.fullmatch(rb"[ -~]{4}", name):
            return
        size -= head if layout.counts_itself else 0
        yield _Chunk(name, at + layout.name, size, at + head)
        at += head + size if size >= 0 else end
        at += -at % layout.alignment


def _chunked(file: BinaryIO, end: int, layout: _Layout) -> Header:
    audio = next((c for c in _chunks(file, layout.start, end, layout) if c.name in (b"data", b"SSND")), None)
    if audio is None or audio.content > LONGEST_HEADER:
        return Header(file, "claimed")
    width, order, size_at, claimed = layout.size, layout.order, audio.size_at, audio.size
    if _at(file, 0, 4) in (b"RF64", b"BW64") and claimed == 0xFFFF_FFFF:
        width, size_at = 8, DS64_SIZE
        claimed = int.from_bytes(_at(file, DS64_SIZE, 8), order, signed=True)
    there = end - audio.content
    header = _judged(file, end, layout, audio, claimed, width)
    if header.ratio == 1.0:
        return header
    size = there + (layout.name + layout.size if layout.counts_itself else 0)
    return _with_size(header, audio.content, size_at, min(size, (1 << 8 * width) - 1).to_bytes(width, order))


def _judged(file: BinaryIO, end: int, layout: _Layout, audio: _Chunk, claimed: int, width: int) -> Header:
    """Whether the size of the audio chunk is right, left open, or of a file that is cut off."""
    there = end - audio.content
    ratio = (claimed - layout.before_audio) / max(1, there - layout.before_audio)
    if claimed > there:
        if claimed >= (LEFT_OPEN if width == 4 else NO_SIZE):
            return Header(file, ratio=None)
        outer = int.from_bytes(_at(file, 4, 4), layout.order)
        return Header(file, ratio=ratio, credible=width != 4 or abs(outer + 8 - end) > 1)
    behind = audio.content + max(0, claimed)
    behind += -behind % layout.alignment
    surplus = end - behind
    if surplus <= 0 or (surplus <= SURPLUS and claimed > 0) or any(_chunks(file, behind, end, layout)):
        return Header(file)
    if surplus <= claimed:
        return Header(file, goes_on=True)
    return Header(file, ratio=None) if claimed <= layout.before_audio else Header(file, ratio=ratio, credible=False)


def _au(file: BinaryIO, end: int, order: Literal["little", "big"]) -> Header:
    content, claimed = (int.from_bytes(_at(file, at, 4), order) for at in (4, 8))
    there = end - content
    if claimed == there or not 24 <= content <= min(end, LONGEST_HEADER):
        return Header(file)
    if not claimed or claimed >= LEFT_OPEN:
        header = Header(file, ratio=None)
    else:
        header = Header(file, ratio=claimed / max(1, there), credible=claimed > there)
    return _with_size(header, content, 8, min(there, 0xFFFF_FFFE).to_bytes(4, order))


# --- the same file with a header put right ---


def _with_size(header: Header, content: int, at: int, size: bytes) -> Header:
    beginning = bytearray(_at(header.source, 0, content))
    beginning[at : at + len(size)] = size
    return Header(spliced(bytes(beginning), header.source, content), ratio=header.ratio, credible=header.credible)


def spliced(beginning: bytes, file: BinaryIO, skipped: int) -> BinaryIO:
    """A file with another beginning, in the place of its first `skipped` bytes."""
    return _ForC(_Spliced(beginning, file, skipped), BUFFER)


class _ForC(io.BufferedReader):
    """A file that libsndfile asks for by calling back: an exception would be printed there, and lost."""

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        with suppress(OSError, ValueError):
            return super().seek(offset, whence)
        return self.tell()

    def readinto(self, buffer) -> int:
        with suppress(OSError, ValueError):
            return super().readinto(buffer)
        return 0


class _Spliced(io.RawIOBase):
    def __init__(self, beginning: bytes, file: BinaryIO, skipped: int):
        self.beginning, self.file, self.skipped, self.at = beginning, file, skipped, 0
        self.size = file.seek(0, io.SEEK_END) - skipped + len(beginning)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self.at = max(0, offset + (0, self.at, self.size)[whence])
        return self.at

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def readinto(self, buffer) -> int:
        """Fill the buffer as far as the file goes: libsndfile takes less for the end."""
        view = memoryview(buffer).cast("B")
        piece = self.beginning[self.at : self.at + len(view)]
        view[: len(piece)] = piece
        self.file.seek(max(self.skipped, self.at - len(self.beginning) + self.skipped))
        count = len(piece) + self.file.readinto(view[len(piece) :])  # type: ignore[attr-defined]
        self.at += count
        return count
