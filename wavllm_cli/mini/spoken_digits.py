"""Digit strings spoken by espeak-ng: a corpus out of nothing, for machines without data.

Test is spoken by voices that are not heard in train or dev.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Annotated

from wavllm_cli.corpora import About, Draft, Seed
from wavllm_cli.data.audio import SAMPLE_RATE, write_wav
from wavllm_cli.data.schema import Utterance
from wavllm_cli.mini.digits import (
    SHORT,
    SHORT_STRINGS,
    SPLITS,
    TRAIN_STRINGS,
    USUAL,
    WORDS,
    Digits,
    Lengths,
    asr_row,
    beginner_drafts,
    check_range,
    drafts,
    is_taken,
)
from wavllm_cli.speech.espeak import VOICES, synthesise

TEST_SPEAKERS = ("f3", "m2", "m7")
STRINGS = {"test": 200, "dev": 100}
RATES = (120, 200)  # words a minute
PITCHES = (30, 70)


ABOUT = About(
    title="Digit strings spoken by espeak-ng in many voices: needs nothing but this package.",
    licence="none to ask for: it is made on your machine",
    size="3,000 strings in train, 100 in dev, 200 in test, spoken by voices that are in no other split",
    tasks=("asr", "sqa", "sft"),
    source="made here",
    layout="nothing",
    root=None,
    example="wavllm prep spoken-digits --digits 3..6",
    out="data/digits",
)


@dataclass(frozen=True)
class Options:
    digits: Annotated[Lengths, "Shortest and longest digit string."] = USUAL
    count: Annotated[int, "Digit strings in train; test has 200 and dev 100, or as many."] = TRAIN_STRINGS
    seed: Seed = 0


def manifests(root: None, out: Path, options: Options) -> Iterator[Draft]:
    """Per split: transcription, questions (`-sqa`), text instructions (`-sft`); for train also `-short`, `-spelled`."""
    digits, count, seed = options.digits, options.count, options.seed
    check_range(digits, count)
    taken: set[Digits] = set()
    for split in SPLITS:
        n = min(count, STRINGS.get(split, count))
        strings = _draw(digits, n, taken, Random(f"spoken-digits {split} {seed}"))
        taken |= set(strings)
        folder = f"audio/spoken-{digits[0]}to{digits[1]}-seed{seed}"
        rows = _spoken(strings, split, out, folder, Random(f"spoken-digits voices {split} {seed}"))
        yield from drafts(split, rows, n, "spoken-digits", seed)
    n = min(count, SHORT_STRINGS)
    strings = _draw(SHORT, n, taken, Random(f"spoken-digits short {seed}"))
    folder, voices = f"audio/spoken-short-seed{seed}", Random(f"spoken-digits voices short {seed}")
    yield from beginner_drafts(_spoken(strings, "train", out, folder, voices, short=True), n, "spoken-digits", seed)


def _draw(digits: tuple[int, int], count: int, taken: set[Digits], rng: Random) -> list[Digits]:
    strings: list[Digits] = []
    while len(strings) < count:
        string = tuple(rng.randrange(10) for _ in range(rng.randint(*digits)))
        if not is_taken(string, taken):
            strings.append(string)
    return strings


def _spoken(
    strings: list[Digits], split: str, out: Path, folder: str, rng: Random, short: bool = False
) -> Iterator[Utterance]:
    voices = [v for v in VOICES if v.endswith(TEST_SPEAKERS) == (split == "test")]
    for number, string in enumerate(strings):
        name = f"spoken-{'short' if short else split}-{number:05d}"
        voice = rng.choice(voices)
        between = rng.choice((" ", ", "))  # in one breath, or one by one
        text = between.join(WORDS[d] for d in string)
        samples = synthesise(text, voice, rng.randint(*RATES), rng.randint(*PITCHES))
        audio = f"{folder}/{name}.wav"
        write_wav(out / audio, samples)
        about = {"speaker": voice, "corpus": "spoken-digits", "split": split}
        yield asr_row(name, audio, len(samples) / SAMPLE_RATE, string, **about)
