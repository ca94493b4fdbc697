"""Gigaword: the first sentence of a newspaper article and its headline, as text that a voice is still to speak."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Annotated, Any
from unicodedata import normalize

from wavllm_cli import strict_json
from wavllm_cli.corpora import FORM, NO_TEXT, About, Draft, LeftOut, Skipped
from wavllm_cli.corpora.folders import one_of_copies, require_folder, walk
from wavllm_cli.corpora.splits import Names
from wavllm_cli.corpora.tables import parallel, place
from wavllm_cli.data.files import shown
from wavllm_cli.data.manifest import parquet_rows
from wavllm_cli.data.schema import Utterance
from wavllm_cli.data.text_file import content, numbered_lines
from wavllm_cli.errors import UsageError

ABOUT = About(
    title="Gigaword: sentences of newspapers and their headlines, text that waits for `wavllm prep speak`.",
    licence="LDC's, for it is made of LDC2003T05; that copies say MIT cannot hold for newspapers' text",
    size="3,803,957 pairs train, 189,651 valid, 1,951 test, and DUC2003 and DUC2004 with four headlines each",
    tasks=("summ",),
    source="https://github.com/harvardnlp/sent-summary",
    layout="train.article.txt and train.title.txt, valid.article.filter.txt …, Giga/, DUC2003/ and DUC2004/ with "
    "input.txt and task1_ref0.txt …; or SPLIT.src.txt and SPLIT.tgt.txt; or Parquet or JSON with document and summary",
    root="Folder with any of these, at any depth.",
    example="wavllm prep gigaword /data/sumdata --pairs 5000 --out data/gigaword",
    out="data/gigaword",
)


@dataclass(frozen=True)
class Options:
    splits: Annotated[Names | None, "Such as train,DUC2004; if not said, all that are there."] = None
    pairs: Annotated[int, "Pairs of each split, at most: what comes behind them is not looked at."] = 20_000


SUFFIXES = (".txt", ".txt.gz", ".parquet", ".json", ".jsonl", ".jsonl.gz")
PARALLEL = (  # how files of sentences are called, and how those of headlines beside them
    (re.compile(r"(?P<split>train|valid)\.article(?:\.filter)?\.txt"), lambda name: name.replace("article", "title")),
    (re.compile(r"(?P<split>train|dev|valid|test)\.src\.txt"), lambda name: name.replace(".src.", ".tgt.")),
)
REFERENCE = re.compile(r"task1_ref\d\.txt")
TABLE = re.compile(r"(train|validation|valid|dev|test)\b.*\.(?:parquet|jsonl?)")
MASK = re.compile(r"#|(?<!\S)(?:UNK|<unk>)(?!\S)")  # of digits, and of words that are rare
BRACKET = re.compile(r"(?<!\S)-[lr][rsc]b-(?!\S)", re.IGNORECASE)
TO_THE_LEFT = re.compile(r" (?=(?:[.,;:!?%]|''|'|'s|'re|'ve|'ll|'d|'m|n't)(?: |$))")
TO_THE_RIGHT = re.compile(r"(?<!\S)(``|[$\u00a3\u20ac]) ")
QUOTE = re.compile(r"``|''")

Texts = tuple[str, ...]  # a sentence and its headlines


@dataclass(frozen=True)
class Source:
    """The files of a split: of sentences and of headlines, line by line; or tables of both."""

    paths: tuple[Path, ...]
    are_tables: bool = False

    def texts(self) -> Iterator[Texts | Skipped]:
        if self.are_tables:
            yield from chain.from_iterable(map(_table, self.paths))
            return
        for lines in parallel(*self.paths):
            problem = next((line for line in lines if isinstance(line, Skipped)), None)
            yield problem or tuple(map(str, lines))


def manifests(root: Path, out: Path, options: Options) -> Iterator[Draft]:
    """A manifest a split, by the owner's name of it."""
    sources = _sources(root)
    for split in options.splits.choose(sources, "split") if options.splits else sources:
        yield Draft(split, _rows(sources[split], split, options.pairs), options.pairs)


def _sources(root: Path) -> dict[str, Source]:
    """The splits that there are.

    Raises:
        UsageError: there are none, or one is there in two ways.
    """
    require_folder(root)
    found: dict[str, list[Source]] = {}
    tables: dict[tuple[Path, str], list[Path]] = {}
    for path in walk(root, SUFFIXES):
        if isinstance(path, Skipped):
            continue
        if pair := _parallel(path):
            found.setdefault(pair[0], []).append(Source(pair[1]))
        elif (match := TABLE.fullmatch(path.name.removesuffix(".gz"))) and _is_table(path):
            tables.setdefault((path.parent, match[1]), []).append(path)
    for (_, split), paths in tables.items():
        found.setdefault(split, []).append(Source(tuple(paths), are_tables=True))
    if not found:
        raise UsageError(
            f"{shown(root)} is not Gigaword: there is no train.article.txt, no train.src.txt and no Parquet or JSON "
            "named after a split in it."
        )
    return {split: _only(split, sources) for split, sources in sorted(found.items())}


def _parallel(path: Path) -> tuple[str, tuple[Path, ...]] | None:
    """The split of a file of sentences, and it and the files of headlines beside it."""
    name, packed = path.name.removesuffix(".gz"), ".gz" if path.name.endswith(".gz") else ""
    if name == "input.txt":
        beside = sorted(other for other in path.parent.iterdir() if REFERENCE.fullmatch(other.name))
        return (path.parent.name, (path, *beside)) if beside else None
    for pattern, headlines in PARALLEL:
        if match := pattern.fullmatch(name):
            return match["split"], (path, path.with_name(headlines(name) + packed))
    return None


def _only(split: str, sources: Sequence[Source]) -> Source:
    """Of copies the first; of a list with and without its filter the filtered one."""
    filtered = [source for source in sources if ".filter." in source.paths[0].name] or sources
    one_of_copies([source.paths[0] for source in filtered], f"The split {split}")
    return filtered[0]


def _is_table(path: Path) -> bool:
    """Whether the first row is a pair: manifests have such names too."""
    return isinstance(next(_table(path), None), tuple)


def _table(path: Path) -> Iterator[Texts | Skipped]:
    for number, fields in parquet_rows(path) if path.suffix == ".parquet" else _objects(path):
        both = [fields.get(key) for key in ("document", "summary")] if isinstance(fields, dict) else []
        texts = tuple(normalize("NFC", text) for text in both if isinstance(text, str))
        if len(texts) == 2:
            yield texts
        else:
            yield Skipped(place(path, number), FORM, "is no object with the texts document and summary")


def _objects(path: Path) -> Iterator[tuple[int, Any]]:
    """The numbered objects of JSON Lines or of a JSON array; None for a line that is neither.

    Raises:
        UsageError: it begins as an array and is none.
    """
    _, first = next(numbered_lines(path), (1, b""))
    if not first.lstrip().startswith(b"["):
        yield from ((number, _object(line)) for number, line in numbered_lines(path) if line.strip())
        return
    try:
        objects = strict_json.loads(content(path))
    except ValueError as error:
        raise UsageError(f"{shown(path)} is not JSON: {error}.") from error
    yield from enumerate(objects, 1)


def _object(line: bytes) -> Any:
    try:
        return strict_json.loads(line)
    except ValueError:
        return None


def _rows(source: Source, split: str, most: int) -> Iterator[Utterance | Skipped]:
    used = 0
    for number, texts in enumerate(source.texts(), 1):
        if used == most:
            return
        row = texts if isinstance(texts, Skipped) else _row(f"gigaword-{split}-{number:07d}", split, *texts)
        used += isinstance(row, Utterance)
        yield row


def _row(name: str, split: str, sentence: str, *headlines: str) -> Utterance | Skipped:
    whole = [headline for headline in headlines if not MASK.search(headline)]
    if MASK.search(sentence) or not whole:
        return LeftOut(name, "masked", "holds #, UNK or <unk> where nobody knows what is to be said")
    said, *titles = map(detokenised, (sentence, *whole))
    if not said or not any(titles):
        return LeftOut(name, NO_TEXT, f"no {'headline' if said else 'sentence'}")
    target, *others = dict.fromkeys(filter(None, titles))
    return Utterance(
        id=name,
        audio=None,
        task="summ",
        prompt="Summarise what is said in a headline.",
        target=target,
        references=others or None,
        transcript=said,
        speech_text=said,
        language="en",
        corpus="gigaword",
        split=split,
    )


def detokenised(text: str) -> str:
    """`japan 's index -lrb- nikkei -rrb- fell , they said .` -> `japan's index nikkei fell, they said.`"""
    text = " ".join(BRACKET.sub(" ", text).split())
    text = TO_THE_RIGHT.sub(r"\1", TO_THE_LEFT.sub("", text))
    return QUOTE.sub('"', text)
