"""AMI: meetings of four or five people, each with a headset, all before a table microphone."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from itertools import chain
from pathlib import Path
from typing import Annotated, Literal

import yaml

from wavllm_cli.corpora import NO_AUDIO, NO_TEXT, About, Adjusted, Draft, LeftOut, Skipped
from wavllm_cli.corpora.conversations import Recording, Said, utterance, window_rows
from wavllm_cli.corpora.folders import audio_name, holding, require_folder, walk
from wavllm_cli.corpora.halves import AUDIO, Copies
from wavllm_cli.corpora.lengths import measured
from wavllm_cli.corpora.nxt import MEETINGS, Annotations, Participant, is_annotated
from wavllm_cli.corpora.splits import DEV, TEST, TRAIN
from wavllm_cli.corpora.windows import KIND, Windows, require_length
from wavllm_cli.data.audio import AudioInfo
from wavllm_cli.data.files import shown
from wavllm_cli.data.schema import Utterance
from wavllm_cli.errors import UsageError

ABOUT = About(
    title="AMI: meetings of four or five people, by their headsets or a table microphone.",
    licence="CC BY 4.0 (earlier releases: CC BY-NC-SA 2.5)",
    size="171 meetings, 100 hours; train, dev and test of three official partitions",
    tasks=("asr",),
    source="https://groups.inf.ed.ac.uk/ami/download/ (audio, and ami_public_manual_1.6.2.zip)",
    layout="MEETING.Headset-N.wav (or .Mix-Headset, .Array1-01) and ami_public_manual_1.6.2/ or .zip, at any depth",
    root="The folder that holds audio and annotations.",
    example="wavllm prep ami /data/ami --out data/ami",
    out="data/ami",
)


@dataclass(frozen=True)
class Options:
    partition: Annotated[
        Literal["full-corpus-asr", "full-corpus", "scenario-only"], "Which of AMI's partitions makes the splits."
    ] = "full-corpus-asr"
    microphone: Annotated[
        Literal["headset", "mix-headset", "array"], "Each speaker's own, all headsets mixed, or the first on the table."
    ] = "headset"
    annotations: Annotated[Path | None, "Their folder or zip, where it is not below ROOT or not alone there."] = None
    windows: Windows = None


RECORDING = re.compile(rf"([A-Z]{{2}}\d{{4}}[a-z]?)\.(Headset-\d+|Mix-Headset|Array1-01)\.{AUDIO}", re.IGNORECASE)
FILES = {"mix-headset": "Mix-Headset", "array": "Array1-01"}  # what all speak into
NO_SPLIT = "no-split"
NO_HEADSET = "no-headset"
STEREO = "stereo"


@dataclass(frozen=True)
class _Corpus:
    """What lies below a folder, and what is wanted of it."""

    annotations: Annotations
    participants: dict[str, list[Participant]]
    recordings: Copies
    out: Path
    options: Options
    recorded: set[str] = field(default_factory=set)  # meetings of which there is any recording


@dataclass(frozen=True)
class _Speaker:
    """A participant of a meeting and the recording in which they are heard."""

    meeting: str
    who: Participant
    microphone: str
    path: Path


def manifests(root: Path, out: Path, options: Options) -> Iterator[Draft]:
    """Utterances and windows of the partition's train, dev and test."""
    require_length(options.windows)
    require_folder(root)
    annotations = Annotations(options.annotations) if options.annotations else _annotations(root)
    corpus = _Corpus(annotations, annotations.participants(), Copies(), out, options)
    skipped = list(_find_recordings(root, corpus))
    meetings: dict[str, list[str]] = {TRAIN: [], DEV: [], TEST: []}
    for meeting in sorted(corpus.participants.keys() | corpus.recorded):
        if meeting not in corpus.recorded:
            skipped.append(LeftOut(meeting, NO_AUDIO, "no recording of it is there"))
        elif (split := _split(meeting, options.partition)) is None:
            skipped.append(LeftOut(meeting, NO_SPLIT, f"is in no split of {options.partition}"))
        else:
            meetings[split].append(meeting)
    for split, own in meetings.items():
        more = skipped if split == TRAIN else []
        if own or more:
            yield Draft(split, _utterances(corpus, split, own, more))
        if own and options.windows:
            yield Draft(split, _windows(corpus, split, own), kind=KIND)


def _split(meeting: str, partition: str) -> str | None:
    return next((split for split, series in _partitions()[partition].items() if meeting[:6] in series), None)


@cache
def _partitions() -> dict[str, dict[str, list[str]]]:
    return yaml.safe_load(files("wavllm_cli.corpora").joinpath("ami.yaml").read_text(encoding="utf-8"))


# --- what is there ---


def _annotations(root: Path) -> Annotations:
    """Those in a folder below ROOT, else those in a zip.

    Raises:
        UsageError: there are none, or several that differ.
    """
    folders, _ = holding(root, is_annotated)
    zips = [path for path in walk(root, (".zip",)) if isinstance(path, Path) and path.name.startswith("ami_public")]
    found = [Annotations(place) for place in folders or zips]
    if not found:
        raise UsageError(
            f"{shown(root)} holds no AMI annotations: there is no {MEETINGS} in it, nor ami_public_manual_….zip. Get "
            "them from https://groups.inf.ed.ac.uk/ami/download/ or name them by --annotations."
        )
    if len(found) > 1 and len({one.digest() for one in found}) > 1:
        several = ", ".join(shown(one.place) for one in found)
        raise UsageError(
            f"{shown(root)} holds annotations that differ: those in {several}. Name one of them by --annotations."
        )
    return found[0]


def _find_recordings(root: Path, corpus: _Corpus) -> Iterator[Skipped]:
    """Take down the recordings below a folder.

    Raises:
        UsageError: there are none.
    """
    for path in walk(root):
        if isinstance(path, Skipped):
            yield path
        elif match := RECORDING.fullmatch(path.name):
            corpus.recorded.add(match[1])
            corpus.recordings.add(f"{match[1]}.{match[2]}", path)
    if not corpus.recorded:
        raise UsageError(
            f"{shown(root)} holds no recordings of AMI: there is no MEETING.Headset-N.wav, MEETING.Mix-Headset.wav or "
            "MEETING.Array1-01.wav in it."
        )
    yield from corpus.recordings.left_out


def _speakers(corpus: _Corpus, meeting: str) -> Iterator[_Speaker | Skipped]:
    """Each participant with the recording in which they are heard; which headset is whose the meeting's table tells."""
    for who in corpus.participants.get(meeting, []):
        microphone = FILES.get(corpus.options.microphone, f"Headset-{who.channel}")
        name = f"{meeting}.{microphone}"
        if who.channel is None and microphone not in FILES.values():
            yield Skipped(f"{meeting}.{who.agent}", NO_HEADSET, "the annotations do not tell which headset is theirs")
        elif path := corpus.recordings.files.get(name):
            yield _Speaker(meeting, who, microphone, path)
        else:
            yield Skipped(f"{name} ({who.agent})", NO_AUDIO, "no such recording")
    known = {who.agent for who in corpus.participants.get(meeting, [])}
    for agent in sorted(corpus.annotations.agents(meeting) - known):
        yield Skipped(f"{meeting}.{agent}", NO_HEADSET, "speaks, but is not among the participants")
    if meeting not in corpus.participants:
        yield LeftOut(meeting, NO_TEXT, "the annotations know of no such meeting")


# --- rows ---


def _utterances(
    corpus: _Corpus, split: str, meetings: list[str], skipped: list[Skipped]
) -> Iterator[Utterance | Skipped]:
    yield from skipped
    found = [speaker for meeting in meetings for speaker in _speakers(corpus, meeting)]
    yield from (one for one in found if isinstance(one, Skipped))
    for one, info in measured((one.path, one) for one in found if isinstance(one, _Speaker)):
        if isinstance(info, Skipped):
            yield info
            continue
        if info.channels > 1:
            yield Adjusted(one.path.name, STEREO, f"has {info.channels} channels: the first is used")
        name = f"{one.meeting}-{one.microphone}-{one.who.agent}"
        recording = _recording(corpus, split, one.meeting, name, one.path, info)
        names: set[str] = set()
        for said in _said(corpus, one.meeting, one.who, 0 if info.channels > 1 else None):
            yield from [said] if isinstance(said, Skipped) else utterance(recording, said, names)


def _windows(corpus: _Corpus, split: str, meetings: list[str]) -> Iterator[Utterance | Skipped]:
    """Windows over all who take part, where all are heard."""
    microphone = FILES.get(corpus.options.microphone, "Mix-Headset")
    found = {meeting: corpus.recordings.files.get(f"{meeting}.{microphone}") for meeting in meetings}
    for meeting in meetings:
        if found[meeting] is None:
            yield Skipped(f"{meeting}.{microphone}", NO_AUDIO, "no such recording, in which windows are heard")
    for (meeting, path), info in measured((path, (meeting, path)) for meeting, path in found.items() if path):
        if isinstance(info, Skipped):
            yield info
            continue
        each = (_said(corpus, meeting, who, None) for who in corpus.participants.get(meeting, []))
        said = (one for one in chain.from_iterable(each) if isinstance(one, Said))
        recording = _recording(corpus, split, meeting, f"{meeting}-{microphone}", path, info)
        yield from window_rows(recording, said, corpus.options.windows or 0)


def _recording(corpus: _Corpus, split: str, meeting: str, name: str, path: Path, info: AudioInfo) -> Recording:
    return Recording("ami", split, meeting, name, audio_name(path, corpus.out), info.duration)


def _said(corpus: _Corpus, meeting: str, who: Participant, channel: int | None) -> Iterator[Said | Skipped]:
    name, facts = who.name or f"{meeting}-{who.agent}", {"role": who.role} if who.role else {}
    for one in corpus.annotations.segments(meeting, who.agent):
        if isinstance(one, Skipped):
            yield one
        else:
            yield Said(one.start, one.end, one.words, one.text, name, channel, facts)
