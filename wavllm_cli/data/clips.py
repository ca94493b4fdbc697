"""A clip: what rows that are heard as one have in common, and what is said in it."""

from collections.abc import Hashable, Iterable

from wavllm_cli.data.schema import Row, Utterance
from wavllm_cli.text.normalize import basic


def clip_key(row: Utterance) -> Hashable:
    """What makes a clip the same: file, channel, start and duration."""
    return row.audio, row.channel, row.start, row.duration


def clip_order(row: Utterance) -> tuple[str, float, int, float]:
    """Sorts clips by file and time; at one time the mean of all channels first, and what goes on to the file's end."""
    channel = -1 if row.channel is None else row.channel
    return row.audio or "", row.start, channel, row.duration or 0.0


def by_clip(rows: Iterable[Row]) -> dict[Hashable, list[Row]]:
    """The rows with audio by the clips that they are about, in the order in which they come."""
    clips: dict[Hashable, list[Row]] = {}
    for row in rows:
        if row.audio is not None:
            clips.setdefault(clip_key(row), []).append(row)
    return clips


def transcripts(rows: Iterable[Utterance]) -> dict[Hashable, str]:
    """What is said in each clip of which that is known, whatever the order of the rows.

    It is the first `transcript` with words, by the rows' ids, else the first such target of an asr row.
    """
    found = {}
    for key, about in by_clip(sorted(rows, key=lambda row: (row.id, row.task, row.prompt))).items():
        said = [row.transcript for row in about] + [row.target for row in about if row.task == "asr"]
        if transcript := next((text for text in said if text and basic(text)), None):
            found[key] = transcript
    return found
