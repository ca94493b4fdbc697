"""Folders of recordings, each with its text in a file of the same name."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any
from unicodedata import normalize

from wavllm_cli import console, strict_json
from wavllm_cli.corpora import DUPLICATE, ENCODING, FORM, NO_AUDIO, NO_TEXT, About, Draft, LeftOut, Skipped
from wavllm_cli.corpora.folders import require_folder, walk
from wavllm_cli.corpora.importers import Own, Record
from wavllm_cli.corpora.importers.columns import fields_of, meanings, names
from wavllm_cli.corpora.importers.conversations import exchange
from wavllm_cli.corpora.importers.delimited import decoded
from wavllm_cli.corpora.importers.rows import drafts
from wavllm_cli.data.audio import SUFFIXES
from wavllm_cli.data.files import is_text, shown
from wavllm_cli.errors import UsageError, WavLLMError

ABOUT = About(
    title="Your own folder of recordings, each with a text of the same name.",
    licence="yours",
    size="any; splits are folders called train, dev, test, else drawn by seed",
    tasks=("asr", "st", "er", "sqa", "sqqa", "summ"),
    source="your disk",
    layout="clip.wav (flac, mp3, …) and clip.txt, clip.lab or clip.json (with text, speaker, …), at any depth",
    root="The folder.",
    example="wavllm prep folder recordings --folders speaker --language en --out data/own",
    out="data/own",
)
LEVELS = ("split", "speaker", "group", "language", "corpus", "-")
ALIGNMENT = re.compile(r"\d+(\.\d+)?\s+\d+(\.\d+)?\s+\S+")  # a line of HTK's .lab: begin, end, what


@dataclass(frozen=True)
class Options(Own):
    folders: Annotated[
        str | None, f"What the folders between DIR and the clips are, as split/speaker: of {', '.join(LEVELS)}."
    ] = None


Key = tuple[Path, str]  # folder and name without suffix


@dataclass
class _Files:
    """What lies in the folder, by name; texts by what they stand beside."""

    audio: dict[Key, list[Path]] = field(default_factory=dict)
    texts: dict[Key, list[Path]] = field(default_factory=dict)
    unreadable: list[Skipped] = field(default_factory=list)


def manifests(root: Path, out: Path, options: Options) -> Iterator[Draft]:
    """One manifest per split.

    Raises:
        UsageError: there is no such folder, no recording in it, or `--folders` says what no folder is.
    """
    require_folder(root)
    levels = options.folders.split("/") if options.folders else []
    if unknown := [level for level in levels if level not in LEVELS]:
        raise UsageError(f"--folders {options.folders}: {unknown[0]!r} is none of {', '.join(LEVELS)}.")
    files = _listed(root)
    if not files.audio:
        raise UsageError(f"There is no recording in {shown(root)}: {', '.join(SUFFIXES)} are looked for at any depth.")
    if not levels and _are_splits(root, files):
        levels = ["split"]
    yield from drafts(_records(root, files, levels), root.resolve().name, out, options)


def _listed(root: Path) -> _Files:
    files = _Files()
    texts = tuple(names()["texts"])
    for path in walk(root):
        if isinstance(path, Skipped):
            files.unreadable.append(path)
        elif (suffix := path.suffix.lower()) in SUFFIXES:
            files.audio.setdefault((path.parent, path.stem), []).append(path)
        elif suffix in texts:
            files.texts.setdefault((path.parent, path.stem), []).append(path)
    return files


def _are_splits(root: Path, files: _Files) -> bool:
    """Whether every recording lies in a folder that is called like a split."""
    folders = {path.relative_to(root).parts[0] for path, _ in files.audio if path != root}
    return bool(folders) and all(path != root for path, _ in files.audio) and folders <= set(names()["splits"])


def _records(root: Path, files: _Files, levels: list[str]) -> Iterator[Record | Skipped]:
    yield from files.unreadable
    beside = _matched(files)
    elsewhere: list[str] = []
    for key, (path, *others) in files.audio.items():
        name = path.relative_to(root).with_suffix("").as_posix()
        for other in others:
            yield LeftOut(shown(other.relative_to(root)), DUPLICATE, f"is called like {path.name}, which is taken")
        if not is_text(name):
            yield Skipped(shown(name), ENCODING, "its path is not UTF-8, which a manifest is: rename it")
        elif key in beside:
            yield from _record(normalize("NFC", name), path, beside.pop(key), levels, elsewhere)
        else:
            yield Skipped(shown(name), NO_TEXT, f"no {', '.join(names()['texts'])} of its name")
    for texts in beside.values():
        yield Skipped(shown(texts[0].relative_to(root)), NO_AUDIO, "no recording of its name")
    if elsewhere:
        console.warn(
            f"{len(elsewhere)} texts are not UTF-8; the first: {elsewhere[0]}; see whether its accents are right."
        )


def _matched(files: _Files) -> dict[Key, list[Path]]:
    """Texts by the recording that they belong to, or by their own name where there is none.

    Names may differ in the form of Unicode, and in upper and lower case where that leaves one recording.
    """
    alike: dict[Key, list[Key]] = {}
    for key in files.audio:
        alike.setdefault(_folded(key), []).append(key)
    matched: dict[Key, list[Path]] = {}
    for key, paths in files.texts.items():
        candidates = [key] if key in files.audio else alike.get(_folded(key), [])
        matched.setdefault(candidates[0] if len(candidates) == 1 else key, []).extend(paths)
    return matched


def _folded(key: Key) -> Key:
    return key[0], normalize("NFC", key[1]).casefold()


def _record(
    name: str, path: Path, texts: list[Path], levels: list[str], elsewhere: list[str]
) -> Iterator[Record | Skipped]:
    found: dict[str, Any] = {}
    extra: dict[str, Any] = {}
    try:
        for text in sorted(texts, key=lambda path: names()["texts"].index(path.suffix.lower())):
            fields, others = _read(text, elsewhere)
            if "text" in found and fields.get("text", found["text"]) != found["text"]:
                yield LeftOut(shown(text.name), "second-text", f"says other words than {texts[0].name}, which is taken")
            found, extra = fields | found, others | extra
        found, _ = exchange(found)
    except (ValueError, WavLLMError) as error:
        yield Skipped(name, FORM, str(error).rstrip("."))
        return
    parents = name.split("/")[:-1]
    told = {level: parent for level, parent in zip(levels, parents, strict=False) if level != "-"}
    found.setdefault("id", name)
    yield Record.of(name, name, (path,), found | told, extra)


def _read(path: Path, elsewhere: list[str]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Fields and extra of a file of text, or of an object in JSON.

    Raises:
        ValueError: it is neither.
        WavLLMError: it cannot be read.
    """
    text, encoding = decoded(path)
    if encoding != "UTF-8":
        elsewhere.append(f"{shown(path)}, read as {encoding}")
    if path.suffix.lower() != ".json":
        lines = [line.strip() for line in text.split("\n") if line.strip()]
        if path.suffix.lower() == ".lab" and lines and all(ALIGNMENT.fullmatch(line) for line in lines):
            raise ValueError(f"{path.name} is an alignment with times, not a text")
        return ({"text": "\n".join(lines)} if lines else {}), {}
    value = strict_json.loads(text)
    if isinstance(value, str):
        return {"text": value}, {}
    if not isinstance(value, dict):
        raise ValueError(f"{path.name} is no object with a text")
    fields, extra = fields_of(value, meanings(tuple(value)))
    fields.pop("audio", None)
    return fields, extra
