"""Telephone calls: two sides, a channel each, in one file that may be compressed; speakers who are in several calls."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from wavllm_cli.corpora import UNREADABLE, Draft, LeftOut, Skipped
from wavllm_cli.corpora.conversations import Recording, Said, named, utterance, window_rows
from wavllm_cli.corpora.folders import audio_name
from wavllm_cli.corpora.lengths import measure, measured
from wavllm_cli.corpora.splits import DEV, TEST, TRAIN, Shares, held_out
from wavllm_cli.corpora.windows import KIND
from wavllm_cli.data import sphere
from wavllm_cli.data.audio import AudioInfo
from wavllm_cli.data.files import shown
from wavllm_cli.data.schema import Utterance
from wavllm_cli.errors import AudioError

SIDES = "AB"
CONVERTED = "audio"  # folder in OUT

HELD_OUT = "held-out-speaker"  # a side of a call that goes with no other side of its speaker
UNCERTAIN = "uncertain"  # the transcriber was not sure of the words
ONE_CHANNEL = "one-channel"  # the sides of a call are mixed


@dataclass(frozen=True)
class Line:
    """What a side says at a stretch.

    Args:
        side: 0 or 1, which is its channel, too.
        start: seconds.
        end: seconds.
        words: without marks.
        is_uncertain: whether the transcriber was not sure of them.
    """

    side: int
    start: float
    end: float
    words: str
    is_uncertain: bool = False


@dataclass(frozen=True)
class Call:
    """A call with all that belongs to it.

    Args:
        name: the owner's.
        audio: its file.
        lines: reads its transcript.
        speakers: of the two sides.
        facts: of the two sides, for `extra`.
    """

    name: str
    audio: Path
    lines: Callable[[], Iterator[Line | Skipped]]
    speakers: tuple[str, str]
    facts: tuple[dict[str, Any], dict[str, Any]]


@dataclass(frozen=True)
class Plan:
    """How the calls of a corpus become manifests.

    Args:
        corpus: its name.
        out: folder of the manifests.
        shares: of the splits, which are ours.
        seed: draws them.
        longest: seconds of a window; None makes no windows.
    """

    corpus: str
    out: Path
    shares: Shares
    seed: int
    longest: int | None


def drafts(calls: Sequence[Call], skipped: Sequence[Skipped], plan: Plan) -> Iterator[Draft]:
    """Train, dev and test, each with a manifest of utterances and one of windows.

    Args:
        calls: all that can be used.
        skipped: what cannot.
        plan: how.
    """
    split_of, heard_in = held_out({call.name: call.speakers for call in calls}, plan.shares, plan.seed)
    for split in (TRAIN, DEV, TEST):
        own = [call for call in calls if split_of[call.name] == split]
        more = skipped if split == TRAIN else ()
        if own or more:
            yield Draft(split, _utterances(own, more, heard_in, split, plan))
        if own and plan.longest:
            yield Draft(split, _windows(own, heard_in, split, plan), kind=KIND)


# --- audio ---


def readable(path: Path, out: Path) -> Path:
    """The file itself, or the copy in OUT that is made of one that is compressed."""
    copy = out / CONVERTED / f"{path.stem}.flac"
    return copy if sphere.is_compressed(path) and (copy.exists() or sphere.converter()) else path


def measure_readable(out: Path, path: Path) -> AudioInfo | Skipped:
    """As `measure`; what is compressed is converted first, where that can be done and has not been done before."""
    copy = readable(path, out)
    if copy != path and not copy.exists():
        try:
            sphere.convert(path, copy)
        except AudioError as error:
            return Skipped(shown(path), UNREADABLE, str(error).rstrip("."))
    return measure(copy)


def _heard(calls: Sequence[Call], plan: Plan) -> Iterator[tuple[Call, AudioInfo | Skipped]]:
    """Each call with what its file holds, or why it cannot be used."""
    for call, info in measured(((call.audio, call) for call in calls), partial(measure_readable, plan.out)):
        if isinstance(info, AudioInfo) and info.channels < len(SIDES):
            yield (
                call,
                Skipped(call.name, ONE_CHANNEL, f"{shown(call.audio)} has one channel, where each side needs its own"),
            )
        else:
            yield call, info


# --- rows ---


def _utterances(
    calls: Sequence[Call], skipped: Sequence[Skipped], heard_in: Mapping[str, str], split: str, plan: Plan
) -> Iterator[Utterance | Skipped]:
    yield from skipped
    for call, info in _heard(calls, plan):
        if isinstance(info, Skipped):
            yield Skipped(call.name, info.reason, info.detail)
            continue
        sides = [_recording(call, f"{call.name}-{side}", info, split, plan) for side in SIDES]
        names: set[str] = set()
        for line in call.lines():
            if isinstance(line, Skipped):
                yield line
                continue
            name, speaker = named(sides[line.side], line.start, line.end), call.speakers[line.side]
            if heard_in.get(speaker, split) != split:
                yield LeftOut(name, HELD_OUT, f"its speaker is heard in {heard_in[speaker]}")
            elif line.is_uncertain and line.words:
                yield LeftOut(name, UNCERTAIN, "the transcriber was not sure of it")
            else:
                yield from utterance(sides[line.side], _said(call, line), names)


def _windows(
    calls: Sequence[Call], heard_in: Mapping[str, str], split: str, plan: Plan
) -> Iterator[Utterance | Skipped]:
    """Windows over both sides, of the calls whose speakers are both of the split; uncertain words too are heard."""
    for call, info in _heard(calls, plan):
        if isinstance(info, Skipped):
            continue  # told with the utterances
        if any(heard_in.get(speaker, split) != split for speaker in call.speakers):
            yield LeftOut(call.name, HELD_OUT, "windows would have a speaker of another split")
            continue
        said = (_said(call, line) for line in call.lines() if isinstance(line, Line))
        yield from window_rows(_recording(call, call.name, info, split, plan), said, plan.longest or 0)


def _recording(call: Call, name: str, info: AudioInfo, split: str, plan: Plan) -> Recording:
    audio = audio_name(readable(call.audio, plan.out), plan.out)
    return Recording(plan.corpus, split, call.name, name, audio, info.duration)


def _said(call: Call, line: Line) -> Said:
    speaker, facts = call.speakers[line.side], call.facts[line.side]
    return Said(line.start, line.end, line.words, line.words, speaker, line.side, facts)
