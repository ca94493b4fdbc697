"""Corpora as their owners ship them, turned into manifests: one module each, listed here.

A corpus module has `manifests([root,] out, **options)`: a generator of `Draft`s, consumed one after the other. Modules
are imported on use, so that listing the corpora costs nothing.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from difflib import get_close_matches
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wavllm_cli import console
from wavllm_cli.errors import UsageError, WavLLMError

if TYPE_CHECKING:
    from wavllm_cli.data.schema import Utterance

TRANSCRIBE = "Transcribe the audio clip into text."  # every ASR row's instruction until `gen-prompts attach`
NAMED = 5  # skipped clips named in a warning


@dataclass(frozen=True)
class Corpus:
    """An entry of the registry."""

    description: str
    module: str
    out: str  # default folder of the manifests
    has_root: bool = True  # False: made here, from nothing


CORPORA = {
    "librispeech": Corpus(
        "Read English books, 1,000 h: one ASR manifest per split.", "librispeech", "data/librispeech"
    ),
    "fsdd": Corpus("3,000 human recordings of spoken digits, alone or joined into strings.", "fsdd", "data/digits"),
    "spoken-digits": Corpus("Digit strings spoken by espeak-ng in many voices.", "spoken_digits", "data/digits", False),
}


@dataclass(frozen=True)
class Skipped:
    """A clip, or a folder of them, that cannot be used; a corpus yields it in the place of its utterances."""

    name: str
    reason: str

    def __str__(self) -> str:
        return f"{self.name} ({self.reason})"


@dataclass(frozen=True)
class Draft:
    """A manifest to be: its file name, its utterances as they are read or made, and how many there will be."""

    name: str
    rows: Iterable[Utterance | Skipped]
    total: int


@dataclass(frozen=True)
class Written:
    """A manifest that was written."""

    path: str
    utterances: int
    hours: float
    skipped: int


@dataclass(frozen=True)
class Summary:
    """What `prepare` made."""

    corpus: str
    manifests: list[Written]
    skipped: list[str]  # clips, and folders of them, that are in no manifest, with the reason

    def show(self) -> None:
        rows = [(Path(m.path).name, f"{m.utterances:,}", f"{m.hours:.2f}", m.skipped) for m in self.manifests]
        console.table(self.corpus, ["manifest", "utterances", "hours", "skipped"], rows)
        console.info(f"manifests → {Path(self.manifests[0].path).parent}")
        if self.skipped:
            console.error(f"{len(self.skipped)} items could not be used; the first: {self.skipped[0]}")

    def data(self) -> dict[str, Any]:
        return asdict(self)


def prepare(name: str, root: str | Path | None = None, out: str | Path | None = None, **options: Any) -> Summary:
    """Write a corpus's manifests, each complete or not at all; the same arguments give the same bytes.

    Args:
        name: a key of `CORPORA`.
        root: the corpus as its owner ships it; None for one that is made here.
        out: folder for manifests and new audio; by default the corpus's own.
        options: the corpus's own, see its `manifests`.

    Raises:
        UsageError: no such corpus or root, or an option out of range.
        WavLLMError: not one clip can be used.
    """
    if name not in CORPORA:
        meant = get_close_matches(name, CORPORA, n=1)
        hint = f"did you mean {meant[0]}?" if meant else f"there are {', '.join(CORPORA)}."
        raise UsageError(f"There is no corpus {name!r}: {hint}")
    corpus = CORPORA[name]
    if corpus.has_root != (root is not None):
        raise UsageError(f"{name} needs the path of the corpus." if corpus.has_root else f"{name} takes no path.")
    out = Path(out or corpus.out)
    module = import_module(f"{__name__}.{corpus.module}")
    drafts: Iterator[Draft] = module.manifests(*([Path(root)] if root is not None else []), out=out, **options)
    lost: list[str] = []
    written = [_write(draft, out, lost) for draft in drafts]
    if not any(m.utterances for m in written):
        first = f"; the first: {lost[0]}" if lost else ""
        raise WavLLMError(f"{root or name} has no usable clip: {len(lost)} were skipped{first}.")
    return Summary(name, [m for m in written if m.utterances], lost)


def _write(draft: Draft, out: Path, lost: list[str]) -> Written:
    from wavllm_cli.data.manifest import write_manifest

    rows: list[Utterance] = []
    skipped: list[Skipped] = []
    for row in console.track(draft.rows, draft.name, draft.total):
        if isinstance(row, Skipped):
            skipped.append(row)
        else:
            rows.append(row)
    lost += map(str, skipped)
    if skipped:
        names = "; ".join(map(str, skipped[:NAMED]))
        more = f"; and {len(skipped) - NAMED} more" if len(skipped) > NAMED else ""
        console.warn(f"{draft.name}: {len(skipped)} clips skipped: {names}{more}.")
    path = out / draft.name
    if rows:
        os.sync()  # new audio reaches the disk before the manifest that names it
        write_manifest(path, rows)
    return Written(str(path), len(rows), sum(row.duration or 0 for row in rows) / 3600, len(skipped))
