"""CoVoST 2: Common Voice translated, from English into 15 languages and from 21 into English."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Annotated, Any, Literal

from wavllm_cli import console
from wavllm_cli.corpora import DUPLICATE, NO_AUDIO, NO_TEXT, NOT_IN_TABLE, About, Adjusted, Draft, LeftOut, Skipped
from wavllm_cli.corpora.common_voice import CLIPS, CODE, Language, languages, one_language
from wavllm_cli.corpora.folders import audio_name, holding, listed, not_found, one_of_copies
from wavllm_cli.corpora.lengths import measured
from wavllm_cli.corpora.splits import DEV, TEST, TRAIN, Names
from wavllm_cli.corpora.tables import rows
from wavllm_cli.corpora.targets import transcription, translation
from wavllm_cli.data.audio import AudioInfo
from wavllm_cli.data.files import shown
from wavllm_cli.data.schema import Utterance
from wavllm_cli.errors import UsageError

ABOUT = About(
    title="CoVoST 2: Common Voice translated, one ST manifest per split and direction.",
    licence="CC0 1.0 (its tables by their README, and Common Voice)",
    size="2,880 hours; en_de: train 289,430 clips, dev and test 15,531 each",
    tasks=("st", "asr"),
    source="https://github.com/facebookresearch/covost, and version 4 of Common Voice, which is no longer offered",
    layout="Common Voice's LANGUAGE/ with clips/*.mp3, validated.tsv and covost_v2.FROM_TO.tsv (or that elsewhere: "
    "--tables); or covost_v2.FROM_TO.{train,dev,test}.tsv, as its script splits it",
    root="Common Voice: a release, one of its languages, or the parent.",
    example="wavllm prep covost2 /data/cv-corpus-4-2019-12-10 --direction en_de --out data/covost2",
    out="data/covost2",
)


@dataclass(frozen=True)
class Options:
    direction: Annotated[Names | None, "Such as en_de,en_zh-CN; if not said, all that are there."] = None
    splits: Annotated[Names | None, "Some of train,dev,test; if not said, all."] = None
    task: Annotated[Literal["st", "asr", "both"], "Translations, transcripts, or a manifest of each."] = "st"
    sentences: Annotated[
        Literal["validated", "any"],
        "Tables of Common Voice that a clip must be in: as the owner's script has it, or also other and invalidated.",
    ] = "validated"
    tables: Annotated[Path | None, "Folder of covost_v2.*.tsv, if they are not under ROOT."] = None


NOT_VALIDATED = "not-validated"  # in another table of Common Voice
UNUSED_SPLIT = "unused-split"  # rows that the owner keeps, and uses no more
OTHER_TABLE = "other-table"  # used with a sentence that is not validated

FILE = re.compile(rf"covost_v2\.({CODE})_({CODE})(?:\.(train|dev|test))?\.tsv(?:\.gz)?")
WHOLE = ""  # instead of the split of a file
SPLITS = {"train": TRAIN, "train_covost": TRAIN, "dev": DEV, "test": TEST}  # of version 2
UNKNOWN = "unknown"  # split of what is no row
VALIDATED = "validated"
TABLES = (VALIDATED, "other", "invalidated")

Row = dict[str, str]
Files = dict[str, list[Path]]  # by split


@dataclass(frozen=True)
class Direction:
    """From a language into another, by Common Voice's codes."""

    source: str
    target: str

    def __str__(self) -> str:
        return f"{self.source}_{self.target}"


@dataclass(frozen=True)
class _Clip:
    """A clip that is listed, with the row of Common Voice's (or the split's) table that tells what is said."""

    path: str
    translation: str
    told: Row
    table: str


def manifests(root: Path, out: Path, options: Options) -> Iterator[Draft]:
    """One manifest per split, direction and task, such as `test-en_de.jsonl` and `test-en_de-asr.jsonl`."""
    files, unreadable = _files(options.tables or root)
    spoken, also_unreadable = languages(root)
    lost = list(dict.fromkeys([*unreadable, *also_unreadable]))
    for direction, language in _chosen(root, files, spoken, options.direction):
        corpus = _Corpus(direction, language, options)
        by_split = corpus.clips(files[direction])
        for split in _splits(by_split, options.splits):
            for task in ("st", "asr") if options.task == "both" else (options.task,):
                kind = str(direction) if task == "st" else f"{direction}-{task}"
                made = corpus.utterances(by_split[split], split, task, out)
                yield Draft(split, chain(lost, made), len(lost) + len(by_split[split]), kind)
                lost = []


def _files(root: Path) -> tuple[dict[Direction, Files], list[Skipped]]:
    folders, unreadable = holding(root, _has_files, CLIPS)
    if not folders:
        not_found(root, "CoVoST 2", "covost_v2.FROM_TO.tsv", _has_files, unreadable)
    files: dict[Direction, Files] = {}
    for path in chain(*(listed(folder)[0] for folder in folders)):
        if name := FILE.fullmatch(path.name):
            splits = files.setdefault(Direction(name[1], name[2]), {})
            splits.setdefault(name[3] or WHOLE, []).append(path)
    return files, unreadable


def _has_files(folder: Path) -> bool:
    return any(FILE.fullmatch(path.name) for path in listed(folder)[0])


def _chosen(
    root: Path, files: Mapping[Direction, Files], spoken: Mapping[str, list[Path]], wanted: Names | None
) -> Iterator[tuple[Direction, Language]]:
    """The directions that are asked for, or for which Common Voice is there, each with its language's folder."""
    by_name = {str(direction): direction for direction in files}
    names = wanted.choose(by_name, "direction") if wanted else sorted(by_name)
    folders = {name: _folder(root, by_name[name], files[by_name[name]], spoken) for name in names}
    lacking = [name for name, folder in folders.items() if folder is None]
    if lacking and (wanted or len(lacking) == len(names)):
        source = by_name[lacking[0]].source
        raise UsageError(f"{shown(root)} has no Common Voice in {source}, of which {lacking[0]} is a translation.")
    if lacking:
        console.warn(f"Left out, because their Common Voice is not there: {', '.join(lacking)}.")
    for name, folder in folders.items():
        if folder is not None:
            yield by_name[name], folder


def _folder(root: Path, direction: Direction, files: Files, spoken: Mapping[str, list[Path]]) -> Language | None:
    """Where the clips are: a language of Common Voice, or what is left of it beside the script's results."""
    code = direction.source
    if code in spoken:
        return one_language(code, spoken[code])
    others = set(chain(*spoken.values()))
    places = [*(path.parent for path in chain(*files.values())), root.resolve()]
    return next((Language(at, code) for at in places if at not in others and (at / CLIPS[0]).is_dir()), None)


def _splits(there: Mapping[str, Any], wanted: Names | None) -> list[str]:
    used = [split for split in (TRAIN, DEV, TEST) if split in there]
    if wanted:
        return [*wanted.choose(used, "split"), *([UNKNOWN] if UNKNOWN in there else [])]
    return [*used, *sorted(there.keys() - set(used))]


@dataclass(frozen=True)
class _Corpus:
    """One direction."""

    direction: Direction
    language: Language
    options: Options

    def clips(self, files: Files) -> dict[str, list[_Clip | Skipped]]:
        """What is listed, by split: the owner's table joined with Common Voice's, or what the script made of both."""
        if WHOLE in files and (VALIDATED in self.language.tables or len(files) == 1):
            return self._joined(one_of_copies(files[WHOLE], f"covost_v2.{self.direction}.tsv"))
        return {split: list(self._of_script(split, paths)) for split, paths in files.items() if split != WHOLE}

    def _of_script(self, split: str, paths: list[Path]) -> Iterator[_Clip | Skipped]:
        path = one_of_copies(paths, f"covost_v2.{self.direction}.{split}.tsv")
        for row in rows(path, ("path", "sentence", "translation"), escapes=True):
            yield row if isinstance(row, Skipped) else _Clip(row["path"], row["translation"], row, VALIDATED)

    def _joined(self, path: Path) -> dict[str, list[_Clip | Skipped]]:
        table = list(rows(path, ("path", "translation", "split"), escapes=True))
        told = self._told({row["path"] for row in table if not isinstance(row, Skipped)})
        by_split: dict[str, list[_Clip | Skipped]] = {}
        for row in table:
            split = UNKNOWN if isinstance(row, Skipped) else SPLITS.get(row["split"], row["split"])
            by_split.setdefault(split, []).append(row if isinstance(row, Skipped) else self._clip(row, split, told))
        return by_split

    def _told(self, names: set[str]) -> dict[str, tuple[str, Row]]:
        """The rows of Common Voice about some clips, each with its table."""
        if VALIDATED not in self.language.tables:
            raise UsageError(f"{shown(self.language.folder)} has no validated.tsv, which tells what is said in a clip.")
        told: dict[str, tuple[str, Row]] = {}
        for table in filter(self.language.tables.__contains__, TABLES):
            for row in rows(self.language.table(table), ("path", "sentence"), escapes=True):
                if not isinstance(row, Skipped) and row["path"] in names:
                    told.setdefault(row["path"], (table, row))
        return told

    def _clip(self, row: Row, split: str, told: Mapping[str, tuple[str, Row]]) -> _Clip | Skipped:
        path = row["path"]
        if split not in SPLITS.values():
            return LeftOut(path, UNUSED_SPLIT, f"is of {split}, which version 2 does not use")
        if path not in told:
            return LeftOut(path, NOT_IN_TABLE, "is in no table of Common Voice")
        table, spoken = told[path]
        if table == VALIDATED or self.options.sentences == "any":
            return _Clip(path, row["translation"], spoken, table)
        if self.language.clip(path).exists():
            return LeftOut(path, NOT_VALIDATED, f"is in {table}.tsv alone")
        return Skipped(path, NO_AUDIO, f"is in {table}.tsv alone, without audio")

    def utterances(
        self, clips: Iterable[_Clip | Skipped], split: str, task: str, out: Path
    ) -> Iterator[Utterance | Skipped]:
        for clip, info in measured(self._files_of(clips)):
            if isinstance(info, Skipped):
                yield Skipped(clip.path, info.reason, info.detail) if clip else info
            elif clip:
                row = self._row(clip, split, task, out, info)
                if clip.table != VALIDATED and isinstance(row, Utterance):
                    yield Adjusted(clip.path, OTHER_TABLE, f"its sentence is from {clip.table}.tsv")
                yield row

    def _files_of(self, clips: Iterable[_Clip | Skipped]) -> Iterator[tuple[Path | Skipped, _Clip | None]]:
        seen: set[str] = set()
        for clip in clips:
            if isinstance(clip, Skipped):
                yield clip, None
            elif clip.path in seen:
                yield LeftOut(clip.path, DUPLICATE, "is listed twice"), None
            else:
                seen.add(clip.path)
                yield self.language.clip(clip.path), clip

    def _row(self, clip: _Clip, split: str, task: str, out: Path, info: AudioInfo) -> Utterance | Skipped:
        sentence, translated = clip.told["sentence"].strip(), clip.translation.strip()
        source, target = self.direction.source, self.direction.target
        fields = transcription(sentence, source) if task == "asr" else translation(sentence, source, translated, target)
        if not fields["target"]:
            return Skipped(clip.path, NO_TEXT, "no translation" if task == "st" else "no sentence")
        kind = "" if task == "st" else f"-{task}"
        return Utterance(
            id=f"covost2-{self.direction}{kind}-{clip.path.removesuffix('.mp3')}",
            audio=audio_name(self.language.clip(clip.path), out),
            duration=info.duration,
            corpus="covost2",
            split=split,
            **fields,
            **self.language.facts(clip.told),
        )
