"""LibriSpeech: read English books. The audio stays where it is."""

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from wavllm_cli.corpora import DUPLICATE, ENCODING, NO_AUDIO, NO_TEXT, TRANSCRIBE, UNREADABLE, About, Draft, Skipped
from wavllm_cli.corpora.folders import audio_name, listed, require_folder
from wavllm_cli.corpora.lengths import measured
from wavllm_cli.data.audio import AudioInfo
from wavllm_cli.data.files import is_text, shown
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


@dataclass
class _Split:
    """What a folder SPLIT/SPEAKER/CHAPTER/ holds, and what of it cannot be read."""

    folder: Path
    clips: list[Path] = field(default_factory=list)
    transcripts: list[Path] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)


def manifests(root: Path, out: Path, options: Options) -> Iterator[Draft]:
    """One ASR manifest per split, named after it."""
    for split in _splits(root):
        found, skipped = _pairs(split)
        yield Draft(split.folder.name, _rows(split.folder, out, found, skipped), len(found) + len(skipped))


def _splits(root: Path) -> list[_Split]:
    """The splits in a folder; those of which nothing can be read are among them, with the reason."""
    require_folder(root)
    root = root.resolve()
    if (own := _scan(root)).transcripts:
        return [own]
    folder = root / "LibriSpeech" if os.path.isdir(root / "LibriSpeech") else root
    folders, unreadable = listed(folder)
    scanned = [_scan(path) for path in folders if os.path.isdir(path)]
    splits = [split for split in scanned if split.transcripts or split.skipped]
    if any(split.transcripts for split in splits):
        return splits
    for skipped in [*unreadable, *(skipped for split in splits for skipped in split.skipped)]:
        raise WavLLMError(f"Nothing of {shown(root)} can be read: {skipped.item} {skipped.detail}.")
    raise UsageError(f"{shown(root)} is not LibriSpeech: there is no SPLIT/SPEAKER/CHAPTER/*{TRANSCRIPTS} in it.")


def _scan(folder: Path) -> _Split:
    split = _Split(folder)
    speakers, split.skipped = listed(folder)
    for speaker in filter(os.path.isdir, speakers):
        chapters, unreadable = listed(speaker)
        split.skipped += unreadable
        for chapter in filter(os.path.isdir, chapters):
            files, unreadable = listed(chapter)
            split.skipped += unreadable
            split.clips += [file for file in files if file.suffix == ".flac"]
            split.transcripts += [file for file in files if file.name.endswith(TRANSCRIPTS)]
    return split


def _pairs(split: _Split) -> tuple[list[tuple[Path, str]], list[Skipped]]:
    """(flac, transcript) by speaker, chapter and number; and what lacks its other half."""
    found, skipped = [], list(split.skipped)
    texts: dict[str, str | None] = {}
    for file in split.transcripts:
        more, unreadable = _transcripts(file)
        texts |= more
        skipped += unreadable
    clips: dict[str, Path] = {}
    for path in split.clips:
        if path.stem in clips:
            skipped.append(Skipped(shown(path), DUPLICATE, f"its name is taken by {shown(clips[path.stem])}"))
        clips.setdefault(path.stem, path)
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
            texts[key] = text.decode("utf-8").strip()
        except UnicodeDecodeError:
            texts[key] = None
            skipped.append(Skipped(key, ENCODING, f"{shown(file)}, line {number} is not UTF-8"))
    texts.pop("", None)
    return texts, skipped


def _rows(
    split: Path, out: Path, found: Iterable[tuple[Path, str]], skipped: list[Skipped]
) -> Iterator[Utterance | Skipped]:
    yield from skipped
    for (path, transcript), info in measured((path, (path, transcript)) for path, transcript in found):
        if isinstance(info, Skipped):
            yield Skipped(shown(path.stem), info.reason, info.detail)
        else:
            yield _row(split.name, out, path, transcript, info)


def _row(split: str, out: Path, path: Path, transcript: str, info: AudioInfo) -> Utterance | Skipped:
    audio = audio_name(path, out)
    if not is_text(audio):
        return Skipped(shown(path.stem), ENCODING, "its path is not UTF-8, which a manifest is: rename it")
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
