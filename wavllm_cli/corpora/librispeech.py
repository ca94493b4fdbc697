"""LibriSpeech: read English books. The audio stays where it is."""

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from unicodedata import normalize

from wavllm_cli.corpora import (
    DUPLICATE,
    ENCODING,
    NO_AUDIO,
    NO_TEXT,
    TRANSCRIBE,
    UNREADABLE,
    About,
    Draft,
    LeftOut,
    Skipped,
)
from wavllm_cli.corpora.folders import audio_name, holding, listed, not_found
from wavllm_cli.corpora.lengths import measured
from wavllm_cli.data.audio import AudioInfo
from wavllm_cli.data.files import shown
from wavllm_cli.data.schema import Utterance
from wavllm_cli.data.text_file import content, require_file
from wavllm_cli.errors import UsageError, WavLLMError

ABOUT = About(
    title="LibriSpeech: read English books, one ASR manifest per split.",
    licence="CC BY 4.0",
    size="1,000 hours (train 961, dev 10.7, test 10.5), 60 GB",
    tasks=("asr",),
    source="https://www.openslr.org/12",
    layout="SPLIT/SPEAKER/CHAPTER/*.flac and *.trans.txt",
    root="LibriSpeech/, its parent, or one split.",
    example="wavllm prep librispeech /data/LibriSpeech --out data/librispeech",
    out="data/librispeech",
)


@dataclass(frozen=True)
class Options:
    pass


TRANSCRIPTS = ".trans.txt"


def manifests(root: Path, out: Path, options: Options) -> Iterator[Draft]:
    """One ASR manifest per split, named after it."""
    folders, unreadable = holding(root, _is_split)
    if not folders:
        not_found(root, "LibriSpeech", f"SPLIT/SPEAKER/CHAPTER/*{TRANSCRIPTS}", _is_split, unreadable)
    for split in sorted({folder.name for folder in folders}):
        found, skipped = _pairs([folder for folder in folders if folder.name == split])
        skipped = [*unreadable, *skipped]
        yield Draft(split, _rows(split, out, found, skipped), len(found) + len(skipped))
        unreadable = []


def _is_split(folder: Path) -> bool:
    chapters = (chapter for chapter in _chapters(folder) if isinstance(chapter, Path))
    return any(file.name.endswith(TRANSCRIPTS) for chapter in chapters for file in listed(chapter)[0])


def _chapters(folder: Path) -> Iterator[Path | Skipped]:
    speakers, unreadable = listed(folder)
    yield from unreadable
    for speaker in filter(os.path.isdir, speakers):
        chapters, unreadable = listed(speaker)
        yield from unreadable
        yield from filter(os.path.isdir, chapters)


def _pairs(copies: Iterable[Path]) -> tuple[list[tuple[Path, str]], list[Skipped]]:
    """(flac, transcript) by speaker, chapter and number; and what lacks its other half.

    Args:
        copies: folders of one split, of which there are several where it was unpacked in several places.
    """
    found: list[tuple[Path, str]] = []
    skipped: list[Skipped] = []
    texts: dict[str, str | None] = {}
    clips: dict[str, Path] = {}
    for chapter in chain.from_iterable(map(_chapters, copies)):
        files, unreadable = ([], [chapter]) if isinstance(chapter, Skipped) else listed(chapter)
        skipped += unreadable
        for file in files:
            if file.name.endswith(TRANSCRIPTS):
                more, unreadable = _transcripts(file)
                texts |= more
                skipped += unreadable
            elif file.suffix == ".flac" and clips.setdefault(file.stem, file) != file:
                skipped.append(LeftOut(shown(file), DUPLICATE, f"is there already: {shown(clips[file.stem])}"))
    for name in sorted(texts.keys() - clips.keys()):
        skipped.append(Skipped(name, NO_AUDIO, "no flac"))
    for name, path in clips.items():
        text = texts.get(name, "")
        if text:
            found.append((path, text.lower()))
        elif text is not None:  # None: named already, with its line
            skipped.append(Skipped(shown(name), NO_TEXT, "no transcript"))
    return found, skipped


def _transcripts(file: Path) -> tuple[dict[str, str | None], list[Skipped]]:
    """Texts by name, None for those in another encoding than UTF-8; and what could not be read."""
    texts: dict[str, str | None] = {}
    skipped = []
    try:
        require_file(file)
        lines = content(file).split(b"\n")
    except WavLLMError as error:
        return {}, [Skipped(shown(file), UNREADABLE, str(error).removeprefix(f"{shown(file)} ").rstrip("."))]
    for number, line in enumerate(lines, 1):
        name, _, text = line.strip().partition(b" ")
        key = name.decode("ascii", "backslashreplace")
        try:
            texts[key] = normalize("NFC", text.decode("utf-8")).strip()
        except UnicodeDecodeError:
            texts[key] = None
            skipped.append(Skipped(key, ENCODING, f"{shown(file)}, line {number} is not UTF-8"))
    texts.pop("", None)
    return texts, skipped


def _rows(
    split: str, out: Path, found: Iterable[tuple[Path, str]], skipped: list[Skipped]
) -> Iterator[Utterance | Skipped]:
    yield from skipped
    for (path, transcript), info in measured((path, (path, transcript)) for path, transcript in found):
        if isinstance(info, Skipped):
            yield Skipped(shown(path.stem), info.reason, info.detail)
        else:
            yield _row(split, out, path, transcript, info)


def _row(split: str, out: Path, path: Path, transcript: str, info: AudioInfo) -> Utterance | Skipped:
    try:
        audio = audio_name(path, out)
    except UsageError as error:
        return Skipped(shown(path.stem), ENCODING, str(error).rstrip("."))
    return Utterance(
        id=path.stem,
        audio=audio,
        duration=info.duration,
        task="asr",
        prompt=TRANSCRIBE,
        target=transcript,
        transcript=transcript,
        language="en",
        speaker=path.parent.parent.name,
        corpus="librispeech",
        split=split,
    )
