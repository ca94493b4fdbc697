"""What is wrong with a wording that a model wrote, by rules: its form, its slots, and repetition.

Whether it asks for its task, and for that alone, is for a model to say: see `task_check`.
"""

import re
from collections import defaultdict
from collections.abc import Iterable
from math import ceil

from wavllm_cli.prompts.pools import SLOTS
from wavllm_cli.tasks.registry import TASKS
from wavllm_cli.text.language import named_in
from wavllm_cli.text.normalize import UNSPACED, basic

EMPTY = "empty"
LINE_BREAK = "more than one line"
SEPARATOR = "contains ';'"  # which separates the instructions of a combined prompt
TOO_LONG = "too long"
SLOT = "wrong slot"
SLOT_NOT_LAST = "slot not at the end"
QUESTION = "a question"
NAMES_LANGUAGE = "names a language"  # beside the slot for one
NEAR_DUPLICATE = "near-duplicate"

MAX_WORDS, MAX_CHARACTERS = 60, 400  # characters count where words are not separated by spaces
MAX_ROLE_WORDS, MAX_ROLE_CHARACTERS = 13, 90
MAX_JACCARD = 0.75
SHORT = 3  # words; the words of so short a text say little about its likeness to another

NUMBERING = re.compile(r"^(?:\d{1,2}[.)]|[-*•])\s+")
QUOTES = ('""', "''", "“”", "‘’", "„“", "«»", "「」")
PLACEHOLDER = re.compile(r"\{[^{}]*\}|[{}]|[\[<][\w ]+[\]>]")


def tidy(text: str, role: str | None = None) -> str:
    """Without numbering and enclosing quotation marks; a role's words also without the punctuation that ends them."""
    text = re.sub(r"[ \t]+", " ", NUMBERING.sub("", text.strip()))
    if len(text) > 1 and text[0] + text[-1] in QUOTES and text[-1] not in text[1:-1]:
        text = text[1:-1].strip()
    return text.rstrip(" ,.:!…") if role else text


def find_fault(text: str, task: str, role: str | None = None) -> str | None:
    """The first rule that a wording breaks, as one of this module's constants; None where it keeps them all."""
    words, characters = (MAX_ROLE_WORDS, MAX_ROLE_CHARACTERS) if role else (MAX_WORDS, MAX_CHARACTERS)
    slot = SLOTS.get(role or task)
    if not basic(text):
        return EMPTY
    if len(text.splitlines()) > 1:
        return LINE_BREAK
    if ";" in text:
        return SEPARATOR
    if len(text.split()) > words or len(text) > characters:
        return TOO_LONG
    if PLACEHOLDER.findall(text) != ([slot] if slot else []):
        return SLOT
    if TASKS[task].slot_is_last and not text.endswith(str(slot)):
        return SLOT_NOT_LAST
    if slot == "{language}" and named_in(text.replace(slot, "")):
        return NAMES_LANGUAGE
    return QUESTION if role and re.search("[?？]", text) else None


class Known:
    """Wordings that a new one must differ from."""

    def __init__(self, wordings: Iterable[str] = ()):
        self._by_size = defaultdict[int, list[frozenset[str]]](list)
        for wording in wordings:
            self.add(wording)

    def add(self, wording: str) -> None:
        features = _features(wording)
        self._by_size[len(features)].append(features)

    def has_like(self, wording: str) -> bool:
        """Whether there is one whose features and the new one's have a Jaccard index above `MAX_JACCARD`."""
        new = _features(wording)
        sizes = range(ceil(MAX_JACCARD * len(new)), int(len(new) / MAX_JACCARD) + 1)  # all others share too little
        return any(
            len(new & old) > MAX_JACCARD * len(new | old) for size in sizes for old in self._by_size.get(size, ())
        )


def _features(text: str) -> frozenset[str]:
    """The words of a text, or its letters by threes where words say little.

    Texts on either side of `SHORT` cannot be alike by their words: 3 of 4 is no more than `MAX_JACCARD`.
    """
    text = basic(text)
    words = text.split()
    if len(words) > SHORT and not UNSPACED.search(text):
        return frozenset(words)
    return frozenset(text[i : i + 3] for i in range(max(1, len(text) - 2)))
