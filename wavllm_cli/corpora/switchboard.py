"""Switchboard-1 Release 2: telephone calls of strangers, with the ms98 transcripts of Mississippi State (ISIP)."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated

from wavllm_cli.corpora import FORM, NO_TEXT, UNREADABLE, About, Draft, LeftOut, Seed, Skipped
from wavllm_cli.corpora.calls import SIDES, Call, Line, Plan, drafts
from wavllm_cli.corpora.halves import AUDIO, Layout, find
from wavllm_cli.corpora.marks import without_marks
from wavllm_cli.corpora.splits import FEW_HELD_OUT, Shares
from wavllm_cli.corpora.tables import place, texts
from wavllm_cli.corpora.windows import Windows, require_length
from wavllm_cli.data.files import shown
from wavllm_cli.errors import WavLLMError

ABOUT = About(
    title="Switchboard-1 Release 2: telephone calls of strangers, one channel a side.",
    licence="LDC, paid: LDC97S62; the transcripts are free",
    size="2,400 calls of 543 speakers, 260 hours; no splits: ours keep speakers apart",
    tasks=("asr",),
    source="https://catalog.ldc.upenn.edu/LDC97S62, transcripts https://www.openslr.org/5",
    layout="sw0NNNN.sph (or .wav, .flac), swNNNN{A,B}-ms98-a-trans.text and conv_tab.csv at any depth",
    root="The folder that holds the discs and swb_ms98_transcriptions/.",
    example="wavllm prep switchboard /data/swbd --out data/switchboard",
    out="data/switchboard",
)


@dataclass(frozen=True)
class Options:
    shares: Annotated[Shares, "Of train, dev and test, in percent of the calls."] = FEW_HELD_OUT
    windows: Windows = None
    seed: Seed = 0


LAYOUT = Layout(
    corpus="Switchboard",
    audio=rf"sw0?(\d{{4}})\.{AUDIO}",  # sw02001.sph: a 0 more than the transcripts' names have
    text=r"sw(\d{4}[ab])-ms98-a-trans\.text",
    table=r"conv_tab\.csv|conv\.tab",
    part=r"ldc97s62|swb1_d\d|swb_ms98_transcriptions",
    audio_example="sw0NNNN.sph, .wav or .flac",
    text_example="swNNNNA-ms98-a-trans.text",
)
CONVERSATION, CALLERS, TOPIC = 0, (2, 3), 4  # columns of conv_tab.csv, which has no header
LINE = re.compile(r"(\S+) (\d+(?:\.\d+)?) (\d+(?:\.\d+)?)(?: (.*))?")


def manifests(root: Path, out: Path, options: Options) -> Iterator[Draft]:
    """Utterances and windows of train, dev and test."""
    require_length(options.windows)
    halves = find(root, LAYOUT)
    people, skipped = _people(halves.tables)
    skipped += halves.unused({name[:-1] for name in halves.texts.files})
    calls = []
    for number, audio in sorted(halves.audio.files.items()):
        sides = [halves.texts.files.get(f"{number}{side.lower()}") for side in SIDES]
        if any(sides):
            calls.append(_call(number, audio, sides, people.get(number, [])))
            missing = [side for side, file in zip(SIDES, sides, strict=True) if file is None]
            skipped += [LeftOut(f"sw{number}{side}", NO_TEXT, "no transcript") for side in missing]
    yield from drafts(calls, skipped, Plan("switchboard", out, options.shares, options.seed, options.windows))


def _people(tables: Iterable[Path]) -> tuple[dict[str, list[str]], list[Skipped]]:
    """The columns of the owner's table by the number of the call, and lines that are none."""
    people: dict[str, list[str]] = {}
    skipped: list[Skipped] = []
    for table in tables:
        try:
            for number, line in enumerate(texts(table), 1):
                columns = [] if isinstance(line, Skipped) else [column.strip(' "') for column in line.split(",")]
                if isinstance(line, Skipped):
                    skipped.append(line)
                elif len(columns) > TOPIC:
                    people.setdefault(columns[CONVERSATION], columns)
                elif line.strip():
                    skipped.append(Skipped(place(table, number), FORM, f"{len(columns)} fields, where 5 are needed"))
        except WavLLMError as error:
            skipped.append(Skipped(shown(table), UNREADABLE, str(error).rstrip(".")))
    return people, skipped


def _call(number: str, audio: Path, sides: list[Path | None], columns: list[str]) -> Call:
    name = f"sw{number}"
    pins = [columns[at] if columns else "" for at in CALLERS]
    first, second = (pin or f"{name}-{side}" for pin, side in zip(pins, SIDES, strict=True))
    facts = {"topic": columns[TOPIC]} if columns and columns[TOPIC] else {}
    return Call(name, audio, partial(_lines, sides), (first, second), (facts, facts))


def _lines(sides: list[Path | None]) -> Iterator[Line | Skipped]:
    for side, file in enumerate(sides):
        if file is None:
            continue
        try:
            for number, line in enumerate(texts(file, older="latin-1"), 1):
                if isinstance(line, Skipped):
                    yield line
                elif match := LINE.fullmatch(" ".join(line.split())):
                    start, end, said = float(match[2]), float(match[3]), match[4] or ""
                    yield Line(side, start, end, without_marks(said, "switchboard"))
                elif line.strip():
                    yield Skipped(place(file, number), FORM, "is not ID START END WORDS")
        except WavLLMError as error:
            yield Skipped(shown(file), UNREADABLE, str(error).rstrip("."))
