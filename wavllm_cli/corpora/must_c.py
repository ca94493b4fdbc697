"""MuST-C: TED talks in English, translated. A row is a segment of a talk; the audio stays where it is."""

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml

from wavllm_cli.corpora import DUPLICATE, FORM, NO_TEXT, About, Draft, LeftOut, Skipped
from wavllm_cli.corpora.folders import audio_name, holding, listed, named, not_found, one_of_copies
from wavllm_cli.corpora.lengths import measured, segment
from wavllm_cli.corpora.splits import Names
from wavllm_cli.corpora.tables import parallel, place
from wavllm_cli.corpora.targets import transcription, translation
from wavllm_cli.data.audio import AudioInfo
from wavllm_cli.data.schema import Utterance
from wavllm_cli.data.text_file import numbered_lines
from wavllm_cli.text.languages import known_language

ABOUT = About(
    title="MuST-C: TED talks in English, translated, one ST manifest per split and direction.",
    licence="CC BY-NC-ND 4.0",
    size="at least 237 hours in each of 8 (1.0) to 14 languages; en_de: 408 hours, about 230,000 segments",
    tasks=("st", "asr"),
    source="https://mt.fbk.eu/must-c/ (on request)",
    layout="en-TO/data/SPLIT/ with wav/*.wav, txt/SPLIT.yaml, txt/SPLIT.en and txt/SPLIT.TO",
    root="en-TO/, one split of it, or the parent.",
    example="wavllm prep must-c /data/MUSTC_v1.0_en-de --splits tst-COMMON --out data/must-c",
    out="data/must-c",
)


@dataclass(frozen=True)
class Options:
    direction: Annotated[Names | None, "Such as en_de,en_fr; if not said, all that are there."] = None
    splits: Annotated[Names | None, "Such as train,dev,tst-COMMON; if not said, all that are there."] = None
    task: Annotated[Literal["st", "asr", "both"], "Translations, transcripts, or a manifest of each."] = "st"


TOO_SHORT = "too-short"
NO_SPEECH = "no-speech"
SHORTEST = 0.05  # seconds in which something can be said
SOURCE = "en"
PAST = ("wav", "h5")  # folders that are full of audio
RELEASE = re.compile(r"MUST-?C[_-]?v[\d.]*\d", re.IGNORECASE)
PLAIN = re.compile(r"- \{(\w+: [\w./+-]+(?:, \w+: [\w./+-]+)*)\}")  # reading YAML takes a hundred times as long
KEYS = ("wav", "offset", "duration", "speaker_id")


@dataclass(frozen=True)
class _Segment:
    """A line of the YAML, with the same line of the texts."""

    name: str
    wav: Path
    start: float
    end: float
    spoken: str
    translated: str
    speaker: str | None
    extra: dict[str, Any]


@dataclass(frozen=True)
class _Split:
    """A folder SPLIT/, seen as one of its directions."""

    folder: Path
    target: str

    @property
    def name(self) -> str:
        return self.folder.name

    @property
    def direction(self) -> str:
        return f"{SOURCE}_{self.target}"

    @cached_property
    def release(self) -> str:
        found = (RELEASE.match(above.name) for above in self.folder.parents)
        return next((name[0] for name in found if name), "unknown")

    def text(self, suffix: str) -> Path:
        return _text(self.folder, suffix)


def manifests(root: Path, out: Path, options: Options) -> Iterator[Draft]:
    """One manifest per split, direction and task, such as `tst-COMMON-en_de.jsonl` and `dev-en_de-asr.jsonl`."""
    found, unreadable = _splits(root)
    wanted = options.direction and Names(tuple(name.replace("-", "_") for name in options.direction.names))
    for direction in wanted.choose(found, "direction") if wanted else sorted(found):
        splits = found[direction]
        for name in options.splits.choose(splits, f"split of {direction}") if options.splits else sorted(splits):
            split = _one(splits[name])
            total = sum(1 for _ in numbered_lines(split.text("yaml")))
            for task in ("st", "asr") if options.task == "both" else (options.task,):
                kind = direction if task == "st" else f"{direction}-{task}"
                yield Draft(name, chain(unreadable, _rows(split, task, out)), total + len(unreadable), kind)
                unreadable = []


def _splits(root: Path) -> tuple[dict[str, dict[str, list[_Split]]], list[Skipped]]:
    """The splits by direction and name, in as many copies as there are; and folders that cannot be read."""
    folders, unreadable = holding(root, _is_split, PAST)
    if not folders:
        not_found(root, "MuST-C", "en-TO/data/SPLIT/txt/SPLIT.yaml", _is_split, unreadable)
    found: dict[str, dict[str, list[_Split]]] = {}
    for folder in folders:
        for target in _targets(folder):
            split = _Split(folder, target)
            found.setdefault(split.direction, {}).setdefault(split.name, []).append(split)
    return found, unreadable


def _is_split(folder: Path) -> bool:
    return _text(folder, "yaml").is_file() and bool(_targets(folder))


def _text(folder: Path, suffix: str) -> Path:
    return folder / "txt" / f"{folder.name}.{suffix}"


def _targets(folder: Path) -> list[str]:
    """The languages beside English in which there are texts."""
    names = [path.name.removeprefix(f"{folder.name}.") for path in listed(folder / "txt")[0]]
    return [name for name in names if name.isalpha() and known_language(name) and name != SOURCE]


def _one(copies: list[_Split]) -> _Split:
    what = f"{copies[0].name} of MuST-C {copies[0].direction}"
    first = one_of_copies([copy.text("yaml") for copy in copies], what)
    return next(copy for copy in copies if copy.text("yaml") == first)


def _rows(split: _Split, task: str, out: Path) -> Iterator[Utterance | Skipped]:
    for one, info in measured(_files(split, task)):
        if isinstance(info, Skipped):
            yield Skipped(one.name, info.reason, info.detail) if one else info
        elif one:
            yield from _row(split, task, out, one, info)


def _files(split: _Split, task: str) -> Iterator[tuple[Path | Skipped, _Segment | None]]:
    seen: set[str] = set()
    for one in _segments(split):
        if isinstance(one, Skipped):
            yield one, None
        elif one.name in seen:
            yield LeftOut(one.name, DUPLICATE, "another segment starts at the same place"), None
        elif not (one.translated if task == "st" else one.spoken):
            yield Skipped(one.name, NO_TEXT, "no translation" if task == "st" else "no transcript"), None
        else:
            seen.add(one.name)
            yield one.wav, one


def _segments(split: _Split) -> Iterator[_Segment | Skipped]:
    paths = [split.text(suffix) for suffix in ("yaml", SOURCE, split.target)]
    for number, texts in enumerate(parallel(*paths), 1):
        if lost := next((text for text in texts if isinstance(text, Skipped)), None):
            yield lost
        else:
            entry, spoken, translated = (str(text).strip() for text in texts)
            fields = _fields(entry)
            one = fields and _segment(split, fields, spoken, translated)
            yield one or Skipped(place(paths[0], number), FORM, f"is not {{{', '.join(KEYS)}, …}}")


def _fields(entry: str) -> Mapping[str, str] | None:
    """A line of the YAML as it is written: a wav may be called `no` or `12:30`."""
    if plain := PLAIN.fullmatch(entry):
        return dict(pair.split(": ") for pair in plain[1].split(", "))
    try:
        entries = yaml.load(entry, getattr(yaml, "CBaseLoader", yaml.BaseLoader))
    except yaml.YAMLError:
        return None
    if not (isinstance(entries, list) and len(entries) == 1 and isinstance(entries[0], dict)):
        return None
    return entries[0] if all(isinstance(value, str) for value in entries[0].values()) else None


def _segment(split: _Split, fields: Mapping[str, str], spoken: str, translated: str) -> _Segment | None:
    """A segment, None where a key is missing or is not what it should be."""
    try:
        wav, start, duration = fields["wav"], float(fields["offset"]), float(fields["duration"])
    except (KeyError, ValueError):
        return None
    if not (math.isfinite(start) and math.isfinite(duration)):
        return None
    name = f"{Path(wav).stem}-{round(1000 * start):07d}"
    extra = {key: int(value) if value.isdecimal() else value for key, value in fields.items() if key not in KEYS}
    path = named(split.folder / "wav", wav)
    return _Segment(name, path, start, start + duration, spoken, translated, fields.get("speaker_id"), extra)


def _row(split: _Split, task: str, out: Path, one: _Segment, info: AudioInfo) -> Iterator[Utterance | Skipped]:
    clip = segment(one.name, one.start, one.end, info.duration)
    if isinstance(clip, Skipped):
        yield clip
        return
    if clip.duration < SHORTEST:
        yield LeftOut(one.name, TOO_SHORT, f"{clip.duration:g} s")
        return
    fields = (
        transcription(one.spoken, SOURCE)
        if task == "asr"
        else translation(one.spoken, SOURCE, one.translated, split.target)
    )
    if not fields["target"]:
        yield LeftOut(one.name, NO_SPEECH, "only marks of noises")
        return
    if clip.adjusted:
        yield clip.adjusted
    yield Utterance(
        id=f"must-c-{split.direction}{'' if task == 'st' else '-asr'}-{one.name}",
        audio=audio_name(one.wav, out),
        start=clip.start,
        duration=clip.duration,
        speaker=one.speaker,
        group=one.wav.stem,
        corpus="must-c",
        split=split.name,
        extra={"release": split.release} | one.extra,
        **fields,
    )
