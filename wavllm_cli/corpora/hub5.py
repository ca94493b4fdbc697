"""NIST's test sets of telephone speech, such as eval2000 and RT-03: recordings of two channels and an STM file."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from operator import attrgetter
from pathlib import Path

from wavllm_cli.corpora import FORM, NO_AUDIO, UNREADABLE, About, Draft, LeftOut, Skipped
from wavllm_cli.corpora.calls import ONE_CHANNEL, SIDES, measure_readable, readable
from wavllm_cli.corpora.conversations import Recording, Said, utterance
from wavllm_cli.corpora.folders import audio_name, not_found, require_folder, walk
from wavllm_cli.corpora.halves import AUDIO, Copies
from wavllm_cli.corpora.lengths import measured
from wavllm_cli.corpora.marks import without_marks
from wavllm_cli.corpora.tables import place, texts
from wavllm_cli.data.audio import AudioInfo
from wavllm_cli.data.files import shown
from wavllm_cli.data.schema import Utterance
from wavllm_cli.errors import WavLLMError

ABOUT = About(
    title="Hub5 and RT test sets of telephone speech (eval2000, RT-03), by their STM references.",
    licence="LDC, paid: LDC2002S09 and LDC2002T43 (eval2000), LDC2007S10 (RT-03)",
    size="eval2000: 40 calls, half of them Switchboard's and half CallHome's; a test manifest an STM file",
    tasks=("asr",),
    source="https://catalog.ldc.upenn.edu/LDC2002S09",
    layout="*.stm, and the recordings that they name, such as en_4156.sph, at any depth",
    root="The folder that holds recordings and references.",
    example="wavllm prep hub5 /data/hub5e_00 --out data/eval2000",
    out="data/hub5",
)


@dataclass(frozen=True)
class Options:
    pass


LINE = re.compile(r"(\S+) (\S+) (\S+) (\d+(?:\.\d+)?) (\d+(?:\.\d+)?)(?: <([^>]*)>)?(?: (.*))?")
CHANNELS = {"A": 0, "B": 1, "1": 0, "2": 1}
NOT_SCORED = re.compile(r"ignore_time_segment_in_scoring|excluded_region|inter_segment_gap", re.IGNORECASE)
IGNORED = "not-scored"


@dataclass(frozen=True)
class _Line:
    """A line of a reference: which channel of which recording, and what is said in it."""

    recording: str
    channel: int
    said: Said
    is_scored: bool


def manifests(root: Path, out: Path, options: Options) -> Iterator[Draft]:
    """A manifest a reference, called as it is."""
    require_folder(root)
    recordings, references, skipped = Copies(), Copies(), []
    for path in walk(root):
        if isinstance(path, Skipped):
            skipped.append(path)
        elif path.suffix.lower() == ".stm":
            references.add(path.stem, path)
        elif re.fullmatch(rf".+\.{AUDIO}", path.name, re.IGNORECASE):
            recordings.add(path.stem.lower(), path)
    if not references.files:
        not_found(root, "a Hub5 or RT test set", "*.stm", lambda folder: any(folder.glob("*.stm")), skipped)
    skipped += [*references.left_out, *recordings.left_out]
    for name, reference in sorted(references.files.items()):
        yield Draft(name, _rows(reference, recordings.files, skipped, out))
        skipped = []


def _rows(
    reference: Path, recordings: dict[str, Path], skipped: list[Skipped], out: Path
) -> Iterator[Utterance | Skipped]:
    yield from skipped
    found = list(_lines(reference))
    yield from (one for one in found if isinstance(one, Skipped))
    wanted = []
    for recording, lines in groupby((one for one in found if isinstance(one, _Line)), attrgetter("recording")):
        if path := recordings.get(recording.lower()):
            wanted.append((path, (path, list(lines))))
        else:
            yield Skipped(recording, NO_AUDIO, f"{len(list(lines))} lines of {reference.name} are about it")
    names: set[str] = set()
    for (path, own), info in measured(wanted, partial(measure_readable, out)):
        if isinstance(info, Skipped):
            yield info
            continue
        for line in own:
            yield from _row(line, readable(path, out), info, reference.stem, out, names)


def _lines(reference: Path) -> Iterator[_Line | Skipped]:
    try:
        for number, line in enumerate(texts(reference, older="latin-1"), 1):
            if isinstance(line, Skipped):
                yield line
            elif line.strip() and not line.startswith(";;"):
                match = LINE.fullmatch(" ".join(line.split()))
                if match and match[2].upper() in CHANNELS:
                    yield _parsed(match)
                else:
                    yield Skipped(place(reference, number), FORM, "is not RECORDING CHANNEL SPEAKER START END WORDS")
    except WavLLMError as error:
        yield Skipped(shown(reference), UNREADABLE, str(error).rstrip("."))


def _parsed(match: re.Match[str]) -> _Line:
    recording, channel, speaker, start, end, label, written = match.groups(default="")
    words, at = without_marks(written, "hub5").lower(), CHANNELS[channel.upper()]
    said = Said(float(start), float(end), words, words, speaker, at, {"label": label} if label else {})
    return _Line(recording, at, said, not NOT_SCORED.search(written))


def _row(
    line: _Line, path: Path, info: AudioInfo, split: str, out: Path, names: set[str]
) -> Iterator[Utterance | Skipped]:
    name = f"{line.recording}-{SIDES[line.channel]}"
    if info.channels < len(SIDES):
        yield Skipped(name, ONE_CHANNEL, f"{shown(path)} has one channel: the sides cannot be told apart")
    elif not line.is_scored:
        yield LeftOut(f"{name} {line.said.start:g}", IGNORED, "is not to be scored")
    else:
        recording = Recording("hub5", split, line.recording, name, audio_name(path, out), info.duration)
        yield from utterance(recording, line.said, names)
