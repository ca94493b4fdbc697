"""Rows into splits: those that they say, or ours, in which no speaker, group or file is in two."""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence

from wavllm_cli import console
from wavllm_cli.corpora import FORM, Draft, Skipped
from wavllm_cli.corpora.importers import Own
from wavllm_cli.corpora.splits import DEV, TEST, TRAIN, Shares, drawn
from wavllm_cli.data.schema import Utterance

Found = Utterance | Skipped
Key = tuple[str, str]  # what keeps rows together: ("speaker", "anna")


def partition(rows: Sequence[Found], options: Own) -> Iterator[Draft]:
    """A draft for each split; what could not be used stands in the first."""
    utterances = [row for row in rows if isinstance(row, Utterance)]
    if any(row.split for row in utterances):
        yield from _drafts([row if isinstance(row, Skipped) else _in_its_split(row) for row in rows])
        return
    split_of = _drawn(utterances, options.split, options.seed)
    placed = (row if isinstance(row, Skipped) else row.model_copy(update={"split": split_of[row.id]}) for row in rows)
    yield from _drafts(list(placed))


def _drafts(rows: Sequence[Found]) -> Iterator[Draft]:
    there = dict.fromkeys(row.split for row in rows if isinstance(row, Utterance))
    splits = sorted(there, key=lambda split: (TRAIN, DEV, TEST).index(split) if split in (TRAIN, DEV, TEST) else 3)
    for split in splits or [TRAIN]:
        others = split == (splits or [TRAIN])[0]
        some = [row for row in rows if (others if isinstance(row, Skipped) else row.split == split)]
        yield Draft(split or TRAIN, some, len(some))


def _in_its_split(row: Utterance) -> Found:
    """A split becomes the name of a file."""
    name = re.sub(r"[^\w.+-]+", "-", row.split or "").strip("-.")
    if not name:
        return Skipped(row.id, FORM, "says no split, which other rows do")
    return row if name == row.split else row.model_copy(update={"split": name})


def _drawn(rows: Sequence[Utterance], shares: Shares, seed: int) -> dict[str, str]:
    """The split of each row by its id; how they came about is said."""
    wanted = sum(share > 0 for share in (shares.train, shares.dev, shares.test))
    groups, apart = _together(rows, _speaker_group_file), "no speaker, group or file is in two"
    if len(set(groups.values())) < wanted and any(row.speaker or row.group for row in rows):
        groups = _together(rows, _file)
        apart = "no file is in two"
        console.warn("there are too few speakers or groups for splits of their own: some are in several splits.")
    split_of = drawn(Counter(groups.values()), shares, seed)
    if rows and wanted > 1:
        console.info(f"splits: {shares} % of the rows, drawn by seed {seed}; {apart}")
    return {name: split_of[group] for name, group in groups.items()}


def _together(rows: Iterable[Utterance], keys: Callable[[Utterance], list[Key]]) -> dict[str, Key]:
    """Of each row by its id the first of all keys that it shares with others, directly or by way of others."""
    first: dict[Key, Key] = {}

    def root(key: Key) -> Key:
        while (up := first.setdefault(key, key)) != key:
            first[key] = key = first[up]
        return key

    for row in rows:
        roots = {root(key) for key in keys(row)}
        first |= dict.fromkeys(roots, min(roots))
    return {row.id: root(keys(row)[0]) for row in rows}


def _file(row: Utterance) -> list[Key]:
    return [("file", piece.audio) for piece in row.pieces] or [("id", row.id)]


def _speaker_group_file(row: Utterance) -> list[Key]:
    speakers: list[Key] = [("speaker", name) for name in row.speakers]
    return [*speakers, *([("group", row.group)] if row.group else []), *_file(row)]
