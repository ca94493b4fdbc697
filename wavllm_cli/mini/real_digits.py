"""Digit strings for the miniature out of FSDD's recordings: speakers and strings of a split are in no other."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from random import Random

from wavllm_cli.data.schema import Utterance
from wavllm_cli.mini.digits import words
from wavllm_cli.mini.fsdd import Recording, joined, load
from wavllm_cli.mini.vocabulary import split_of

LENGTHS = (3, 6)  # digits in a string
SPEAKERS = {"train": slice(0, 3), "dev": slice(3, 4), "test": slice(4, None)}  # of the six, in alphabetical order


def recordings(fsdd: Path) -> list[Recording]:
    """Its recordings, in the splits of the miniature and not the owner's, which have all speakers.

    Raises:
        UsageError: there are none.
        WavLLMError: none can be used.
    """
    found, _ = load(fsdd)
    speakers = sorted({one.speaker for one in found})
    split = {speaker: name for name, some in SPEAKERS.items() for speaker in speakers[some]}
    return [replace(one, split=split[one.speaker]) for one in found]


def rows(found: Sequence[Recording], split: str, count: int, out: Path, seed: int) -> Iterator[Utterance]:
    """Transcription rows of strings, whose clips are written under `out`."""
    rng = Random(f"real digits {split} {seed}")
    decks: dict[str, list[Recording]] = {}
    for one in found:
        if one.split == split:
            decks.setdefault(one.speaker, []).append(one)
    speakers = sorted(decks)
    strings = [_string(decks[speakers[i % len(speakers)]], split, rng) for i in range(count if speakers else 0)]
    return joined(strings, out, f"audio/fsdd-seed{seed}", rng)


def digit_strings(split: str, count: int, seed: int) -> list[str]:
    """Random strings of a split in words, which nobody speaks."""
    rng = Random(f"digit strings {split} {seed}")
    strings: list[str] = []
    while len(strings) < count:
        text = words(rng.randrange(10) for _ in range(rng.randint(*LENGTHS)))
        if split_of(text) == split:
            strings.append(text)
    return strings


def _string(deck: Sequence[Recording], split: str, rng: Random) -> list[Recording]:
    """Some recordings whose digits are a string of the split; there are more than ten thousand in each."""
    while True:
        string = rng.sample(deck, min(rng.randint(*LENGTHS), len(deck)))
        if split_of(words(one.digit for one in string)) == split:
            return string
