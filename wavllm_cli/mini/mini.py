"""The miniature's data: every task of the paper over a closed world, spoken here, with real recordings beside it."""

from collections.abc import Iterator
from dataclasses import dataclass
from os import cpu_count
from pathlib import Path
from typing import Annotated

from wavllm_cli import console
from wavllm_cli.corpora import About, Draft, Seed
from wavllm_cli.data.schema import Utterance
from wavllm_cli.errors import UsageError
from wavllm_cli.mini import sources
from wavllm_cli.mini.casting import SPLITS, Casting
from wavllm_cli.mini.given import Given
from wavllm_cli.mini.part import COUNTS, Part
from wavllm_cli.mini.takes import Studio, record
from wavllm_cli.speech.engine import Options as SpeechOptions

ABOUT = About(
    title="The miniature: all tasks over a closed world whose answers are known, in many voices, and real recordings.",
    licence="what is made here: none to ask for; sources.json names that of every other source",
    size="{:,} spoken scenes in train, {:,} in dev, {:,} in test, and rows of every task about them".format(
        *COUNTS["world"]
    ),
    tasks=("asr", "st", "sv", "er", "sqa", "sqqa", "sft", "ii", "cot"),
    source="made here by espeak-ng and, where it is installed, Piper; real recordings are yours to name",
    layout="nothing",
    root=None,
    example="wavllm prep mini --real recordings --fsdd fsdd.zip",
    out="data/mini",
)


@dataclass(frozen=True)
class Options:
    real: Annotated[
        tuple[Path, ...], "Folder of manifests of real recordings, or of such folders; again for more."
    ] = ()
    fsdd: Annotated[Path | None, "Free Spoken Digit Dataset: the archive, or its unpacked folder."] = None
    sentences: Annotated[Path | None, "Open English: one sentence a line, or a folder of WordNet's data files."] = None
    scale: Annotated[float, "All numbers of rows times this; those of dev and test at most times 1."] = 1.0
    seed: Seed = 0
    processes: Annotated[int | None, "Processes that speak. [default: as many as cores]"] = None


MOST = 100.0  # scale


def manifests(root: None, out: Path, options: Options) -> Iterator[Draft]:
    """Split by split; at last `sources.json`."""
    if not 0 < options.scale <= MOST:
        raise UsageError(f"--scale must be above 0 and at most {MOST:g}, not {options.scale:g}.")
    given = Given.read(options.real, options.fsdd, options.sentences)
    studio = Studio.open(SpeechOptions())
    parts = [Part(Casting(split, studio.natural, options.seed), options.scale, given) for split in SPLITS]
    if not any(part.sentences for part in parts):
        console.info("No open English is spoken or spelled: name --sentences, or --real with transcribed recordings.")
    takes = [take for part in parts for take in part.script.takes()]
    clips = record(takes, studio, out, options.processes or cpu_count() or 1)
    made: dict[str, list[Utterance]] = {}
    for part in parts:
        for kind, rows in part.manifests(clips, out):
            draft = Draft(part.split, rows, len(rows), kind)
            if rows:
                made[draft.name] = rows
                yield draft
        if lost := part.unspoken(clips):
            yield Draft(part.split, lost, len(lost), "unspoken")
    sources.write(out / sources.NAME, made, given, studio)
