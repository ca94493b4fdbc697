"""LibriSpeech (openslr.org/12): SPLIT/SPEAKER/CHAPTER/*.flac and *.trans.txt. The audio stays where it is."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from wavllm_cli.corpora import TRANSCRIBE, Draft, Skipped
from wavllm_cli.data.audio import audio_info
from wavllm_cli.data.manifest import Utterance
from wavllm_cli.errors import AudioError, UsageError

TRANSCRIPTS = "*/*/*.trans.txt"  # within a split
HEADER_READERS = 8  # threads: reading 28,000 headers is waiting for the disk


def manifests(root: Path, out: Path) -> Iterator[Draft]:
    """One ASR manifest per split, named after it.

    Args:
        root: `LibriSpeech/`, its parent, or one split.
    """
    for split in _splits(root):
        found, skipped = _transcripts(split)
        yield Draft(f"{split.name}.jsonl", _rows(split, out, found, skipped), len(found) + len(skipped))


def _splits(root: Path) -> list[Path]:
    if not root.is_dir():
        raise UsageError(f"There is no folder {root}.")
    root = root.resolve()
    if any(root.glob(TRANSCRIPTS)):
        return [root]
    parent = root / "LibriSpeech" if (root / "LibriSpeech").is_dir() else root
    splits = [folder for folder in sorted(parent.iterdir()) if folder.is_dir() and any(folder.glob(TRANSCRIPTS))]
    if not splits:
        raise UsageError(f"{root} is not LibriSpeech: there is no SPLIT/SPEAKER/CHAPTER/*.trans.txt in it.")
    return splits


def _transcripts(split: Path) -> tuple[list[tuple[Path, str]], list[Skipped]]:
    """(flac, transcript) of a split, by speaker, chapter and number; and what lacks its other half."""
    found, skipped = [], []
    for chapter in sorted(split.glob("*/*/")):
        texts: dict[str, str] = {}
        for file in sorted(chapter.glob("*.trans.txt")):
            lines = (line.partition(" ") for line in file.read_text(encoding="utf-8").splitlines() if line.strip())
            texts |= {name: text.strip() for name, _, text in lines}
        clips = {path.stem: path for path in chapter.glob("*.flac")}
        for name in sorted(texts.keys() | clips.keys()):
            if name not in clips:
                skipped.append(Skipped(name, "no flac"))
            elif not texts.get(name):
                skipped.append(Skipped(name, "no transcript"))
            else:
                found.append((clips[name], texts[name].lower()))
    return found, skipped


def _rows(
    split: Path, out: Path, found: list[tuple[Path, str]], skipped: list[Skipped]
) -> Iterator[Utterance | Skipped]:
    yield from skipped
    with ThreadPoolExecutor(HEADER_READERS) as pool:
        yield from pool.map(partial(_row, split.name, out.resolve()), found)


def _row(split: str, out: Path, clip: tuple[Path, str]) -> Utterance | Skipped:
    path, transcript = clip
    try:
        duration = audio_info(path).duration
    except AudioError as error:
        return Skipped(path.stem, str(error).rstrip("."))
    if not duration:
        return Skipped(path.stem, "zero samples")
    return Utterance(
        id=path.stem,
        audio=str(path.relative_to(out) if path.is_relative_to(out) else path),
        duration=duration,
        task="asr",
        prompt=TRANSCRIBE,
        target=transcript,
        transcript=transcript,
        language="en",
        speaker=path.parent.parent.name,
        corpus="librispeech",
        split=split,
    )
