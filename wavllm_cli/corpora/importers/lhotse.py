"""Lhotse manifests: recordings and supervisions, or cuts that hold both."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

from wavllm_cli.corpora import DUPLICATE, FORM, NO_AUDIO, NO_TEXT, UNREADABLE, About, Draft, LeftOut, Skipped
from wavllm_cli.corpora.folders import listed, require_folder
from wavllm_cli.corpora.importers import Own, Record
from wavllm_cli.corpora.importers.columns import names
from wavllm_cli.corpora.importers.pipes import PIPE, source
from wavllm_cli.corpora.importers.places import base, found
from wavllm_cli.corpora.importers.rows import drafts
from wavllm_cli.corpora.importers.table import read
from wavllm_cli.data.files import shown
from wavllm_cli.data.text_file import content
from wavllm_cli.errors import UsageError

ABOUT = About(
    title="Lhotse manifests: recordings and supervisions, or cuts.",
    licence="yours",
    size="any; files are splits by their names, one is split by seed",
    tasks=("asr", "st"),
    source="lhotse prepare …, icefall recipes",
    layout="NAME_recordings_SPLIT.jsonl.gz and NAME_supervisions_SPLIT.jsonl.gz, or cuts; also .json and .yaml",
    root="A manifest, or the folder of several.",
    example="wavllm prep lhotse data/manifests --out data/own",
    out="data/own",
)
SUFFIXES = (".jsonl", ".jsonl.gz", ".json", ".json.gz", ".yaml", ".yaml.gz", ".yml")
RECORDINGS, SUPERVISIONS, CUTS = "recordings", "supervisions", "cuts"
KIND = re.compile(rf"[_.\-]?({RECORDINGS}|{SUPERVISIONS}|{CUTS})[_.\-]?")  # in the name of a file
HARMLESS = ("Resample",)  # transforms after which a recording says the same at the same time
TRANSFORMED, MIXED = "transformed", "mixed"


@dataclass(frozen=True)
class Options(Own):
    audio_root: Annotated[
        Path | None, "Folder in which lhotse ran, where relative paths start. Without it: what fits."
    ] = None


@dataclass
class _File:
    """A manifest: what its objects are, and of which split."""

    path: Path
    split: str
    objects: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    skipped: list[Skipped] = field(default_factory=list)


def manifests(root: Path, out: Path, options: Options) -> Iterator[Draft]:
    """One manifest per split.

    Raises:
        UsageError: there is no such file or folder, or no supervision in it.
    """
    if root.is_file():
        files = [_file(root)]
        if not files[0].objects.keys() & {RECORDINGS, CUTS}:
            files += [_only_recordings(path) for path in _manifests_in(root.parent) if path != root]
    else:
        require_folder(root)
        files = [_file(path) for path in _manifests_in(root)]
    if not any(one.objects.keys() & {SUPERVISIONS, CUTS} for one in files):
        raise UsageError(f"{shown(root)} holds no supervisions and no cuts of Lhotse, so that nobody says a word.")
    folder = root if root.is_dir() else root.parent
    audio = _Audio(files, folder, options.audio_root)
    name = folder.resolve().name
    yield from drafts(_records(files, audio), name, out, options)


# --- files ---


def _manifests_in(folder: Path) -> list[Path]:
    return [path for path in listed(folder)[0] if path.name.lower().endswith(SUFFIXES) and path.is_file()]


def _file(path: Path) -> _File:
    one = _File(path, _split(path))
    for where, value in _values(path):
        kind = None if isinstance(value, Skipped) else _kind(value)
        if isinstance(value, Skipped):
            one.skipped.append(value)
        elif kind is None:
            one.skipped.append(Skipped(where, FORM, "is no recording, supervision or cut"))
        else:
            one.objects.setdefault(kind, []).append(_unpadded(value) if kind == CUTS else value)
    return one


def _only_recordings(path: Path) -> _File:
    one = _file(path)
    return _File(path, one.split, {RECORDINGS: one.objects.get(RECORDINGS, [])})


def _values(path: Path) -> Iterator[tuple[str, Any]]:
    if not path.name.lower().removesuffix(".gz").endswith((".yaml", ".yml")):
        yield from read(path)
        return
    import yaml

    try:
        values = yaml.load(content(path), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except yaml.YAMLError as error:
        raise UsageError(f"{shown(path)} is no YAML: {str(error).splitlines()[0]}.") from error
    for number, value in enumerate(values if isinstance(values, list) else [], 1):
        where = f"{shown(path)}, item {number}"
        yield where, value if isinstance(value, dict) else Skipped(where, FORM, "is not an object")


def _kind(value: dict[str, Any]) -> str | None:
    if str(value.get("type", "")).endswith("Cut") or {"supervisions", "recording"} <= value.keys():
        return CUTS
    if "sources" in value and "id" in value:
        return RECORDINGS
    return SUPERVISIONS if {"id", "recording_id", "start", "duration"} <= value.keys() else None


def _unpadded(cut: dict[str, Any]) -> dict[str, Any]:
    """The only cut of a mixture that is not silence; a mixture of several as it is."""
    tracks = cut.get("tracks")
    if cut.get("type") != "MixedCut" or not isinstance(tracks, list) or cut.get("transforms"):
        return cut
    heard = [track.get("cut", track) for track in tracks if track.get("type") != "PaddingCut"]
    return heard[0] if len(heard) == 1 else cut


def _split(path: Path) -> str:
    """What stands behind the kind in the name of a file, else before it."""
    stem = re.sub(r"(\.(jsonl|json|yaml|yml|gz))+$", "", path.name, flags=re.IGNORECASE)
    before, _, *after = [*KIND.split(stem, maxsplit=1), ""]
    return (after[0] if after else "") or before


# --- audio ---


class _Lost(Exception):
    """A supervision that cannot be a row."""

    def __init__(self, reason: str, detail: str):
        super().__init__(detail)
        self.reason = reason


class _Audio:
    """Where the recordings are, by what they say of their sources."""

    def __init__(self, files: list[_File], folder: Path, audio_root: Path | None):
        self.by_id = {one["id"]: one for file in files for one in file.objects.get(RECORDINGS, [])}
        inside = (cut.get("recording") for file in files for cut in file.objects.get(CUTS, []))
        recordings = [*self.by_id.values(), *(one for one in inside if isinstance(one, dict))]
        heard = list(dict.fromkeys(name for one in recordings for name in _file_names(one)))
        self.paths = found(heard, audio_root or base(heard, folder), folder)

    def place(self, recording: Any, channels: Any) -> tuple[Path, int | None]:
        """The file of some channels of a recording, and which of the file's channels is heard; None: all.

        Raises:
            _Lost: that is not one file, or not as it lies there.
        """
        if not isinstance(recording, dict):
            raise _Lost(NO_AUDIO, "its recording is not there")
        for transform in recording.get("transforms") or ():
            if (name := str(transform.get("name") if isinstance(transform, dict) else transform)) not in HARMLESS:
                raise _Lost(TRANSFORMED, f"its audio is changed by {name}: take the recordings as they are")
        wanted = set(channels if isinstance(channels, list) else [channels or 0])
        holding = [one for one in recording["sources"] if wanted & set(one.get("channels", [0]))]
        if len(holding) != 1 or not wanted <= set(holding[0].get("channels", [0])):
            raise _Lost(FORM, f"its channels {sorted(wanted)} are not those of one file")
        name, picked = _heard(holding[0])
        there = holding[0].get("channels", [0])
        if len(there) == 1 or picked is not None:
            return self.paths[name], picked
        if len(wanted) > 1 and len(wanted) < len(there):
            raise _Lost(FORM, f"is heard on {len(wanted)} of {len(there)} channels, and a row has one or all")
        return self.paths[name], there.index(*wanted) if len(wanted) == 1 else None


def _file_names(recording: dict[str, Any]) -> list[str]:
    found = []
    for one in recording.get("sources") or ():
        try:
            found.append(_heard(one)[0])
        except _Lost:
            continue  # said where it is asked for
    return found


def _heard(one: Any) -> tuple[str, int | None]:
    """The file of a source, and the channel that a command picks of it.

    Raises:
        _Lost: it is none.
    """
    if not isinstance(one, dict):
        raise _Lost(FORM, "its source is no object")
    kind, name = one.get("type"), one.get("source")
    if kind == "file" and isinstance(name, str):
        return name, None
    if kind == "command" and isinstance(name, str):
        try:
            piped = source(f"{name.strip().removesuffix('|')}|")
        except ValueError as error:
            raise _Lost(PIPE, str(error)) from None
        return piped.file, piped.channel
    if kind == "url":
        raise _Lost(NO_AUDIO, f"{name} is an address: get the file first")
    raise _Lost(UNREADABLE, f"its audio is of the type {kind}, which lies in no file")


# --- utterances ---


def _records(files: list[_File], audio: _Audio) -> Iterator[Record | Skipped]:
    splits = {one.split for one in files if one.objects.keys() & {SUPERVISIONS, CUTS}}
    kept = splits if len(splits) > 1 else splits & set(names()["splits"])
    in_pairs = {one.split for one in files if SUPERVISIONS in one.objects}
    for one in files:
        known = {"split": one.split} if one.split in kept else {}
        yield from one.skipped
        for supervision in one.objects.get(SUPERVISIONS, []):
            yield _record(supervision, audio.by_id.get(supervision["recording_id"]), 0.0, audio, known)
        if CUTS in one.objects and one.split in in_pairs:
            yield LeftOut(
                shown(one.path), DUPLICATE, "its supervisions have a file of their own; name this one for cuts"
            )
            continue
        for cut in one.objects.get(CUTS, []):
            yield from _of_cut(cut, audio, known)


def _of_cut(cut: dict[str, Any], audio: _Audio, known: dict[str, Any]) -> Iterator[Record | Skipped]:
    """The supervisions of a cut; their starts count from its own."""
    name, kind = str(cut.get("id")), cut.get("type", "MonoCut")
    if kind not in ("MonoCut", "MultiCut"):
        yield Skipped(name, MIXED, f"is a {kind}, whose audio is no stretch of one recording")
        return
    supervisions = cut.get("supervisions") or []
    if not supervisions:
        yield LeftOut(name, NO_TEXT, "has no supervision")
    for supervision in supervisions:
        yield _record(supervision, cut.get("recording"), cut.get("start", 0.0), audio, known)


def _record(
    supervision: dict[str, Any], recording: Any, offset: float, audio: _Audio, known: dict[str, Any]
) -> Record | Skipped:
    name = str(supervision.get("id"))
    try:
        path, channel = audio.place(recording, supervision.get("channel", 0))
        start = round(offset + float(supervision["start"]), 6)
        end = round(start + float(supervision["duration"]), 6)
    except _Lost as error:
        return Skipped(name, error.reason, str(error))
    except (KeyError, TypeError, ValueError, AttributeError):
        return Skipped(name, FORM, "its recording, start, duration or channel is not as Lhotse writes it")
    row = {key: value for key in ("text", "language", "speaker") if (value := supervision.get(key))}
    row |= {} if channel is None else {"channel": channel}
    extra = dict(supervision.get("custom") or {})
    extra |= {key: value for key in ("gender", "alignment") if (value := supervision.get(key))}
    return Record(name, name, (path,), known | row | {"id": name}, extra, start, end)
