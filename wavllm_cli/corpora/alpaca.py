"""Alpaca: instructions with a written input and an answer, as text rows, some of them also to be spoken.

It has no splits: ours are drawn by seed.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Annotated, Any
from unicodedata import normalize

from wavllm_cli import strict_json
from wavllm_cli.corpora import DUPLICATE, FORM, NO_TEXT, About, Draft, LeftOut, Seed, Skipped
from wavllm_cli.corpora.folders import walk
from wavllm_cli.data.files import shown
from wavllm_cli.data.manifest import parquet_rows
from wavllm_cli.data.schema import Utterance
from wavllm_cli.data.text_file import content
from wavllm_cli.errors import UsageError, listed

ABOUT = About(
    title="Alpaca: 52,002 written instructions and answers, text alone.",
    licence="CC BY-NC 4.0; the answers are text-davinci-003's",
    size="52,002 rows (cleaned copy: 51,760), no splits: dev and test are drawn by seed",
    tasks=("sft", "sqqa"),
    source="https://github.com/tatsu-lab/stanford_alpaca (cleaned: https://github.com/gururise/AlpacaDataCleaned)",
    layout="alpaca_data.json or alpaca_data_cleaned.json, an array of {instruction, input, output}, or that as Parquet",
    root="The file, or a folder that has it at any depth.",
    example="wavllm prep alpaca alpaca_data.json --out data/alpaca",
    out="data/alpaca",
)


@dataclass(frozen=True)
class Options:
    dev: Annotated[int, "Instructions held out for validation."] = 500
    test: Annotated[int, "Instructions held out for the test."] = 500
    spoken: Annotated[int, "Instructions of each split, at most, that are also to be spoken: for `prep speak`."] = 0
    seed: Seed = 0


KEYS = ("instruction", "input", "output")
MOST_WORDS = 30  # of an instruction that is to be spoken
LETTERS = 0.8  # at least, of its characters
ADDRESS = re.compile(r"https?:|www\.|\.com\b", re.IGNORECASE)
WRITTEN = re.compile(r"[{}\[\]<>|\\_=`#*^~@\t\n]")  # as code, tables and lists have it
FILE = re.compile(r"alpaca_data\w*\.json$|train-.*\.parquet$")
NO_INPUT = re.compile(r"<?no ?input>?\.?", re.IGNORECASE)  # written out where a row has none


def manifests(root: Path, out: Path, options: Options) -> Iterator[Draft]:
    """Test, dev and train; all rows of an instruction are in one of them."""
    rows = list(_distinct(_row(number, fields) for number, fields in enumerate(_read(root))))
    instructions = sorted({instruction for instruction, row in rows if isinstance(row, Utterance)})
    held_out = options.dev + options.test
    if held_out >= len(instructions):
        raise UsageError(f"{held_out} of {len(instructions)} instructions cannot be held out: ask for fewer.")
    drawn = Random(f"alpaca {options.seed}").sample(instructions, held_out)
    split_of = dict.fromkeys(drawn[: options.test], "test") | dict.fromkeys(drawn[options.test :], "dev")
    splits: dict[str, list[Utterance | Skipped]] = {"test": [], "dev": [], "train": []}
    for instruction, row in rows:
        split = split_of.get(instruction, "train")
        splits[split].append(row.model_copy(update={"split": split}) if isinstance(row, Utterance) else row)
    for split, some in splits.items():
        yield Draft(split, some, len(some))
        if options.spoken:
            yield Draft(split, _spoken(some, options.spoken), kind="sqqa")


def _read(root: Path) -> list[Any]:
    """The owner's array.

    Raises:
        UsageError: there is no such file, or it holds something else.
    """
    if root.is_dir():
        found = [path for path in walk(root, (".json", ".parquet")) if isinstance(path, Path) and FILE.match(path.name)]
        if len(found) != 1:
            several = f"{len(found)} files of Alpaca: name one of {listed(list(map(shown, found)), 3)}"
            raise UsageError(f"{shown(root)} has {several if found else 'no alpaca_data.json at any depth'}.")
        root = found[0]
    if root.suffix == ".parquet":
        return [fields for _, fields in parquet_rows(root)]
    try:
        rows = strict_json.loads(content(root))
    except ValueError as error:
        raise UsageError(f"{shown(root)} is not Alpaca's JSON: {error}.") from error
    if not isinstance(rows, list):
        raise UsageError(f"{shown(root)} is not Alpaca: it must be an array of objects with {', '.join(KEYS)}.")
    return rows


Asked = tuple[str, Utterance | Skipped]  # the instruction that decides about the split, and its row


def _row(number: int, fields: Any) -> Asked:
    name = f"alpaca-{number:05d}"
    if not isinstance(fields, dict) or not all(isinstance(fields.get(key), str) for key in KEYS):
        return "", Skipped(name, FORM, f"is not an object with the texts {', '.join(KEYS)}")
    instruction, given, answer = (normalize("NFC", fields[key]).strip() for key in KEYS)
    if not instruction or not answer:
        return instruction, LeftOut(name, NO_TEXT, f"no {'output' if instruction else 'instruction'}")
    asked = instruction if not given or NO_INPUT.fullmatch(given) else f"{instruction}\n\n{given}"
    return instruction, Utterance(id=name, audio=None, task="sft", prompt=asked, target=answer, corpus="alpaca")


def _distinct(rows: Iterable[Asked]) -> Iterator[Asked]:
    """The rows; those that ask what an earlier one asks are left out."""
    ids: dict[str, str] = {}
    for instruction, row in rows:
        if isinstance(row, Utterance) and ids.setdefault(row.prompt, row.id) != row.id:
            yield instruction, LeftOut(row.id, DUPLICATE, f"asks the same as {ids[row.prompt]}")
        else:
            yield instruction, row


def _spoken(rows: Iterable[Utterance | Skipped], most: int) -> Iterator[Utterance | Skipped]:
    """The rows whose instruction, with its input, can be heard and understood, as questions that wait for a voice."""
    used = 0
    for row in rows:
        if used == most:
            return
        if isinstance(row, Skipped):
            continue
        text = row.prompt.replace("\n\n", " ", 1)
        if why := _only_written(text):
            yield LeftOut(row.id, "only-written", why)
            continue
        used += 1
        text = " ".join(text.split())
        said = {"speech_text": text, "transcript": text, "language": "en"}
        yield row.model_copy(update={"id": f"{row.id}-spoken", "task": "sqqa", "prompt": "", **said})


def _only_written(text: str) -> str | None:
    """Why nobody would say this."""
    if len(text.split()) > MOST_WORDS:
        return f"more than {MOST_WORDS} words"
    if ADDRESS.search(text):
        return "an address"
    if WRITTEN.search(text):
        return "code, a table or a list"
    characters = "".join(text.split())
    letters = sum(character.isascii() and character.isalpha() for character in characters)
    return "few letters" if letters < LETTERS * len(characters) else None
