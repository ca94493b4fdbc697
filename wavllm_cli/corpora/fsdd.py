"""Free Spoken Digit Dataset (github.com/Jakobovski/free-spoken-digit-dataset, CC BY-SA 4.0).

Six people say ten digits fifty times each: `{digit}_{speaker}_{index}.wav`, 8 kHz. Test is the owner's own: index 0 to
4; dev, index 5 and 6, is our choice; train is the rest. All six speakers are in every split.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random
from zipfile import BadZipFile, ZipFile

import numpy as np

from wavllm_cli import console
from wavllm_cli.corpora import Draft, Skipped
from wavllm_cli.corpora.digits import (
    SHORT,
    SHORT_STRINGS,
    SPLITS,
    TRAIN_STRINGS,
    Digits,
    asr_row,
    beginner_drafts,
    check_range,
    drafts,
    is_taken,
    quiet,
)
from wavllm_cli.data.audio import SAMPLE_RATE, decode_audio, write_wav
from wavllm_cli.data.manifest import Utterance
from wavllm_cli.errors import AudioError, UsageError

NAME = re.compile(r"(\d)_([A-Za-z]+)_(\d+)\.wav")
PAUSE = (0.05, 0.25)  # seconds between two joined recordings
TRIES = 100  # to find a string that is in no other split
USES = 2  # of each recording in the dev and test strings


@dataclass(frozen=True)
class Recording:
    """One spoken digit; `samples` (n,) float32 at 16 kHz."""

    name: str
    digit: int
    speaker: str
    split: str
    samples: np.ndarray


def manifests(
    root: Path, out: Path, digits: tuple[int, int] | None = None, count: int | None = None, seed: int = 0
) -> Iterator[Draft]:
    """Per split: transcription, questions (`-sqa`), text instructions (`-sft`); for train also `-short`, `-spelled`.

    Args:
        root: the archive or its unpacked folder.
        digits: shortest and longest string to join recordings of one speaker into; None keeps them alone.
        count: strings in train, by default 3,000; in dev and test each recording is used about twice.
    """
    if count is not None and not digits:
        raise UsageError("A number of digit strings needs their lengths too: --digits 3..6, for instance.")
    count = TRAIN_STRINGS if count is None else count
    if digits:
        check_range(digits, count)
    recordings, skipped = _load(root)
    taken: set[Digits] = set()
    for split in SPLITS:
        mine = [r for r in recordings if r.split == split]
        if digits:
            n = count if split == "train" else min(count, round(2 * USES * len(mine) / sum(digits)))
            strings = _draw(mine, digits, n, taken, Random(f"fsdd {split} {seed}"))
            taken |= {tuple(r.digit for r in string) for string in strings}
            folder = f"audio/fsdd-{digits[0]}to{digits[1]}-seed{seed}"
            rows = _joined(strings, out, folder, Random(f"fsdd pauses {split} {seed}"))
        else:
            strings = [[r] for r in mine]
            rows = _isolated(mine, out)
        yield from drafts(split, _with_skipped(rows, skipped.get(split, [])), len(strings), "fsdd", seed)
    n = min(count, SHORT_STRINGS)
    train = [r for r in recordings if r.split == "train"]
    strings = _draw(train, SHORT, n, taken, Random(f"fsdd short {seed}"))
    rows = _joined(strings, out, f"audio/fsdd-short-seed{seed}", Random(f"fsdd pauses short {seed}"), short=True)
    yield from beginner_drafts(rows, n, "fsdd", seed)


def _load(root: Path) -> tuple[list[Recording], dict[str, list[Skipped]]]:
    """All recordings in the order of their names, and by split those that cannot be used."""
    recordings, skipped = [], {split: [] for split in SPLITS}  # type: tuple[list[Recording], dict[str, list[Skipped]]]
    files = dict(_files(root))
    if not files:
        raise UsageError(f"{root} is not FSDD: there is no recording named DIGIT_SPEAKER_INDEX.wav in it.")
    for name in console.track(sorted(files), "reading recordings"):
        digit, speaker, index = NAME.fullmatch(name).groups()  # type: ignore[union-attr]
        split = "test" if int(index) < 5 else "dev" if int(index) < 7 else "train"
        try:
            samples = decode_audio(files[name], name)
        except AudioError as error:
            skipped[split].append(Skipped(name, str(error).rstrip(".")))
            continue
        recordings.append(Recording(name.removesuffix(".wav"), int(digit), speaker.lower(), split, samples))
    return recordings, skipped


def _files(root: Path) -> Iterator[tuple[str, bytes]]:
    """(file name, content) of every recording in a folder or archive."""
    if root.is_dir():
        for path in root.rglob("*.wav"):
            if NAME.fullmatch(path.name):
                yield path.name, path.read_bytes()
        return
    if not root.is_file():
        raise UsageError(f"There is no folder or archive {root}.")
    try:
        with ZipFile(root) as archive:
            for member in archive.namelist():
                if NAME.fullmatch(Path(member).name):
                    yield Path(member).name, archive.read(member)
    except BadZipFile as error:
        raise UsageError(f"{root} is not a folder and not a readable zip archive: {error}.") from error


def _draw(
    recordings: list[Recording], digits: tuple[int, int], count: int, taken: set[Digits], rng: Random
) -> list[list[Recording]]:
    """Strings of one speaker's recordings each, all used about equally often, none of them `taken`."""
    decks: dict[str, list[Recording]] = {r.speaker: [] for r in recordings}
    speakers = sorted(decks)
    strings = []
    for i in range(count if speakers else 0):
        speaker = speakers[i % len(speakers)]
        deck, n = decks[speaker], rng.randint(*digits)
        mine = [r for r in recordings if r.speaker == speaker]
        for _ in range(TRIES):
            if len(deck) >= n and not is_taken(tuple(r.digit for r in deck[:n]), taken):
                break
            deck += rng.sample(mine, len(mine))
            if len(deck) > len(mine):
                rng.shuffle(deck)
        else:
            raise UsageError(
                f"The recordings of {speaker} are too few to keep test strings out of train: use longer ones."
            )
        strings.append(deck[:n])
        del deck[:n]
    return strings


def _joined(
    strings: list[list[Recording]], out: Path, folder: str, rng: Random, short: bool = False
) -> Iterator[Utterance]:
    for number, string in enumerate(strings):
        pieces = [string[0].samples]
        for recording in string[1:]:
            pieces += [quiet(rng.uniform(*PAUSE), rng), recording.samples]
        name = f"fsdd-{'short' if short else string[0].split}-{number:05d}"
        yield _clip(name, np.concatenate(pieces), string, out, f"{folder}/{name}.wav")


def _isolated(recordings: list[Recording], out: Path) -> Iterator[Utterance]:
    for recording in recordings:
        name = f"fsdd-{recording.name}"
        yield _clip(name, recording.samples, [recording], out, f"audio/fsdd/{name}.wav")


def _clip(name: str, samples: np.ndarray, string: list[Recording], out: Path, audio: str) -> Utterance:
    write_wav(out / audio, samples)
    digits = tuple(r.digit for r in string)
    about = {"speaker": string[0].speaker, "corpus": "fsdd", "split": string[0].split}
    return asr_row(name, audio, len(samples) / SAMPLE_RATE, digits, **about)


def _with_skipped(rows: Iterator[Utterance], skipped: list[Skipped]) -> Iterator[Utterance | Skipped]:
    yield from skipped
    yield from rows
