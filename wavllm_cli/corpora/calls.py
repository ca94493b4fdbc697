"""Telephone calls: two sides, a channel each, in one file that may be compressed; speakers who are in several calls."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from wavllm_cli.corpora import DUPLICATE, TRANSCRIBE, UNREADABLE, Draft, LeftOut, Skipped
from wavllm_cli.corpora.folders import audio_name
from wavllm_cli.corpora.lengths import measure, measured, segment
from wavllm_cli.corpora.marks import spoken_words
from wavllm_cli.corpora.splits import DEV, TEST, TRAIN, Shares, held_out
from wavllm_cli.corpora.windows import KIND, TOO_LONG, windows
from wavllm_cli.data import sphere
from wavllm_cli.data.audio import AudioInfo
from wavllm_cli.data.files import shown
from wavllm_cli.data.pieces import Turn
from wavllm_cli.data.schema import Utterance
from wavllm_cli.errors import AudioError

SIDES = "AB"
CONVERTED = "audio"  # folder in OUT

HELD_OUT = "held-out-speaker"  # a side of a call that goes with no other side of its speaker
UNCERTAIN = "uncertain"  # the transcriber was not sure of the words
NO_WORDS = "no-words"  # silence, noise, laughter
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


def _measure(out: Path, path: Path) -> AudioInfo | Skipped:
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
    for call, info in measured(((call.audio, call) for call in calls), partial(_measure, plan.out)):
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
        names: set[str] = set()
        for line in call.lines():
            if isinstance(line, Skipped):
                yield line
            else:
                yield from _row(call, line, info, names, heard_in, split, plan)


def _row(
    call: Call,
    line: Line,
    info: AudioInfo,
    names: set[str],
    heard_in: Mapping[str, str],
    split: str,
    plan: Plan,
) -> Iterator[Utterance | Skipped]:
    """A line's utterance, with what had to be changed of it; or why there is none."""
    name = f"{call.name}-{SIDES[line.side]}-{_hundredths(line.start)}-{_hundredths(line.end)}"
    speaker, words = call.speakers[line.side], spoken_words(line.words)
    if heard_in.get(speaker, split) != split:
        yield LeftOut(name, HELD_OUT, f"its speaker is heard in {heard_in[speaker]}")
    elif not words:
        yield LeftOut(name, NO_WORDS, "no words")
    elif line.is_uncertain:
        yield LeftOut(name, UNCERTAIN, "the transcriber was not sure of it")
    elif name in names:
        yield LeftOut(name, DUPLICATE, "is there twice")
    elif isinstance(found := segment(name, line.start, line.end, info.duration), Skipped):
        yield found
    else:
        names.add(name)
        yield from [found.adjusted] if found.adjusted else []
        yield Utterance(
            id=f"{plan.corpus}-{name}",
            audio=audio_name(readable(call.audio, plan.out), plan.out),
            channel=line.side,
            start=found.start,
            duration=found.duration,
            task="asr",
            prompt=TRANSCRIBE,
            target=words,
            transcript=words,
            language="en",
            speaker=speaker,
            group=call.name,
            corpus=plan.corpus,
            split=split,
            extra=call.facts[line.side] or None,
        )


def _windows(
    calls: Sequence[Call], heard_in: Mapping[str, str], split: str, plan: Plan
) -> Iterator[Utterance | Skipped]:
    """Windows over both sides, of the calls whose speakers are both of the split; what is said is the turns'."""
    for call, info in _heard(calls, plan):
        if isinstance(info, Skipped):
            continue  # told with the utterances
        if any(heard_in.get(speaker, split) != split for speaker in call.speakers):
            yield LeftOut(call.name, HELD_OUT, "windows would have a speaker of another split")
            continue
        for window in windows(_turns(call, info), plan.longest or 0):
            name = f"{call.name}-{_hundredths(window.start)}-{_hundredths(window.end)}"
            length = round(window.end - window.start, 3)
            if length > (plan.longest or 0):
                yield LeftOut(name, TOO_LONG, f"{length:g} s without a pause")
                continue
            yield Utterance(
                id=f"{plan.corpus}-{name}",
                audio=audio_name(readable(call.audio, plan.out), plan.out),
                start=window.start,
                duration=length,
                task="asr",
                prompt=TRANSCRIBE,
                language="en",
                group=call.name,
                turns=window.inner_turns,
                corpus=plan.corpus,
                split=split,
            )


def _turns(call: Call, info: AudioInfo) -> Iterator[Turn]:
    """What is said in a call, uncertain words too: it is heard."""
    for line in call.lines():
        if isinstance(line, Skipped) or not line.words:
            continue
        found = segment(call.name, line.start, line.end, info.duration)
        if not isinstance(found, Skipped):
            speaker, text = call.speakers[line.side], line.words
            yield Turn(start=found.start, duration=found.duration, speaker=speaker, channel=line.side, text=text)


def _hundredths(seconds: float) -> str:
    return f"{round(100 * seconds):07d}"
