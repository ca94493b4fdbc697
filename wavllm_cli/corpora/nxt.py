"""Annotations in NXT's XML, as AMI has them: words in their order, segments that are ranges of words, who is who."""

import re
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from pathlib import Path, PurePosixPath
from unicodedata import normalize
from xml.etree import ElementTree

from wavllm_cli.corpora import FORM, Skipped
from wavllm_cli.data.files import shown
from wavllm_cli.errors import UsageError, WavLLMError, reason

MEETINGS = "corpusResources/meetings.xml"

_ID = "{http://nite.sourceforge.net/}id"
_CHILD = "{http://nite.sourceforge.net/}child"
_RANGE = re.compile(r"[^#]*#id\(([^)]+)\)(?:\.\.id\(([^)]+)\))?")


@dataclass(frozen=True)
class Participant:
    """Who takes part in a meeting, as `agent` A, B …

    Args:
        channel: of the headset; None where it is not told.
        name: the same in all meetings; None where it is not told.
        role: in meetings that are played.
    """

    agent: str
    channel: int | None
    name: str | None
    role: str | None


@dataclass(frozen=True)
class Segment:
    """What a participant says at a stretch.

    Args:
        start: seconds.
        end: seconds.
        words: without punctuation.
        text: with it.
    """

    start: float
    end: float
    words: str
    text: str


class Annotations:
    """The owner's files, in a folder or as the zip in which they come."""

    def __init__(self, place: Path):
        """Args:
            place: a folder that holds `MEETINGS`, or a zip with it in any of its folders.

        Raises:
            UsageError: there is no such file in it.
            WavLLMError: it cannot be read.
        """
        self.place = place
        try:
            if place.is_dir():
                self._readers = _in_folder(place)
            else:
                self._readers = _in_zip(place)
        except (OSError, zipfile.BadZipFile) as error:
            raise WavLLMError(f"{shown(place)} cannot be read: {reason(error)}.") from error
        if MEETINGS not in self._readers:
            raise UsageError(f"{shown(place)} holds no AMI annotations: there is no {MEETINGS} in it.")

    def participants(self) -> dict[str, list[Participant]]:
        """Who takes part, by meeting.

        Raises:
            WavLLMError: the list cannot be read.
        """
        meetings = self._parsed(MEETINGS)
        if isinstance(meetings, Skipped):
            raise WavLLMError(f"{meetings.item} {meetings.detail}.")
        return {
            meeting.get("observation", ""): [_participant(speaker) for speaker in meeting.iter("speaker")]
            for meeting in meetings.iter("meeting")
        }

    def agents(self, meeting: str) -> set[str]:
        """Those of whom there are segments, whether the list of participants knows them or not."""
        names = (re.fullmatch(rf"segments/{re.escape(meeting)}\.(\w+)\.segments\.xml", name) for name in self._readers)
        return {match[1] for match in names if match}

    def digest(self) -> bytes:
        """The same for the same files, wherever they lie."""
        whole = sha256()
        for name, read in sorted(self._readers.items()):
            whole.update(name.encode() + sha256(read()).digest())
        return whole.digest()

    def segments(self, meeting: str, agent: str) -> Iterator[Segment | Skipped]:
        """What a participant says, in the order of the file; nothing where there is no such file."""
        name = f"segments/{meeting}.{agent}.segments.xml"
        if name not in self._readers:
            return
        spoken, root = self._parsed(f"words/{meeting}.{agent}.words.xml"), self._parsed(name)
        for one in (spoken, root):
            if isinstance(one, Skipped):
                yield one
        if isinstance(spoken, Skipped) or isinstance(root, Skipped):
            return
        words = list(spoken)
        position = {word.get(_ID): at for at, word in enumerate(words)}
        for segment in root.iter("segment"):
            yield _segment(segment, words, position, f"{self.place.name}/{name}")

    def _parsed(self, name: str) -> ElementTree.Element | Skipped:
        """A file's content; the parser sees to its encoding."""
        try:
            return ElementTree.fromstring(self._readers[name]())
        except KeyError:
            return Skipped(f"{self.place.name}/{name}", FORM, "is not there")
        except (OSError, ElementTree.ParseError, zipfile.BadZipFile, ValueError) as error:
            return Skipped(f"{self.place.name}/{name}", FORM, f"cannot be read: {reason(error)}")


def is_annotated(folder: Path) -> bool:
    return (folder / MEETINGS).is_file()


def _in_folder(folder: Path) -> dict[str, Callable[[], bytes]]:
    paths = [folder / MEETINGS, *folder.glob("words/[!.]*.xml"), *folder.glob("segments/[!.]*.xml")]
    return {path.relative_to(folder).as_posix(): path.read_bytes for path in paths if path.is_file()}


def _in_zip(path: Path) -> dict[str, Callable[[], bytes]]:
    file = zipfile.ZipFile(path)
    top = next((name for name in file.namelist() if name.endswith(MEETINGS)), MEETINGS).removesuffix(MEETINGS)
    names = (name for name in file.namelist() if name.startswith(top) and not PurePosixPath(name).name.startswith("."))
    return {name.removeprefix(top): partial(file.read, name) for name in names}


def _participant(speaker: ElementTree.Element) -> Participant:
    channel = speaker.get("channel", "")
    return Participant(
        agent=speaker.get("nxt_agent", ""),
        channel=int(channel) if channel.isdecimal() else None,
        name=speaker.get("global_name") or None,
        role=speaker.get("role") or None,
    )


def _segment(
    segment: ElementTree.Element, words: list[ElementTree.Element], position: dict[str | None, int], file: str
) -> Segment | Skipped:
    """The words between the first and the last that a segment names, whether they have times or not."""
    name = f"{file}: {segment.get(_ID, 'a segment')}"
    said: list[ElementTree.Element] = []
    for child in segment.iter(_CHILD):
        match = _RANGE.fullmatch(child.get("href", ""))
        ends = (match[1], match[2] or match[1]) if match else ("", "")
        if any(end not in position for end in ends):
            return Skipped(name, FORM, "names words that are not there")
        said += words[position[ends[0]] : position[ends[1]] + 1]
    try:
        start, end = float(segment.get("transcriber_start", "")), float(segment.get("transcriber_end", ""))
    except ValueError:
        return Skipped(name, FORM, "has no times")
    return Segment(start, end, *_texts(word for word in said if word.tag == "w"))


def _texts(words: Iterator[ElementTree.Element]) -> tuple[str, str]:
    """Words without and with punctuation."""
    bare, text = [], ""
    for word in words:
        letters = normalize("NFC", (word.text or "").strip())
        if word.get("punc") == "true":
            text += letters
        elif letters:
            bare.append(letters)
            text += f" {letters}"
    return " ".join(bare), text.strip()
