"""Digit strings spoken by espeak-ng: a corpus out of nothing, for machines without data.

Test is spoken by voices that are not heard in train or dev.
"""

from collections.abc import Iterator
from pathlib import Path
from random import Random

from wavllm_cli.corpora import Draft
from wavllm_cli.corpora.digits import (
    SHORT,
    SHORT_STRINGS,
    SPLITS,
    TRAIN_STRINGS,
    WORDS,
    Digits,
    asr_row,
    beginner_drafts,
    check_range,
    drafts,
    is_taken,
)
from wavllm_cli.data.audio import SAMPLE_RATE, write_wav
from wavllm_cli.data.schema import Utterance
from wavllm_cli.data.tts import VOICES, synthesise

TEST_SPEAKERS = ("f3", "m2", "m7")
STRINGS = {"test": 200, "dev": 100}
RATES = (120, 200)  # words a minute
PITCHES = (30, 70)


def manifests(
    out: Path, digits: tuple[int, int] = (3, 6), count: int = TRAIN_STRINGS, seed: int = 0
) -> Iterator[Draft]:
    """Per split: transcription, questions (`-sqa`), text instructions (`-sft`); for train also `-short`, `-spelled`.

    Args:
        digits: shortest and longest string.
        count: strings in train; test has 200 and dev 100, or as many as train.
    """
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
