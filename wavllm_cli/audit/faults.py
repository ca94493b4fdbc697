"""What can be wrong with a manifest: every fault by its name."""

from dataclasses import dataclass
from typing import NamedTuple

from wavllm_cli.errors import UsageError, did_you_mean

# By the name that --skip takes and that programs read; what is said of the rows that have it.
FAULTS = {
    "invalid-row": "the row cannot be read",
    "duplicate-id": "its id is taken",
    "no-target": "nothing to learn: the target is missing or empty",
    "not-a-choice": "the target is none of the choices",
    "wrong-case": "upper and lower case are not those of its corpus",
    "foreign-letters": "letters that its language is not written in",
    "garbled-text": "characters that are no text",
    "id-in-text": "an id or the name of a file stands in the text",
    "not-spoken": "its text waits for a voice",
    "no-audio": "there is no such recording",
    "unreadable": "the recording cannot be decoded",
    "no-channel": "the recording has no such channel",
    "too-short": "shorter than --shortest",
    "too-long": "longer than --longest",
    "silent": "nothing louder than -60 dBFS",
    "clipped": "many samples are at full scale",
    "cancelling": "the channels cancel each other out",
    "odd-audio": "usable, but not as it should be",
    "wrong-duration": "the duration is not that of the audio",
    "duplicate-row": "the same clip with the same instruction again",
    "same-audio": "the same audio as another clip, under another name",
    "leaked-clip": "a clip of another split",
    "shared-text": "words that are said in another split too",
    "shared-speaker": "a speaker of several splits",
    "shared-group": "a conversation, session or talk of several splits",
}


class Finding(NamedTuple):
    """One fault.

    Attributes:
        fault: one of `FAULTS`.
        item: the row's id, or the speaker or group that is in several splits.
        detail: what exactly, to stand behind the item.
        place: the manifest, and the line.
        row: its number among all rows that can be read; None where it is not one of them.
    """

    fault: str
    item: str
    detail: str
    place: str
    row: int | None


@dataclass(frozen=True)
class Limits:
    """How long clips may be, in seconds."""

    shortest: float = 0.1  # a word of one syllable takes as long
    longest: float = 60.0  # what `recipes/wavllm-7b.yaml` trains on


def faults_but(skipped: list[str]) -> frozenset[str]:
    """The names of the faults that are looked for.

    Raises:
        UsageError: one that is to be skipped is none.
    """
    for name in skipped:
        if name not in FAULTS:
            raise UsageError(f"There is no fault {name!r}{did_you_mean(name, FAULTS)}: they are {', '.join(FAULTS)}.")
    return frozenset(FAULTS) - frozenset(skipped)
