"""How well the small WavLM hears: frames whose speaker it knows, errors in phonemes, moods."""

from collections import Counter
from collections.abc import Iterable

import torch
from pydantic import BaseModel, ConfigDict
from rapidfuzz.distance import Levenshtein

from wavllm_cli.mini.listener_data import UNKNOWN, Batch
from wavllm_cli.mini.listener_model import Heard, Listener
from wavllm_cli.model.adapters import length_mask


class Share(BaseModel):
    """So many of so many."""

    model_config = ConfigDict(frozen=True)

    count: int = 0
    total: int = 0

    @property
    def value(self) -> float | None:
        return self.count / self.total if self.total else None

    def __str__(self) -> str:
        return f"{self.value:.1%} of {self.total:,}" if self.total else "unknown"


class Scores(BaseModel):
    """Of some clips.

    Attributes:
        speaker_frames: frames in which the speaker is recognised, of those of voices that were trained on.
        speaker_frames_of: the same by manifest.
        phoneme_errors: substitutions, insertions and deletions of the greedy CTC path, of the phonemes that are said.
        emotions: clips whose emotion is recognised.
    """

    model_config = ConfigDict(frozen=True)

    clips: int
    speaker_frames: Share
    speaker_frames_of: dict[str, Share]
    phoneme_errors: Share
    emotions: Share

    def __str__(self) -> str:
        by_source = ", ".join(f"{source} {share}" for source, share in self.speaker_frames_of.items())
        return (
            f"speaker of a frame {self.speaker_frames}{f' ({by_source})' if by_source else ''}; phoneme errors "
            f"{self.phoneme_errors}; emotion {self.emotions}"
        )


@torch.no_grad()
def scores_of(listener: Listener, batches: Iterable[Batch]) -> Scores:
    right: Counter[str] = Counter()
    total: Counter[str] = Counter()
    clips = 0
    for batch in batches:
        clips += len(batch.examples)
        heard = listener(batch.waves, batch.lengths)
        frames, known = _right_frames(heard, batch)
        for example, hits, all_frames in zip(batch.examples, frames, known, strict=True):
            right[f"speaker {example.source}"] += hits
            total[f"speaker {example.source}"] += all_frames
        for said, path in zip(batch.phonemes, greedy(heard), strict=True):
            if len(said):
                right["phonemes"] += Levenshtein.distance(said.tolist(), path)
                total["phonemes"] += len(said)
        moody = batch.emotions != UNKNOWN
        if moody.any():
            right["emotions"] += int((heard.emotions.argmax(-1) == batch.emotions)[moody].sum())
            total["emotions"] += int(moody.sum())
    prefix = "speaker "
    speakers = {
        name.removeprefix(prefix): Share(count=right[name], total=total[name])
        for name in total
        if name.startswith(prefix) and total[name]
    }
    return Scores(
        clips=clips,
        speaker_frames=Share(
            count=sum(share.count for share in speakers.values()), total=sum(share.total for share in speakers.values())
        ),
        speaker_frames_of=speakers,
        phoneme_errors=Share(count=right["phonemes"], total=total["phonemes"]),
        emotions=Share(count=right["emotions"], total=total["emotions"]),
    )


def _right_frames(heard: Heard, batch: Batch) -> tuple[list[int], list[int]]:
    """Of each clip, frames whose speaker is recognised, and all frames; 0 and 0 where the speaker is unknown."""
    real = length_mask(heard.frames, heard.speakers.shape[1]) & (batch.speakers != UNKNOWN)[:, None]
    hits = (heard.speakers.argmax(-1) == batch.speakers[:, None]) & real
    return hits.sum(1).tolist(), real.sum(1).tolist()


def greedy(heard: Heard) -> list[list[int]]:
    """The phonemes of the best path of each clip: repeats are one, and blanks none."""
    best = heard.phonemes.argmax(-1)
    paths = [path[:count].unique_consecutive() for path, count in zip(best, heard.frames.tolist(), strict=True)]
    return [path[path > 0].tolist() for path in paths]
