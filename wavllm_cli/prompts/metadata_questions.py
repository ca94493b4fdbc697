"""Questions that a manifest answers by itself: which emotion (er rows), one speaker or more (sv rows)."""

from collections.abc import Iterable, Iterator, Sequence
from random import Random

from wavllm_cli.data.clips import by_clip
from wavllm_cli.data.schema import Utterance
from wavllm_cli.prompts.pools import pick
from wavllm_cli.prompts.sqa import Question
from wavllm_cli.text.normalize import basic

EMOTION_CHOICES = 3
COMMON_EMOTIONS = ("neutral", "angry", "happy", "sad")  # join those of a manifest that has too few

EMOTION_WORDINGS = (
    "What is the emotion of the speaker?",
    "How does the speaker feel?",
    "Which emotion does the voice convey?",
    "What mood is the speaker in?",
    "Which word describes the speaker's emotional state best?",
    "Judging by the tone of voice, what does the speaker feel?",
)
SPEAKERS_WORDINGS = (
    "How many people speak in the recording?",
    "How many speakers are there in the clip?",
    "How many different voices can be heard?",
    "Is the recording spoken by one person or by more than one?",
    "How many persons are talking here?",
    "By how many speakers were these words said?",
)
ONE, SEVERAL = "One", "More than one"


def from_metadata(rows: Iterable[Utterance], seed: int) -> list[Question]:
    """At most one question of each kind about a clip; the same rows in any order and the same seed give the same ones.

    Args:
        rows: of these er rows whose target is one word are used, and sv rows whose target is yes or no to "is there
            only one speaker?".
        seed: decides the wordings and the wrong choices.
    """
    by_id = sorted((row for row in rows if row.audio is not None), key=lambda row: row.id)
    emotions = _first_of_each_clip(r for r in by_id if r.task == "er" and len(basic(r.target or "").split()) == 1)
    speakers = _first_of_each_clip(r for r in by_id if r.task == "sv" and basic(r.target or "") in ("yes", "no"))
    return [*_about_emotion(emotions, seed), *(_about_speakers(row, seed) for row in speakers)]


def _first_of_each_clip(rows: Iterable[Utterance]) -> list[Utterance]:
    return [about[0] for about in by_clip(rows).values()]


def _about_emotion(rows: Sequence[Utterance], seed: int) -> Iterator[Question]:
    """The wrong choices are labels of the same corpus: those of two corpora may be two words for one emotion."""
    labels: dict[str | None, set[str]] = {}
    for row in rows:
        labels.setdefault(row.corpus, set()).add(basic(row.target or ""))
    for row in rows:
        right = basic(row.target or "")
        accepted = [right, *map(basic, row.references or ())]
        known = [label for label in sorted(labels[row.corpus]) if _differs(label, accepted)]
        more = [emotion for emotion in COMMON_EMOTIONS if _differs(emotion, [*accepted, *known])]
        wrong = Random(f"{seed} {row.id}").sample(known, min(len(known), EMOTION_CHOICES - 1)) + more
        wording = pick(EMOTION_WORDINGS, seed, row.id)
        yield Question(f"{row.id}-emotion", row, wording, right, tuple(wrong[: EMOTION_CHOICES - 1]))


def _differs(emotion: str, others: Iterable[str]) -> bool:
    """Whether a word names none of some emotions; "sad" and "sadness" are one: their first three letters tell."""
    return all(emotion[:3] != other[:3] for other in others)


def _about_speakers(row: Utterance, seed: int) -> Question:
    right, wrong = (ONE, SEVERAL) if basic(row.target or "") == "yes" else (SEVERAL, ONE)
    return Question(f"{row.id}-speakers", row, pick(SPEAKERS_WORDINGS, seed, row.id), right, (wrong,))
