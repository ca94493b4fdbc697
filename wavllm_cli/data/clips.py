"""A clip: what rows that are heard as one have in common, and what is said in it."""

from collections.abc import Hashable, Iterable, Sequence
from typing import Any

from wavllm_cli.data.schema import Row, Utterance
from wavllm_cli.text.normalize import basic

# The keys of a row that tell something of its clip.
FACTS = ("transcript", "language", "target_language", "speaker", "group", "turns", "speech_text", "corpus", "split")


def clip_key(row: Utterance) -> Hashable:
    """What makes a clip the same: file, channel, start and duration, of each piece where it is joined."""
    return row.audio, row.gap or 0.0, row.channel, row.start, row.duration


def clip_order(row: Utterance) -> tuple[Any, ...]:
    """Sorts clips by file and time; at one time the mean of all channels first, and what goes on to the file's end."""
    pieces = [
        (piece.audio, piece.start, -1 if piece.channel is None else piece.channel, piece.duration or 0.0)
        for piece in row.pieces
    ]
    return pieces, row.gap or 0.0, row.duration or 0.0


def by_clip(rows: Iterable[Row]) -> dict[Hashable, list[Row]]:
    """The rows with audio by the clips that they are about, in the order in which they come."""
    clips: dict[Hashable, list[Row]] = {}
    for row in rows:
        if row.audio is not None:
            clips.setdefault(clip_key(row), []).append(row)
    return clips


def facts(about: Sequence[Utterance]) -> dict[str, Any]:
    """What the rows about one clip tell of it, whichever of them does: of several values of a key the first one."""
    return {name: next((fact for row in about if (fact := getattr(row, name))), None) for name in FACTS}


def transcripts(rows: Iterable[Utterance]) -> dict[Hashable, str]:
    """What is said in each clip of which that is known, whatever the order of the rows.

    It is the first `transcript` with words, by the rows' ids, else the first such target of an asr row, else what is
    said in the first such turns, one after the other.
    """
    found = {}
    for key, about in by_clip(sorted(rows, key=lambda row: (row.id, row.task, row.prompt))).items():
        said = [row.transcript for row in about]
        said += [row.target for row in about if row.task == "asr"]
        said += [said_in_turns(row) for row in about if row.turns]
        if transcript := next((text for text in said if text and basic(text)), None):
            found[key] = transcript
    return found


def said_in_turns(row: Utterance) -> str:
    """The texts of a row's turns by their time; who says them `dialogue` tells."""
    return " ".join(text for _, text in _turns(row))


def dialogue(row: Utterance) -> str | None:
    """Who says what, a line a turn: `Speaker 1: Shall we start?`, numbered as they are first heard.

    None where the row has no turns, or those of one speaker alone.
    """
    turns = _turns(row)
    numbers: dict[str, int] = {}
    for speaker, _ in turns:
        numbers.setdefault(speaker, len(numbers) + 1)
    if len(numbers) < 2:
        return None
    return "\n".join(f"Speaker {numbers[speaker]}: {text}" for speaker, text in turns)


def _turns(row: Utterance) -> list[tuple[str, str]]:
    """Speakers and texts by their time."""
    turns = sorted(row.turns or (), key=lambda turn: turn.start)
    return [(turn.speaker, turn.text.strip()) for turn in turns if turn.text.strip()]
