"""Rows into splits: those that they say, or ours, in which no speaker, group or file is in two."""

import re
from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain

from wavllm_cli import console
from wavllm_cli.corpora import FORM, Draft, Skipped
from wavllm_cli.corpora.importers import Own
from wavllm_cli.corpora.splits import DEV, TEST, TRAIN, Shares, drawn
from wavllm_cli.data.rows import Rows
from wavllm_cli.data.schema import Utterance

Found = Utterance | Skipped
Key = tuple[str, str]  # what keeps rows together: ("speaker", "anna")
WHO = ("speaker", "group")


def partition(found: Iterable[Found], options: Own) -> Iterator[Draft]:
    """A draft for each split; what could not be used stands in the first.

    Rows wait in a file for the split that only all of them tell: of each no more is kept than what decides it.

    Raises:
        WavLLMError: there is no room for them.
    """
    skipped: list[Skipped] = []
    said: list[str | None] = []  # the split of each row
    keys: list[list[Key]] = []

    def utterances() -> Iterator[Utterance]:
        for row in found:
            if isinstance(row, Skipped):
                skipped.append(row)
                continue
            said.append(row.split)
            keys.append(_keys(row))
            yield row

    rows = Rows.spooled(utterances(), Utterance, "What is imported")
    if any(said):
        splits = [_file_name(split) for split in said]
        skipped += [
            Skipped(rows[number].id, FORM, "says no split, which other rows do")
            for number, split in enumerate(splits)
            if not split
        ]
    else:
        splits = _drawn(keys, options.split, options.seed)
    yield from _drafts(rows, splits, skipped)


def _drafts(rows: Sequence[Utterance], splits: Sequence[str], skipped: list[Skipped]) -> Iterator[Draft]:
    """
    Args:
        splits: of each row; one without is in none.
    """
    of_split: dict[str, array[int]] = {}
    for number, split in enumerate(splits):
        if split:
            of_split.setdefault(split, array("q")).append(number)
    known = (TRAIN, DEV, TEST)
    others = skipped
    for split in sorted(of_split, key=lambda name: known.index(name) if name in known else len(known)) or [TRAIN]:
        numbers = of_split.get(split, array("q"))
        yield Draft(split, chain(others, _placed(rows, numbers, split)), len(others) + len(numbers))
        others = []


def _placed(rows: Sequence[Utterance], numbers: Iterable[int], split: str) -> Iterator[Utterance]:
    for number in numbers:
        row = rows[number]
        yield row if row.split == split else row.model_copy(update={"split": split})


def _file_name(split: str | None) -> str:
    """A split as the name of a file; nothing of what cannot be one."""
    return re.sub(r"[^\w.+-]+", "-", split or "").strip("-.")


def _drawn(rows: Sequence[list[Key]], shares: Shares, seed: int) -> list[str]:
    """The split of each row; how they came about is said.

    Args:
        rows: the keys of each.
    """
    wanted = sum(share > 0 for share in (shares.train, shares.dev, shares.test))
    groups, apart = _together(rows), "no speaker, group or file is in two"
    if len(set(groups)) < wanted and any(kind in WHO for keys in rows for kind, _ in keys):
        groups = _together([[key for key in keys if key[0] not in WHO] for keys in rows])
        apart = "no file is in two"
        console.warn("there are too few speakers or groups for splits of their own: some are in several splits.")
    split_of = drawn(Counter(groups), shares, seed)
    if rows and wanted > 1:
        console.info(f"splits: {shares} % of the rows, drawn by seed {seed}; {apart}")
    return [split_of[group] for group in groups]


def _together(rows: Sequence[list[Key]]) -> list[Key]:
    """For each row the first of all keys that it shares with others, directly or by way of others."""
    first: dict[Key, Key] = {}

    def root(key: Key) -> Key:
        while (up := first.setdefault(key, key)) != key:
            first[key] = key = first[up]
        return key

    for keys in rows:
        roots = {root(key) for key in keys}
        first |= dict.fromkeys(roots, min(roots))
    return [root(keys[0]) for keys in rows]


def _keys(row: Utterance) -> list[Key]:
    """What keeps a row together with others; the last of them say what is heard."""
    who = [("speaker", name) for name in row.speakers] + ([("group", row.group)] if row.group else [])
    return who + ([("file", name) for name in row.files] or [("id", row.id)])
