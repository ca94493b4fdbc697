"""Common Voice: sentences that volunteers read aloud, in any of its languages. The audio stays where it is."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import Annotated, Any

from wavllm_cli import console
from wavllm_cli.corpora import DUPLICATE, NO_TEXT, About, Draft, LeftOut, Skipped
from wavllm_cli.corpora.folders import audio_name, holding, named, not_found, one_of_copies
from wavllm_cli.corpora.lengths import measured
from wavllm_cli.corpora.splits import Names
from wavllm_cli.corpora.tables import rows
from wavllm_cli.corpora.targets import transcription
from wavllm_cli.data.audio import AudioInfo
from wavllm_cli.data.files import shown
from wavllm_cli.data.schema import Utterance
from wavllm_cli.data.text_file import numbered_lines
from wavllm_cli.errors import UsageError

ABOUT = About(
    title="Common Voice: sentences that volunteers read aloud, one ASR manifest per split and language.",
    licence="CC0 1.0",
    size="38,932 hours in 289 languages (24.0); English of 4.0: train 232,975 clips, dev and test 15,531 each",
    tasks=("asr",),
    source="https://datacollective.mozillafoundation.org (with an account; old releases are no longer offered)",
    layout="cv-corpus-VERSION-DATE/LANGUAGE/ with clips/*.mp3, train.tsv, dev.tsv, test.tsv, validated.tsv …; or these"
    " alone, as before 5.0",
    root="A release, one of its languages, or the parent.",
    example="wavllm prep common-voice /data/cv-corpus-17.0-2024-03-15 --language en --out data/common-voice",
    out="data/common-voice",
)


@dataclass(frozen=True)
class Options:
    language: Annotated[
        Names | None, "By their codes there, such as en,sv-SE; all that are under ROOT if not said."
    ] = None
    splits: Annotated[
        Names | None, "Some of train,dev,test,validated,other,invalidated; if not said the first three."
    ] = None


SPLITS = ("train", "dev", "test")
TABLES = (*SPLITS, "validated", "other", "invalidated")  # `reported.tsv` is broken by line feeds, and of no use here
COLUMNS = ("path", "sentence")
CLIPS = ("clips",)
VOTES = ("up_votes", "down_votes")
FACTS = ("age", "gender", "accents", "variant", "segment", "sentence_domain", *VOTES)
CODE = r"[a-z]{2,3}(?:-[A-Za-z]+)*"
RELEASE = re.compile(r"cv-corpus-[\d.]+(-delta)?(-\d{4}-\d\d-\d\d)?(-singleword)?")


@dataclass(frozen=True)
class Language:
    """A language's folder in a release, or what was all of the archive before there were such folders."""

    folder: Path
    code: str

    @cached_property
    def release(self) -> str:
        """Splits are drawn anew in every release: what a row says of its split holds for this one alone."""
        names = (folder.name for folder in (self.folder, *self.folder.parents))
        return next((found[0] for name in names if (found := RELEASE.match(name))), "unknown")

    @property
    def tables(self) -> list[str]:
        return [name for name in TABLES if self.table(name).is_file()]

    def table(self, name: str) -> Path:
        return self.folder / f"{name}.tsv"

    def clip(self, name: str) -> Path:
        """A clip as tables name it; the oldest leave the suffix out."""
        return named(self.folder / CLIPS[0], name if name.endswith(".mp3") else f"{name}.mp3")

    def facts(self, row: dict[str, str]) -> dict[str, Any]:
        """Who speaks, and what else a table tells: keys of a manifest's row."""
        told = row | {"accents": row.get("accents") or row.get("accent", "")}
        extra = {name: told[name] for name in FACTS if told.get(name)}
        votes = {name: int(extra[name]) for name in VOTES if extra.get(name, "").isdecimal()}
        return {"speaker": row.get("client_id") or None, "extra": {"release": self.release} | extra | votes}


def manifests(root: Path, out: Path, options: Options) -> Iterator[Draft]:
    """One ASR manifest per split and language, such as `train-en.jsonl`."""
    found, unreadable = languages(root)
    if not found:
        not_found(root, "Common Voice", "LANGUAGE/train.tsv or validated.tsv", is_language, unreadable)
    for code in options.language.choose(found, "language") if options.language else sorted(found):
        language = one_language(code, found[code])
        for split in _splits(language, options):
            total = sum(1 for _ in numbered_lines(language.table(split))) - 1
            yield Draft(split, chain(unreadable, _rows(language, split, out)), total + len(unreadable), code)
            unreadable = []


def is_language(folder: Path) -> bool:
    return any((folder / f"{name}.tsv").is_file() for name in ("validated", *SPLITS))


def languages(root: Path) -> tuple[dict[str, list[Path]], list[Skipped]]:
    """The folders of each language by its code, and folders that cannot be read."""
    folders, unreadable = holding(root, is_language, CLIPS)
    found: dict[str, list[Path]] = {}
    for folder in folders:
        found.setdefault(_code(folder), []).append(folder)
    return found, unreadable


def one_language(code: str, folders: list[Path]) -> Language:
    """The one folder of a language.

    Raises:
        UsageError: there are several, of different releases.
    """
    tables = [Language(folder, code).table(Language(folder, code).tables[0]) for folder in folders]
    return Language(one_of_copies(tables, f"Common Voice in {code}").parent, code)


def _code(folder: Path) -> str:
    """What the tables say (since 5.0), what the clips are called (since 2.0), or what the folder is called."""
    for name in Language(folder, "").tables:
        for row in rows(folder / f"{name}.tsv", COLUMNS, escapes=True):
            if isinstance(row, Skipped):
                continue
            if row.get("locale"):
                return row["locale"]
            if clip := re.match(rf"common_voice_({CODE})_\d", row["path"]):
                return clip[1]
            break
    if re.fullmatch(CODE, folder.name):
        return folder.name
    raise UsageError(f"Nothing tells the language of {shown(folder)}: name the folder by its code, such as en.")


def _splits(language: Language, options: Options) -> list[str]:
    if options.splits:
        return options.splits.choose(language.tables, f"table of {language.code} called")
    if found := [split for split in SPLITS if split in language.tables]:
        return found
    console.warn(f"{shown(language.folder)} has no train, dev and test: all that is validated is taken.")
    return ["validated"]


def _rows(language: Language, split: str, out: Path) -> Iterator[Utterance | Skipped]:
    for row, info in measured(_clips(language, split)):
        if isinstance(info, Skipped):
            yield Skipped(row["path"], info.reason, info.detail) if row else info
        else:
            yield _row(language, split, out, row, info)


def _clips(language: Language, split: str) -> Iterator[tuple[Path | Skipped, dict[str, str]]]:
    """Each row with its file; what is no row of its own with the reason and without a row."""
    seen: set[str] = set()
    for row in rows(language.table(split), COLUMNS, escapes=True):
        if isinstance(row, Skipped):
            yield row, {}
        elif row["path"] in seen:
            yield LeftOut(row["path"], DUPLICATE, "is listed twice"), {}
        else:
            seen.add(row["path"])
            yield language.clip(row["path"]), row


def _row(language: Language, split: str, out: Path, row: dict[str, str], info: AudioInfo) -> Utterance | Skipped:
    fields = transcription(row["sentence"].strip(), row.get("locale") or language.code)
    if not fields["target"]:
        return Skipped(row["path"], NO_TEXT, "no sentence")
    return Utterance(
        id=clip_id(row["path"], language.code),
        audio=audio_name(language.clip(row["path"]), out),
        duration=info.duration,
        corpus="common-voice",
        split=split,
        **fields,
        **language.facts(row),
    )


def clip_id(path: str, code: str) -> str:
    """`common_voice_en_17`; the clips of the oldest releases have names without corpus and language."""
    name = path.removesuffix(".mp3")
    return name if name.startswith("common_voice_") else f"common_voice_{code}_{name}"
