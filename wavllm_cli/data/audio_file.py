"""One audio file, opened whatever its name, measured whatever its header claims, decoded block by block.

Every way in which a file can fail ends in a sentence about it.
"""

import io
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager, nullcontext, suppress
from pathlib import Path
from typing import BinaryIO

import numpy as np
import soundfile

from wavllm_cli.data import ffmpeg
from wavllm_cli.data.audio_header import Header, inspect, spliced
from wavllm_cli.data.files import IS_LFS_POINTER, LFS_POINTER, shown
from wavllm_cli.data.interrupts import interrupts_deferred
from wavllm_cli.data.quiet import c_stderr_silenced
from wavllm_cli.data.shards import member_of, read_member, why_unheard
from wavllm_cli.errors import AudioError, UsageError, WavLLMError, reason

BLOCK = 1 << 16  # frames decoded at a time: what a header claims is never allocated
SLACK = 0.1  # seconds a clip may be shorter than promised without a warning: durations are often rounded
LEAST_SHARE = 0.5  # of the promised samples; a clip with fewer is not used
LAST = 4096  # frames at the end, decoded to see whether they are there
READ_AHEAD = 1 << 13  # bytes of tags that may follow a FLAC's audio

PACKED = ("ALAC", "MPEG")  # whose number of frames cannot be told from the size of a container
UNKNOWN_FORMAT, UNKNOWN_ENCODING = 1, 4  # libsndfile's errors
NO_FRAMES = 7  # libsndfile says that the file does not exist, when it finds no frame of mp3 in it


class UnknownFormat(AudioError):
    """A container or an encoding that libsndfile does not know."""


class _Forwards(soundfile.SoundFile):
    """soundfile itself seeks after each block, which fails where the length is open or the codec cannot seek."""

    def seekable(self) -> bool:
        return False


class AudioFile:
    """An opened file.

    Attributes:
        name: for messages.
        rate: Hz.
        channels: how many.
        frames: as many as there can be; None where that shows in decoding only.
        promised: frames by the header; None where it says nothing.
        notes: what was found wrong so far, a sentence each.
    """

    def __init__(self, file: BinaryIO, header: Header, name: str):
        self.name, self.notes = name, []  # type: tuple[str, list[str]]
        self._file, self._header = file, header
        self._sound, self._fresh = self._opened(), True
        self._failure: str | None = None  # why decoding stopped before the end
        self.rate, self.channels = self._sound.samplerate, self._sound.channels
        is_packed = self._sound.subtype.startswith(PACKED) and not header.is_mpeg
        self._is_counted = header.length == "counted" and not is_packed
        self.frames: int | None = None if header.length == "open" else self._sound.frames
        self.promised: float | None = header.samples
        if self.promised is None and header.ratio is not None and self.frames is not None:
            self.promised = header.ratio * self.frames
        if header.gaps:
            places = "1 place, which is" if header.gaps == 1 else f"{header.gaps} places, which are"
            self.notes.append(f"{name} is damaged in {places} left out.")
        if header.streams:
            self.notes.append(f"{name} holds several recordings one after the other: only the first is read.")

    def _opened(self) -> soundfile.SoundFile:
        source = self._header.source
        source.seek(0)
        try:
            with self._calling_back():
                return _Forwards(self._for_c(source), closefd=False)
        except (soundfile.LibsndfileError, TypeError) as error:  # TypeError: .raw, which has no header
            raise self._not_opened(error) from error

    @property
    def _is_virtual(self) -> bool:
        """Whether libsndfile must ask Python for each piece of the file."""
        return self._header.source is not self._file or isinstance(self._file, io.BytesIO)

    def _for_c(self, source: BinaryIO) -> BinaryIO | int:
        """What soundfile is given: a descriptor, or an object that it calls."""
        if not self._is_virtual:
            return source.fileno()
        return spliced(b"", source, 0) if isinstance(source, io.BytesIO) else source

    def _calling_back(self) -> AbstractContextManager[object]:
        return interrupts_deferred() if self._is_virtual else nullcontext()

    def _not_opened(self, error: Exception) -> AudioError:
        code = getattr(error, "code", UNKNOWN_FORMAT)
        self._file.seek(0)
        if self._file.read(len(LFS_POINTER)) == LFS_POINTER:
            return AudioError(f"{self.name} {IS_LFS_POINTER}.")
        if self._header.cut or (self._header.ratio or 1) > 1:
            return AudioError(f"{self.name} is cut off: what is there of it cannot be decoded.")
        if code == UNKNOWN_FORMAT:
            known = "wav, flac, mp3, ogg, opus or NIST SPHERE"
            return UnknownFormat(f"{self.name} is not audio that can be read ({known}).")
        if code == UNKNOWN_ENCODING:
            words = "is in an encoding that cannot be read: convert it to wav or flac first"
            return UnknownFormat(f"{self.name} {words}.")
        why = "there is no frame of mp3 in it" if code == NO_FRAMES else _said(error)
        return AudioError(f"{self.name} is damaged: {why}.")

    def close(self) -> None:
        self._sound.close()

    # --- decoding ---

    def blocks(self, first: int, count: int | None) -> Iterator[np.ndarray]:
        """Yield (samples, channels) float32 from a frame on: `count` of them, or all (None), as far as they are there.

        Raises:
            AudioError: nothing can be decoded from there on.
        """
        self._failure = None
        self._go_to(first)
        longest = max(1024, BLOCK // self.channels)
        while count is None or count > 0:
            asked = longest if count is None else min(longest, count)
            block = self._decoded(asked)
            if len(block):
                yield block
            if len(block) < asked:
                return
            count = None if count is None else count - asked

    def _decoded(self, frames: int) -> np.ndarray:
        """(samples, channels), fewer than asked for at the end or where decoding fails."""
        block = np.full((frames, self.channels), np.nan, dtype=np.float32)
        self._fresh = False
        try:
            with self._calling_back():
                return self._sound.read(frames, out=block)
        except soundfile.LibsndfileError as error:
            self._failure = _said(error)
            filled = np.flatnonzero(~np.isnan(block).any(axis=1))
            return block[: filled[-1] + 1] if len(filled) else block[:0]

    def _go_to(self, first: int) -> None:
        if first > 0 and self.frames is not None and soundfile.SoundFile.seekable(self._sound):
            self._fresh = False
            try:
                with self._calling_back():
                    self._sound.seek(first)
            except soundfile.LibsndfileError as error:
                since = f"from {first / self.rate:.2f} s on"
                raise AudioError(f"{self.name} is damaged or cut off: it cannot be read {since}.") from error
            return
        if not self._fresh:
            self._sound.close()
            self._sound = self._opened()
        while first > 0:  # what cannot be skipped is decoded
            dropped = len(self._decoded(min(BLOCK, first)))
            if not dropped:
                return
            first -= dropped

    # --- how much is there ---

    def measured(self) -> int:
        """Frames that can be decoded; only where the header cannot be held against the file are they decoded for it.

        Raises:
            AudioError: it is damaged, or less than half of what the header promises is there.
        """
        there = self.frames
        if there is None or self._header.gaps or not (self._is_counted or self._reaches(there)):
            there = sum(map(len, self.blocks(0, None)))
        if not there:
            raise self.nothing_from(0)
        self.settle(there, None if self.promised is None else self.promised / self.rate)
        return there

    def _reaches(self, frames: int) -> bool:
        """Whether the last of so many frames can be decoded: the decoder looks for it, which costs less than 1 ms."""
        first = max(0, frames - LAST)
        with suppress(AudioError):
            return sum(map(len, self.blocks(first, frames - first))) == frames - first and not self._failure
        return False

    def nothing_from(self, start: float) -> AudioError:
        """What to say where nothing is left from a second on."""
        frames = self.frames if self._is_counted and self.frames is not None else sum(map(len, self.blocks(0, None)))
        if frames:
            long = _seconds(frames / self.rate)
            return AudioError(f"{self.name} is {long} long: a segment cannot begin at {_seconds(start)}.")
        if self._header.cut or self._failure:
            return AudioError(f"{self.name} is cut off: nothing of it can be decoded.")
        return AudioError(f"{self.name} holds no audio: it has a header and zero samples.")

    def settle(self, there: int, promised: float | None, first: int = 0, is_segment: bool = False) -> None:
        """Note it if the end of what was promised is missing.

        Args:
            there: frames decoded.
            promised: seconds by the header, or asked for; None if nobody knows.
            first: where they begin.
            is_segment: they were asked for, so that their end is not the file's.

        Raises:
            AudioError: too little is there, or the rest is damaged.
        """
        seconds, of = _seconds(there / self.rate), "" if promised is None else f" of {_seconds(promised)}"
        if self._failure:
            after = f"{_seconds((first + there) / self.rate)}{'' if is_segment else of}"
            raise AudioError(f"{self.name} is damaged or cut off after {after} ({self._failure}).")
        if not is_segment and self._header.cut:
            self.notes.append(
                f"{self.name} is cut off, nobody knows how much is missing: {seconds} are there and used."
            )
        elif promised is not None and abs(there / self.rate - promised) < SLACK:
            self._note_rest(seconds, is_segment)
        elif not is_segment and not self._header.credible:
            self.notes.append(f"{self.name} has a wrong header, which says{of[3:]}: {seconds} are there and used.")
        elif promised is not None and there < LEAST_SHARE * promised * self.rate:
            raise AudioError(f"{self.name} is cut off: {seconds}{of} are there.")
        elif promised is not None and there < promised * self.rate:
            self.notes.append(f"{self.name} is cut off: {seconds}{of} are there and used.")
        else:
            self._note_rest(seconds, is_segment)

    def _note_rest(self, seconds: str, is_segment: bool) -> None:
        if not is_segment and (self._header.goes_on or self._leaves_something()):
            self.notes.append(f"{self.name} goes on behind the {seconds} of its header, which alone are read.")

    def _leaves_something(self) -> bool:
        """Whether a FLAC's decoder has stopped, where the header says so, with much of the file unread."""
        if self._sound.format != "FLAC":
            return False
        at = self._file.tell()
        return self._file.seek(0, io.SEEK_END) - at > READ_AHEAD


@contextmanager
def opened(file: BinaryIO, name: str) -> Iterator[AudioFile]:
    """An audio file out of an open file or BytesIO; whatever goes wrong with it is an AudioError.

    Raises:
        AudioError: says what.
    """
    try:
        if not file.seek(0, io.SEEK_END):
            raise AudioError(f"{name} is empty (0 bytes).")
        header = inspect(file)
        if header.refused:
            raise AudioError(f"{name} {header.refused}.")
        with c_stderr_silenced(), closing(AudioFile(file, header, name)) as audio:
            yield audio
    except WavLLMError:
        raise
    except MemoryError as error:
        raise AudioError(f"{name} needs more memory than there is.") from error
    except OSError as error:
        raise AudioError(f"{name} cannot be read: {error.strerror or error}.") from error
    except (RuntimeError, ValueError, TypeError, ArithmeticError) as error:  # what soundfile, NumPy and soxr raise
        raise AudioError(f"{name} cannot be read: {reason(error)}.") from error


def require_heard(path: Path) -> None:
    """Find out before it is opened that a path leads to no audio file, or to none that may be read.

    Raises:
        UsageError: there is no such file.
        AudioError: it may not be read.
    """
    name, problem = shown(path), why_unheard(path)
    if problem == "does not exist":
        raise UsageError(f"There is no audio file {name}.")
    if problem:
        error = AudioError if problem.startswith("may not be read") else UsageError
        raise error(f"{name} {problem}{', not audio' if problem.startswith('is ') else ''}.")


@contextmanager
def opened_path(path: Path, name: str | None = None) -> Iterator[AudioFile]:
    """As `opened`, for a path; also one of a member of an archive, which is read whole.

    Args:
        name: what messages call it, if not by its path.

    Raises:
        UsageError: there is no such file.
        AudioError: it may not be read, or is not audio.
    """
    require_heard(path)
    name, member = name or shown(path), member_of(path)
    if member:
        with opened(io.BytesIO(read_member(path, member)), name) as audio:
            yield audio
        return
    try:
        file = path.open("rb", buffering=0)
    except OSError as error:
        raise AudioError(f"{name} may not be read: {error.strerror}.") from error
    with ExitStack() as stack:
        stack.enter_context(file)
        try:
            audio = stack.enter_context(opened(file, name))
        except UnknownFormat:
            if not (ffmpeg.installed() or path.suffix.lower() in ffmpeg.SUFFIXES):
                raise
            audio = stack.enter_context(opened(stack.enter_context(ffmpeg.decoded(path, name)), name))
        yield audio


def _seconds(value: float) -> str:
    return f"{value:.2f} s" if value < 1e9 else f"{value:g} s"


def _said(error: Exception) -> str:
    """libsndfile's own words, to stand within a sentence."""
    words = getattr(error, "error_string", "") or reason(error)
    return words.removeprefix("Error : ").strip(" .")
