"""What is said in a conversation as rows: an utterance a segment, and windows with the turns of all who speak."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from wavllm_cli.corpora import DUPLICATE, TRANSCRIBE, LeftOut, Skipped
from wavllm_cli.corpora.lengths import segment
from wavllm_cli.corpora.marks import spoken_words
from wavllm_cli.corpora.windows import windows
from wavllm_cli.data.pieces import Turn
from wavllm_cli.data.schema import Utterance

NO_WORDS = "no-words"  # silence, noise, laughter
TOO_LONG = "too-long"  # speech without a pause that is longer than a window


@dataclass(frozen=True)
class Recording:
    """Where a conversation is heard.

    Args:
        corpus: its name.
        split: of its rows.
        group: the conversation.
        name: of what is heard of it, which ids begin with.
        audio: as the manifest names the file.
        length: seconds as decoded.
    """

    corpus: str
    split: str
    group: str
    name: str
    audio: str
    length: float


@dataclass(frozen=True)
class Said:
    """What somebody says at a stretch.

    Args:
        start: seconds.
        end: seconds.
        words: without marks and punctuation.
        text: with what people need to read it.
        speaker: who.
        channel: in which they are heard alone; None for all of a file.
        facts: for `extra`.
    """

    start: float
    end: float
    words: str
    text: str
    speaker: str
    channel: int | None
    facts: dict[str, Any]


def named(recording: Recording, start: float, end: float) -> str:
    """What a stretch is called, in hundredths of a second: `fe_03_00001-A-0000376-0000554`."""
    return f"{recording.name}-{round(100 * start):07d}-{round(100 * end):07d}"


def utterance(recording: Recording, said: Said, names: set[str]) -> Iterator[Utterance | Skipped]:
    """The row of a segment, with what had to be changed of it; or why there is none.

    Args:
        recording: in which it is heard.
        said: the segment.
        names: of those that have had a row; its own is added.
    """
    name, words = named(recording, said.start, said.end), spoken_words(said.words)
    if not words:
        yield LeftOut(name, NO_WORDS, "no words")
        return
    if name in names:
        yield LeftOut(name, DUPLICATE, "is there twice")
        return
    found = segment(name, said.start, said.end, recording.length)
    if isinstance(found, Skipped):
        yield found
        return
    if found.adjusted:
        yield found.adjusted
    names.add(name)
    yield Utterance(
        id=f"{recording.corpus}-{name}",
        audio=recording.audio,
        channel=said.channel,
        start=found.start,
        duration=found.duration,
        task="asr",
        prompt=TRANSCRIBE,
        target=words,
        transcript=said.text,
        language="en",
        speaker=said.speaker,
        group=recording.group,
        corpus=recording.corpus,
        split=recording.split,
        extra=said.facts or None,
    )


def window_rows(recording: Recording, said: Iterable[Said], longest: float) -> Iterator[Utterance | Skipped]:
    """Rows of windows, in which all channels are heard. They have turns and no target: to be asked about."""
    for window in windows(_turns(recording, said), longest):
        name, length = named(recording, window.start, window.end), round(window.end - window.start, 3)
        if length > longest:
            yield LeftOut(name, TOO_LONG, f"{length:g} s without a pause")
            continue
        yield Utterance(
            id=f"{recording.corpus}-{name}",
            audio=recording.audio,
            start=window.start,
            duration=length,
            task="asr",
            prompt=TRANSCRIBE,
            language="en",
            group=recording.group,
            turns=window.inner_turns,
            corpus=recording.corpus,
            split=recording.split,
        )


def _turns(recording: Recording, said: Iterable[Said]) -> Iterator[Turn]:
    """What can be heard of it, once; what cannot, and what is there twice, is told with the utterances."""
    heard: set[tuple[str, float, float, str]] = set()
    for one in said:
        found = segment(recording.name, one.start, one.end, recording.length)
        what = one.speaker, one.start, one.end, one.text
        if one.words and not isinstance(found, Skipped) and what not in heard:
            heard.add(what)
            when = {"start": found.start, "duration": found.duration}
            yield Turn(**when, speaker=one.speaker, channel=one.channel, text=one.text)
