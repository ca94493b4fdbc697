"""Corpora as their owners ship them, turned into manifests.

A corpus is a module with

- `ABOUT`, what a person should know of it before getting it,
- `Options`, a frozen dataclass: each field is an option of `wavllm prep CORPUS`, with its type and default, and help as
  in `Annotated[int, "Clips in the dev split."]`; a type with a class method `parse` reads itself from text, and a
  `tuple[TYPE, ...]` of such is an option that may be given several times,
- `manifests(root, out, options)`, a generator of `Draft`s, which are written one after the other.

Nothing else lists it: `registry` finds it here (or in `mini/`), and `wavllm prep` makes its command. What corpora share
is below, which imports nothing, and in `folders`, `tables`, `lengths`, `splits` and `targets`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

if TYPE_CHECKING:
    from wavllm_cli.data.schema import Utterance

TRANSCRIBE = "Transcribe the audio clip into text."  # every ASR row's instruction until `gen-prompts attach`
TRANSLATE = "Translate the audio clip into {language}."  # every st row's
Seed = Annotated[int, "Makes the same choices every time."]

# Why an item is left out, for programs; a corpus may have reasons of its own.
NO_AUDIO = "no-audio"  # listed, but not there
NO_TEXT = "no-text"
NOT_IN_TABLE = "not-in-table"  # of another corpus, which has the audio
UNREADABLE = "unreadable"  # a file or folder that may not be opened or is not what its name says
ENCODING = "encoding"  # text or a path that is not UTF-8
DUPLICATE = "duplicate"
FORM = "form"  # a line or an object that is not what the owner's others are
OUTSIDE = "outside"  # a segment that is not within its file, or has no length
CUT = "cut"  # a segment that runs over the end of its file


@dataclass(frozen=True)
class About:
    """What a person should know of a corpus before getting it.

    Args:
        title: a sentence.
        licence: under which its owner gives it.
        size: hours, clips or rows, and splits.
        tasks: of the rows that are made of it.
        source: where it is to be had.
        layout: what is expected under ROOT.
        root: what ROOT may be; None for a corpus that is made here, from nothing.
        example: a command line.
        out: default folder of the manifests.
    """

    title: str
    licence: str
    size: str
    tasks: tuple[str, ...]
    source: str
    layout: str
    root: str | None
    example: str
    out: str


@dataclass(frozen=True)
class Skipped:
    """An item, or a folder of them, that cannot be used; a corpus yields it in the place of its utterances.

    Args:
        item: by the owner's name.
        reason: for programs: one of those above, or a corpus's own.
        detail: for people, what stands in brackets behind the item's name.
    """

    item: str
    reason: str
    detail: str

    def __str__(self) -> str:
        return f"{self.item} ({self.detail})"


class LeftOut(Skipped):
    """An item that could be used and is not, by the corpus's protocol or an option: counted, and no fault."""


class Adjusted(Skipped):
    """An item that is used otherwise than its owner lists it, yielded beside its utterance: told, and no fault."""


@dataclass(frozen=True)
class Draft:
    """A manifest to be, `SPLIT.jsonl` or `SPLIT-KIND.jsonl`: its utterances as they are read or made, and how many.

    Args:
        total: of the items; None where reading them tells.
    """

    split: str
    rows: Iterable[Utterance | Skipped]
    total: int | None = None
    kind: str = ""

    @property
    def name(self) -> str:
        return f"{self.split}-{self.kind}.jsonl" if self.kind else f"{self.split}.jsonl"
