"""Free Spoken Digit Dataset: six people say ten digits fifty times each.

Recordings are `{digit}_{speaker}_{index}.wav`, 8 kHz. Test is the owner's own: index 0 to
4; dev, index 5 and 6, is our choice; train is the rest. All six speakers are in every split.
"""

import lzma
import os
import re
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from random import Random
from typing import Annotated
from zipfile import BadZipFile, ZipFile, ZipInfo

import numpy as np

from wavllm_cli import console
from wavllm_cli.corpora import UNREADABLE, About, Draft, Seed, Skipped
from wavllm_cli.data.audio import SAMPLE_RATE, decode_audio, read_audio, write_wav
from wavllm_cli.data.files import IS_LFS_POINTER, is_lfs_pointer, shown, why_unreadable
from wavllm_cli.data.schema import Utterance
from wavllm_cli.errors import AudioError, UsageError, WavLLMError, reason
from wavllm_cli.mini.digits import (
    SHORT,
    SHORT_STRINGS,
    SPLITS,
    TRAIN_STRINGS,
    Digits,
    Lengths,
    asr_row,
    beginner_drafts,
    check_range,
    drafts,
    is_taken,
    quiet,
)

ABOUT = About(
    title="Free Spoken Digit Dataset: 3,000 human recordings of digits, alone or joined into strings.",
    licence="CC BY-SA 4.0",
    size="six people say ten digits fifty times each; test is the owner's split (index 0 to 4)",
    tasks=("asr", "sqa", "sft"),
    source="https://github.com/Jakobovski/free-spoken-digit-dataset",
    layout="recordings/DIGIT_SPEAKER_INDEX.wav",
    root="The archive, or its unpacked folder.",
    example="wavllm prep fsdd fsdd.zip --digits 3..6",
    out="data/digits",
)


@dataclass(frozen=True)
class Options:
    digits: Annotated[Lengths | None, "Join recordings into strings, e.g. 3..6."] = None
    count: Annotated[int | None, "Digit strings in the train split, 3,000 if not said."] = None
    seed: Seed = 0


NAME = re.compile(r"(\d)_([A-Za-z]+)_(\d+)\.wav")
PAUSE = (0.05, 0.25)  # seconds between two joined recordings
TRIES = 100  # to find a string that is in no other split
ENCRYPTED = 1  # flag of a zip archive's member
MOST_BYTES = 1 << 26  # of a recording
USES = 2  # of each recording in the dev and test strings


@dataclass(frozen=True)
class Recording:
    """One spoken digit; `samples` (n,) float32 at 16 kHz."""

    name: str
    digit: int
    speaker: str
    split: str
    samples: np.ndarray


def manifests(root: Path, out: Path, options: Options) -> Iterator[Draft]:
    """Per split: transcription, questions (`-sqa`), text instructions (`-sft`); for train also `-short`, `-spelled`.

    Dev and test use each recording about twice.
    """
    digits, seed = options.digits, options.seed
    if options.count is not None and not digits:
        raise UsageError("A number of digit strings needs their lengths too: --digits 3..6, for instance.")
    count = TRAIN_STRINGS if options.count is None else options.count
    if digits:
        check_range(digits, count)
    recordings, skipped = load(root)
    taken: set[Digits] = set()
    for split in SPLITS:
        mine = [r for r in recordings if r.split == split]
        if digits:
            n = count if split == "train" else min(count, round(2 * USES * len(mine) / sum(digits)))
            strings = _draw(mine, digits, n, taken, Random(f"fsdd {split} {seed}"))
            taken |= {tuple(r.digit for r in string) for string in strings}
            folder = f"audio/fsdd-{digits[0]}to{digits[1]}-seed{seed}"
            rows = joined(strings, out, folder, Random(f"fsdd pauses {split} {seed}"))
        else:
            strings = [[r] for r in mine]
            rows = _isolated(mine, out)
        yield from drafts(split, _with_skipped(rows, skipped.get(split, [])), len(strings), "fsdd", seed)
    n = min(count, SHORT_STRINGS)
    train = [r for r in recordings if r.split == "train"]
    strings = _draw(train, SHORT, n, taken, Random(f"fsdd short {seed}"))
    rows = joined(strings, out, f"audio/fsdd-short-seed{seed}", Random(f"fsdd pauses short {seed}"), short=True)
    yield from beginner_drafts(rows, n, "fsdd", seed)


def load(root: Path) -> tuple[list[Recording], dict[str, list[Skipped]]]:
    """All recordings in the order of their names, and by split those that cannot be used.

    Raises:
        UsageError: there are none.
        WavLLMError: none can be used.
    """
    recordings, skipped = [], {split: [] for split in SPLITS}  # type: tuple[list[Recording], dict[str, list[Skipped]]]
    with _opened(root) as (files, unreadable):
        skipped["train"] += unreadable
        if not files and not unreadable:
            raise UsageError(f"{shown(root)} is not FSDD: there is no recording named DIGIT_SPEAKER_INDEX.wav in it.")
        for name in console.track(sorted(files), "reading recordings"):
            digit, speaker, index = NAME.fullmatch(name).groups()  # type: ignore[union-attr]
            split = "test" if int(index) < 5 else "dev" if int(index) < 7 else "train"
            try:
                samples = files[name]()
            except WavLLMError as error:
                skipped[split].append(Skipped(name, UNREADABLE, str(error).rstrip(".")))
                continue
            recordings.append(Recording(name.removesuffix(".wav"), int(digit), speaker.lower(), split, samples))
    if not recordings:
        lost = [one for some in skipped.values() for one in some]
        raise WavLLMError(f"{shown(root)} has no usable recording; skipped: {len(lost):,}; the first: {lost[0]}.")
    return recordings, skipped


Files = dict[str, Callable[[], np.ndarray]]  # what reads a recording, by its file name


@contextmanager
def _opened(root: Path) -> Iterator[tuple[Files, list[Skipped]]]:
    """The recordings of a folder or an archive, and what of it cannot be read."""
    problem = why_unreadable(root)
    if problem == "is a folder":
        yield _in_folder(root)
        return
    if problem == "does not exist":
        raise UsageError(f"There is no folder or archive {shown(root)}.")
    if problem:
        error = WavLLMError if problem.startswith("may not be read") else UsageError
        raise error(f"{shown(root)} {problem}.")
    if is_lfs_pointer(root):
        raise UsageError(f"{shown(root)} {IS_LFS_POINTER}.")
    try:
        archive = ZipFile(root)
    except (BadZipFile, OSError, NotImplementedError, ValueError) as error:
        raise UsageError(f"{shown(root)} is not a folder and not a readable zip archive: {error}.") from error
    with archive:
        yield (
            {
                Path(member.filename).name: partial(_unpacked, archive, member)
                for member in archive.infolist()
                if NAME.fullmatch(Path(member.filename).name)
            },
            [],
        )


def _in_folder(root: Path) -> tuple[Files, list[Skipped]]:
    files: Files = {}
    unreadable: list[Skipped] = []

    def note(error: OSError) -> None:
        why = f"may not be read: {(error.strerror or str(error)).lower()}"
        unreadable.append(Skipped(shown(error.filename), UNREADABLE, why))

    for folder, folders, names in os.walk(root, onerror=note):
        files |= {name: partial(read_audio, Path(folder, name)) for name in (*names, *folders) if NAME.fullmatch(name)}
    return files, unreadable


def _unpacked(archive: ZipFile, member: ZipInfo) -> np.ndarray:
    """The samples of a member.

    Raises:
        AudioError: it cannot be unpacked, or is not audio.
    """
    name = Path(member.filename).name
    if member.flag_bits & ENCRYPTED:
        raise AudioError(f"{name} is encrypted: unpack the archive first, and give its folder.")
    try:
        with archive.open(member) as file:
            content = file.read(MOST_BYTES + 1)
    except NotImplementedError as error:
        raise AudioError(f"{name} is packed in a way that cannot be read ({reason(error)}).") from error
    except (BadZipFile, OSError, EOFError, RuntimeError, ValueError, zlib.error, lzma.LZMAError) as error:
        raise AudioError(f"{name} is damaged in the archive: {reason(error).rstrip('.')}.") from error
    if len(content) > MOST_BYTES:
        raise AudioError(f"{name} is larger than {MOST_BYTES // 2**20} MB unpacked: no recording of a digit is.")
    return decode_audio(content, name)


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


def joined(
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
