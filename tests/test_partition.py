import pytest

from wavllm_cli.corpora import Skipped
from wavllm_cli.corpora.importers import Own
from wavllm_cli.corpora.importers.partition import partition
from wavllm_cli.corpora.splits import Shares
from wavllm_cli.data.schema import Utterance


def row(name, **fields):
    return Utterance(**{"id": name, "audio": f"{name}.wav", "task": "asr", "prompt": "p", "target": "t"} | fields)


def ids(rows, **options):
    return {draft.split: [one.id for one in draft.rows] for draft in partition(rows, Own(**options))}


def test_rows_keep_their_splits_which_become_names_of_files():
    rows = [row("a", split="Test"), row("b", split="../x y"), row("c", split="train"), row("d", split="Test")]
    assert ids(rows) == {"train": ["c"], "Test": ["a", "d"], "x-y": ["b"]}


def test_a_row_without_a_split_among_others_is_named():
    drafts = list(partition([row("a", split="dev"), row("b")], Own()))
    assert [(d.split, [str(r) if isinstance(r, Skipped) else r.id for r in d.rows]) for d in drafts] == [
        ("dev", ["b (says no split, which other rows do)", "a"])
    ]


@pytest.mark.parametrize("seed", range(5))
def test_what_belongs_together_stays_together(seed, capsys):
    """Chains of speakers, groups and files: a split has all of a chain or nothing of it."""
    chain = [
        {"speaker": "ann", "group": "1"},
        {"speaker": "bob", "group": "1"},
        {"speaker": "bob", "audio": "x.wav"},
        {"audio": "x.wav"},
    ]
    rows = [row(f"c{i}", **fields) for i, fields in enumerate(chain)] + [row(f"r{i}") for i in range(36)]
    splits = ids(rows, seed=seed)
    assert sum(map(len, splits.values())) == 40 and all(splits[split] for split in ("train", "dev", "test"))
    assert [{name for name in names if name[0] == "c"} for names in splits.values() if "c0" in names] == [
        {"c0", "c1", "c2", "c3"}
    ]
    assert "drawn by seed" in capsys.readouterr().err
    assert ids(rows[::-1], seed=seed) == {split: names[::-1] for split, names in splits.items()}


def test_one_speaker_alone_is_split_by_file_and_that_is_said(capsys):
    splits = ids([row(f"r{i}", speaker="me") for i in range(20)])
    assert [len(names) for names in splits.values()] == [18, 1, 1]
    assert "there are too few speakers or groups for splits" in capsys.readouterr().err


def test_all_in_one_split_needs_no_drawing(capsys):
    assert list(ids([row("a"), row("b")], split=Shares(0, 0, 100))) == ["test"]
    assert capsys.readouterr().err == ""


def test_nothing_usable_is_a_draft_with_what_was_not():
    bad = Skipped("a", "form", "bad")
    (draft,) = partition([bad], Own())
    assert (draft.split, list(draft.rows)) == ("train", [bad])
