"""The Gaokao listening test, as the original project gives it: conversations, and questions with three choices."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from wavllm_cli.corpora import DUPLICATE, FORM, NO_AUDIO, About, Draft, Skipped
from wavllm_cli.corpora.folders import audio_name, require_folder, walk
from wavllm_cli.corpora.lengths import measured
from wavllm_cli.corpora.tables import rows
from wavllm_cli.data.files import shown
from wavllm_cli.data.schema import Utterance
from wavllm_cli.errors import UsageError, listed

TABLE_FROM = "https://github.com/microsoft/SpeechT5"
AUDIO_FROM = "https://huggingface.co/v-sjhu/WavLLM"
ABOUT = About(
    title="Gaokao listening questions: 2,000 short English conversations, each with a question and three choices.",
    licence="none is stated; the questions are those of Chinese examinations",
    size="2,000 questions, a test set alone",
    tasks=("sqa",),
    source=f"table: {TABLE_FROM} (WavLLM); audio: {AUDIO_FROM}",
    layout="gaokao.tsv and, anywhere beside or below it, the recordings short_conv_N.wav",
    root="Folder with the table and the recordings, or the table.",
    example="wavllm prep gaokao /data/gaokao --out data/gaokao",
    out="data/gaokao",
)


@dataclass(frozen=True)
class Options:
    pass


COLUMNS = ("id", "audio", "prompt", "tgt_text")
LETTERS = ("A", "B", "C")
SUFFIXES = (".wav", ".flac", ".mp3")
# Choices are not always kept apart by semicolons: "A. Rich B. Wise C. Funny". The A of "U.S.A. " is none.
LABEL = re.compile(r"(?<![A-Za-z.])[ABC]\. ")

Row = dict[str, str]


def manifests(root: Path, out: Path, options: Options) -> Iterator[Draft]:
    """One manifest of questions, in the order of the table."""
    table = _table(root)
    listed_rows = list(_distinct(rows(table, COLUMNS)))
    recordings = {path.stem: path for path in reversed(_recordings(table.parent))}  # of two, the first counts
    if not recordings:
        raise UsageError(
            f"{shown(table)} is there, but no recording (short_conv_1.wav …) beside or below it: get them from "
            f"{AUDIO_FROM}"
        )
    yield Draft("test", _rows(listed_rows, recordings, out), len(listed_rows))


def _table(root: Path) -> Path:
    """The table itself, or the one below a folder.

    Raises:
        UsageError: there is none, or several.
    """
    if root.is_file():
        return root
    require_folder(root)
    found = [path for path in walk(root, (".tsv",)) if isinstance(path, Path) and "gaokao" in path.name.lower()]
    if len(found) > 1:
        raise UsageError(f"{shown(root)} has {len(found)} tables: name one of {listed(list(map(shown, found)), 3)}.")
    if not found:
        raise UsageError(f"{shown(root)} has no gaokao.tsv at any depth: get it from {TABLE_FROM}")
    return found[0]


def _recordings(folder: Path) -> list[Path]:
    return [path for path in walk(folder, SUFFIXES) if isinstance(path, Path)]


def _distinct(lines: Iterable[Row | Skipped]) -> Iterator[Row | Skipped]:
    """The rows of the table; prompts are often the same, ids must not be."""
    ids: set[str] = set()
    for row in lines:
        if isinstance(row, Skipped):
            yield row
        elif row["id"] in ids:
            yield Skipped(row["id"], DUPLICATE, "its id is taken by an earlier row")
        else:
            ids.add(row["id"])
            yield row


def _rows(table: Iterable[Row | Skipped], recordings: dict[str, Path], out: Path) -> Iterator[Utterance | Skipped]:
    found = []
    for row in table:
        if isinstance(row, Skipped):
            yield row
        elif len(choices := _choices(row["prompt"])) != len(LETTERS) or row["tgt_text"] not in LETTERS:
            yield Skipped(row["id"], FORM, "has not three choices, A to C, and one of these letters as its answer")
        elif (path := recordings.get(Path(row["audio"]).stem)) is None:
            yield Skipped(row["id"], NO_AUDIO, f"no {Path(row['audio']).name}")
        else:
            found.append((path, (row, choices, audio_name(path, out))))
    for (row, choices, audio), info in measured(found):
        if isinstance(info, Skipped):
            yield Skipped(row["id"], info.reason, info.detail)
            continue
        yield Utterance(
            id=f"gaokao-{row['id']}",
            audio=audio,
            duration=info.duration,
            task="sqa",
            prompt=row["prompt"].strip(),
            target=row["tgt_text"],
            choices=choices,
            language="en",
            corpus="gaokao",
            split="test",
        )


def _choices(prompt: str) -> list[str]:
    """`Why? A. Rich; B. Wise; C. Funny.` -> `["Rich", "Wise", "Funny"]`."""
    _, *choices = LABEL.split(prompt.strip().removesuffix("."))
    return [choice.strip().removesuffix(";").rstrip() for choice in choices]
