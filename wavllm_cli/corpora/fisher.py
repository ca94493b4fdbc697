"""Fisher English: telephone calls of strangers about a given topic, with quick transcripts."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Literal

from wavllm_cli.corpora import FORM, UNREADABLE, About, Adjusted, Draft, LeftOut, Seed, Skipped
from wavllm_cli.corpora.calls import SIDES, Call, Line, Plan, drafts
from wavllm_cli.corpora.halves import AUDIO, Layout, find
from wavllm_cli.corpora.marks import without_marks
from wavllm_cli.corpora.splits import FEW_HELD_OUT, Shares
from wavllm_cli.corpora.tables import place, rows, texts
from wavllm_cli.corpora.windows import Windows, require_length
from wavllm_cli.data.files import shown
from wavllm_cli.errors import WavLLMError

ABOUT = About(
    title="Fisher English: telephone calls of strangers, one channel a side.",
    licence="LDC, paid: LDC2004S13 and LDC2005S13 (speech), LDC2004T19 and LDC2005T19 (transcripts)",
    size="11,699 calls of up to 10 minutes; no splits: ours keep speakers apart",
    tasks=("asr",),
    source="https://catalog.ldc.upenn.edu/LDC2004S13",
    layout="fe_03_NNNNN.sph (or .wav, .flac), data/trans/NNN/fe_03_NNNNN.txt and doc/*_calldata.tbl at any depth; the "
    "owner's .sph are compressed: with sph2pipe on PATH each becomes OUT/audio/fe_03_NNNNN.flac, once",
    root="The folder that holds all parts.",
    example="wavllm prep fisher /data/LDC --out data/fisher",
    out="data/fisher",
)


@dataclass(frozen=True)
class Options:
    uncertain: Annotated[
        Literal["drop", "keep"], "What becomes of lines with (( words )) of which the transcriber was not sure."
    ] = "drop"
    shares: Annotated[Shares, "Of train, dev and test, in percent of the calls."] = FEW_HELD_OUT
    windows: Windows = None
    seed: Seed = 0


LAYOUT = Layout(
    corpus="Fisher English",
    audio=rf"(fe_03_\d{{5}})\.{AUDIO}",
    text=r"(fe_03_\d{5})\.txt",
    table=r".*calldata\.tbl",
    part=r"ldc200[45][st](13|19)|fe_03_p\d.*|fisher_eng_tr_.*",
    audio_example="fe_03_NNNNN.sph, .wav or .flac",
    text_example="fe_03_NNNNN.txt",
    ignored="bbn_orig",  # what some transcripts were made from
)
LINE = re.compile(r"(\d+(?:\.\d+)?) (\d+(?:\.\d+)?) ([AB]):(.*)")
# As they stand in the owner's files, and as they are meant.
MISPRINTS = {("fe_03_11487", "31.09 234.06"): "231.09 234.06"}
NO_SPEECH = {"fe_03_00446", "fe_03_01243", "fe_03_06716"}  # whose audio others have found unusable


def manifests(root: Path, out: Path, options: Options) -> Iterator[Draft]:
    """Utterances and windows of train, dev and test."""
    require_length(options.windows)
    halves = find(root, LAYOUT)
    people, skipped = _people(halves.tables)
    skipped += halves.unused(halves.texts.files)
    calls = []
    for name, audio in sorted(halves.audio.files.items()):
        if name in NO_SPEECH:
            skipped.append(LeftOut(name, UNREADABLE, "is known to hold no usable audio"))
        elif transcript := halves.texts.files.get(name):
            calls.append(_call(name, audio, transcript, people, options))
    yield from drafts(calls, skipped, Plan("fisher", out, options.shares, options.seed, options.windows))


# --- who speaks ---


def _people(tables: list[Path]) -> tuple[dict[str, dict[str, str]], list[Skipped]]:
    """The rows of the owner's tables by the number of the call, and lines that are none."""
    people: dict[str, dict[str, str]] = {}
    skipped: list[Skipped] = []
    for table in tables:
        try:
            for row in rows(table, ("CALL_ID", "APIN", "BPIN"), separator=","):
                if isinstance(row, Skipped):
                    skipped.append(row)
                else:
                    people.setdefault(row["CALL_ID"].strip().zfill(5), row)
        except WavLLMError as error:
            skipped.append(Skipped(shown(table), UNREADABLE, str(error).rstrip(".")))
    return people, skipped


def _call(name: str, audio: Path, transcript: Path, people: dict[str, dict[str, str]], options: Options) -> Call:
    row = people.get(name[-5:], {})
    (first, first_facts), (second, second_facts) = (_speaker(name, side, row) for side in SIDES)
    lines = partial(_lines, transcript, options.uncertain == "keep")
    return Call(name, audio, lines, (first, second), (first_facts, second_facts))


def _speaker(call: str, side: str, row: dict[str, str]) -> tuple[str, dict[str, str]]:
    """Who speaks: households share a PIN, so the sex that listeners heard belongs to it; and what else is known."""
    pin = row.get(f"{side}PIN", "").strip()
    sex, _, dialect = row.get(f"{side}SX.DL", "").strip().partition(".")
    facts = {"gender": sex, "dialect": dialect, "topic": row.get("TOPICID", "").strip()}
    speaker = "-".join(filter(None, (pin, sex))) if pin else f"{call}-{side}"
    return speaker, {fact: value for fact, value in facts.items() if value}


# --- what is said ---


def _lines(file: Path, keep_uncertain: bool) -> Iterator[Line | Skipped]:
    try:
        for number, line in enumerate(texts(file, older="latin-1"), 1):
            if isinstance(line, Skipped):
                yield line
            elif line.strip() and not line.startswith("#"):
                yield from _line(file, number, line.strip(), keep_uncertain)
    except WavLLMError as error:
        yield Skipped(shown(file), UNREADABLE, str(error).rstrip("."))


def _line(file: Path, number: int, text: str, keep_uncertain: bool) -> Iterator[Line | Skipped]:
    for (call, printed), meant in MISPRINTS.items():
        if file.stem.lower() == call and text.startswith(f"{printed} "):
            text = text.replace(printed, meant, 1)
            yield Adjusted(place(file, number), FORM, f"{printed} is a misprint of {meant}")
    match = LINE.fullmatch(" ".join(text.split()))
    if not match:
        yield Skipped(place(file, number), FORM, "is not START END SIDE: WORDS")
        return
    start, end, side, said = match.groups()
    is_uncertain = "((" in said and not keep_uncertain
    yield Line(SIDES.index(side), float(start), float(end), without_marks(said, "fisher"), is_uncertain)
