"""Kaldi data directories; the commands in their wav.scp are read, not run."""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from wavllm_cli.corpora import DUPLICATE, FORM, NO_AUDIO, NO_TEXT, UNREADABLE, About, Draft, Skipped
from wavllm_cli.corpora.folders import holding, not_found
from wavllm_cli.corpora.importers import Own, Record
from wavllm_cli.corpora.importers.columns import names
from wavllm_cli.corpora.importers.embedded import Store
from wavllm_cli.corpora.importers.pipes import PIPE, Source, source
from wavllm_cli.corpora.importers.places import base, found
from wavllm_cli.corpora.importers.rows import drafts
from wavllm_cli.corpora.tables import place, texts
from wavllm_cli.data.files import shown
from wavllm_cli.errors import UsageError

ABOUT = About(
    title="Kaldi data directories: wav.scp, text, segments, utt2spk.",
    licence="yours",
    size="any; several directories are splits by their names, one is split by seed",
    tasks=("asr", "st"),
    source="Kaldi, ESPnet, WeNet, icefall recipes",
    layout="wav.scp and text; segments, utt2spk, spk2gender, utt2lang, reco2file_and_channel where there are",
    root="The directory, or one above several.",
    example="wavllm prep kaldi data --audio-root /recipes/own --language en --out data/own",
    out="data/own",
)
MARK = re.compile(r"<[^<>\s]+>|\[[^\[\]\s]+\]|![A-Z_]+")  # words of a text that nobody says: <UNK>, [NOISE], !SIL
GAPS = re.compile(r"[ \t]+")
LONGEST = 1 << 30  # bytes of a recording in an archive


@dataclass(frozen=True)
class Options(Own):
    audio_root: Annotated[
        Path | None, "Folder in which Kaldi ran, where relative paths start. Without it: what fits."
    ] = None


def manifests(root: Path, out: Path, options: Options) -> Iterator[Draft]:
    """One manifest per directory, or by splits of ours where there is one.

    Raises:
        UsageError: there is no such directory, or one has no text.
    """
    folders, unreadable = holding(root, _is_data)
    if not folders:
        not_found(root, "a Kaldi data directory", "wav.scp", _is_data, unreadable)
    top = root.resolve()
    several = len(folders) > 1
    splits = {folder: "-".join(folder.relative_to(top).parts) if several else folder.name for folder in folders}
    if not several and splits[folders[0]] not in names()["splits"]:
        splits = {}
    yield from drafts(_all(folders, splits, unreadable, out, options), top.name, out, options)


def _is_data(folder: Path) -> bool:
    return (folder / "wav.scp").is_file()


def _all(
    folders: list[Path], splits: dict[Path, str], unreadable: list[Skipped], out: Path, options: Options
) -> Iterator[Record | Skipped]:
    yield from unreadable
    store = Store(out)
    for folder in folders:
        known = {"split": splits[folder]} if folder in splits else {}
        yield from _Directory(folder, store, options.audio_root).records(known)


class _Directory:
    """One data directory."""

    def __init__(self, folder: Path, store: Store, audio_root: Path | None):
        self.folder, self.store, self.audio_root = folder, store, audio_root
        self.skipped: list[Skipped] = []
        if not (folder / "text").is_file():
            raise UsageError(f"{shown(folder)} has no text: a row needs the words that are spoken.")
        self.texts = self._table("text")
        self.speakers = self._table("utt2spk")
        self.genders = self._table("spk2gender")
        self.languages = self._table("utt2lang")
        self.segments = self._table("segments") if (folder / "segments").is_file() else None
        self.scp = self._table("wav.scp")
        self.sources: dict[str, Source] = {}
        self.refused: dict[str, str] = {}  # recordings that a command makes, and which
        self._read_sources()
        self.sides = self._sides()
        heard = [one.file for one in self.sources.values()]
        self.paths = found(heard, audio_root or base(heard, folder), folder)
        self.unpacked: dict[str, Path] = {}

    def records(self, known: dict[str, Any]) -> Iterator[Record | Skipped]:
        yield from self.skipped
        listed = self.scp if self.segments is None else self.segments
        for name in dict.fromkeys([*listed, *self.texts]):
            try:
                yield self._utterance(name, known)
            except _Lost as error:
                yield Skipped(name, error.reason, str(error))

    def _utterance(self, name: str, known: dict[str, Any]) -> Record:
        """
        Raises:
            _Lost: it is not in all files, or not as it should be.
        """
        recording, start, end = self._span(name)
        said = self.texts.get(name, "").split()
        words = [word for word in said if not MARK.fullmatch(word)]
        if not words:
            raise _Lost(NO_TEXT, "its text has no word that is spoken" if name in self.texts else "not in text")
        speaker = self.speakers.get(name, name)  # where nobody knows the speakers, each utterance is its own
        row = {
            "id": name,
            "text": " ".join(words),
            "channel": self._channel(recording),
            "speaker": None if speaker == name else speaker,
            "language": self.languages.get(name),
        }
        extra = {"gender": self.genders.get(speaker), "text": None if words == said else self.texts[name]}
        path = self._path(recording)
        return Record(name, name, (path,), known | _without_none(row), _without_none(extra), start, end)

    def _span(self, name: str) -> tuple[str, float | None, float | None]:
        """The recording of an utterance, and its part of it: seconds."""
        if self.segments is None:
            recording, start, end = name, None, None
        else:
            recording, start, end = _segment(self.segments.get(name))
        if recording in self.refused:
            raise _Lost(PIPE, self.refused[recording])
        if recording not in self.sources:
            raise _Lost(NO_AUDIO, f"{'it' if recording == name else recording} is not in wav.scp")
        return recording, start, end

    # --- files ---

    def _table(self, name: str) -> dict[str, str]:
        """What belongs to each key of a file; nothing, where there is none."""
        rows: dict[str, str] = {}
        path = self.folder / name
        if not path.is_file():
            return rows
        for number, line in enumerate(texts(path), 1):
            if isinstance(line, Skipped):
                self.skipped.append(line)
                continue
            key, _, value = GAPS.sub(" ", line.strip(" \t"), count=1).partition(" ")
            if key in rows:
                self.skipped.append(Skipped(place(path, number), DUPLICATE, f"{key} stands there before"))
            elif key:
                rows[key] = value
        return rows

    def _read_sources(self) -> None:
        for name, text in self.scp.items():
            try:
                self.sources[name] = source(text)
            except ValueError as error:
                self.refused[name] = str(error)

    def _sides(self) -> dict[str, str]:
        """Which side of a call each recording is, where several recordings are one file."""
        files = Counter(one.file for one in self.sources.values() if one.channel is None)
        sides = {
            name: fields[-1] for name, text in self._table("reco2file_and_channel").items() if (fields := text.split())
        }
        return {
            name: side for name, side in sides.items() if name in self.sources and files[self.sources[name].file] > 1
        }

    def _channel(self, recording: str) -> int | str | None:
        channel = self.sources[recording].channel
        return self.sides.get(recording) if channel is None else channel

    def _path(self, recording: str) -> Path:
        one = self.sources[recording]
        path = self.paths[one.file]
        if one.offset is None or not path.is_file():
            return path
        if recording in self.unpacked:
            return self.unpacked[recording]
        with path.open("rb") as file:
            file.seek(one.offset)
            head = file.read(8)
            size = int.from_bytes(head[4:], "little")
            if not head.startswith(b"RIFF") or size > LONGEST:
                raise _Lost(
                    UNREADABLE, f"{shown(path)} has no wav at byte {one.offset:,}: unpack the archive with wav-copy"
                )
            self.unpacked[recording] = self.store.put(recording, head + file.read(size))
        return self.unpacked[recording]


class _Lost(Exception):
    """An utterance that cannot be used."""

    def __init__(self, reason: str, detail: str):
        super().__init__(detail)
        self.reason = reason


def _segment(text: str | None) -> tuple[str, float | None, float | None]:
    """A recording, a start, and an end, of which -1 is the recording's."""
    if text is None:
        raise _Lost(NO_AUDIO, "not in segments")
    try:
        recording, start, end = GAPS.split(text)[:3]
        return recording, float(start), None if float(end) == -1 else float(end)
    except ValueError:
        raise _Lost(FORM, f"its segment is not a recording, a start and an end: {text}") from None


def _without_none(row: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in row.items() if value is not None}
