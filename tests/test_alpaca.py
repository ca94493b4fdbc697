import json

import pytest

from wavllm_cli.corpora.alpaca import ABOUT
from wavllm_cli.corpora.prepare import prepare
from wavllm_cli.data.manifest import read_manifest
from wavllm_cli.errors import UsageError

ODD = [
    {"instruction": "Name  a colour.\n", "input": "<noinput>", "output": "Cafe\u0301 brown.", "text": "Below is …"},
    {"instruction": "Translate.", "input": "Good\u2028morning", "output": "Guten Morgen"},
    {"instruction": "Translate.", "input": "Bye", "output": "Tschüss"},
    {"instruction": "Translate.", "input": "Bye", "output": "Auf Wiedersehen"},
    {"instruction": "Play a song.", "input": "", "output": ""},
    {"instruction": "Incomplete"},
]


@pytest.fixture
def root(tmp_path):
    """The owner's file: odd rows, then many plain ones, two for each instruction."""
    plain = [{"instruction": f"Count to {i // 2}.", "input": f"{i}", "output": "…"} for i in range(60)]
    (tmp_path / "alpaca_data.json").write_text(json.dumps([*ODD, *plain], indent=4), encoding="utf-8-sig")
    return tmp_path


def read(out):
    return {split: read_manifest(out / f"{split}.jsonl") for split in ("test", "dev", "train")}


def test_rows_ask_and_answer_in_text(root, tmp_path):
    summary = prepare("alpaca", root / "alpaca_data.json", tmp_path / "out", dev=3, test=4)
    rows = {row.id: row for some in read(tmp_path / "out").values() for row in some}
    assert len(rows) == 63 and {row.task for row in rows.values()} == set(ABOUT.tasks)
    assert (rows["alpaca-00000"].prompt, rows["alpaca-00000"].target) == ("Name  a colour.", "Café brown.")
    assert rows["alpaca-00001"].prompt == "Translate.\n\nGood\u2028morning"
    skipped = [json.loads(line) for line in (tmp_path / "out" / "skipped.jsonl").read_text().splitlines()]
    assert [(row["item"], row["reason"]) for row in skipped] == [
        ("alpaca-00003", "duplicate"),
        ("alpaca-00004", "no-text"),
        ("alpaca-00005", "form"),
    ]
    assert [one.item for one in summary.faults] == ["alpaca-00005"]


def test_instructions_are_held_out_by_seed(root, tmp_path):
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        prepare("alpaca", root, tmp_path / name, dev=3, test=4, seed=seed)
    asked = {split: {r.prompt.split("\n\n")[0] for r in rows} for split, rows in read(tmp_path / "a").items()}
    assert {split: len(some) for split, some in asked.items()} == {"test": 4, "dev": 3, "train": 25}
    assert len(asked["test"] | asked["dev"] | asked["train"]) == 32
    assert all(row.split == split for split, rows in read(tmp_path / "a").items() for row in rows)
    assert read(tmp_path / "a") == read(tmp_path / "b") != read(tmp_path / "c")


def test_not_alpaca(root, tmp_path):
    with pytest.raises(UsageError, match="1000 of 32 instructions cannot be held out"):
        prepare("alpaca", root, tmp_path / "out")
    (tmp_path / "empty").mkdir()
    (tmp_path / "object.json").write_text("{}")
    (tmp_path / "cut.json").write_text("[{")
    (tmp_path / "lfs.json").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:1\nsize 9\n")
    for name, says in (
        ("empty", "no alpaca_data.json"),
        ("object.json", "must be an array"),
        ("cut.json", "not Alpaca's JSON"),
        ("lfs.json", "Git LFS pointer"),
        ("gone.json", "does not exist"),
    ):
        with pytest.raises(UsageError, match=says):
            prepare("alpaca", tmp_path / name, tmp_path / "out")
    (root / "alpaca_data_cleaned.json").write_text("[]")
    with pytest.raises(UsageError, match="2 files"):
        prepare("alpaca", root, tmp_path / "out")
