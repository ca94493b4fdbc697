import json

import pytest

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
    assert len(rows) == 63 and {row.task for row in rows.values()} == {"sft"}
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


ONLY_WRITTEN = (
    "Say " + "very " * 30 + "much.",
    "Sum up https://example.org for me.",
    "What does print(x[0]) do in Python?",
    "Sort these: apple\npear",
    "Give the sum of 12345 + 67890.",
    "\u8bf7\u95ee\u4eca\u5929\u662f\u661f\u671f\u51e0",
)


def test_what_can_be_said_waits_for_a_voice(tmp_path):
    asked = [*ONLY_WRITTEN, "Name a colour.", "How old is Caf\u00e9 Central?", "Name a fruit."]
    objects = [{"instruction": text, "input": "", "output": "x"} for text in asked]
    objects += [{"instruction": "Translate.", "input": "Good\u2028morning\n", "output": "Guten Morgen"}]
    (tmp_path / "alpaca_data.json").write_text(json.dumps(objects))
    summary = prepare("alpaca", tmp_path, tmp_path / "out", dev=0, test=0, spoken=3)
    rows = read_manifest(tmp_path / "out/train-sqqa.jsonl")
    assert [row.speech_text for row in rows] == asked[6:9] and all(row.awaits_speech for row in rows)
    assert (rows[0].id, rows[0].task, rows[0].prompt, rows[0].target) == ("alpaca-00006-spoken", "sqqa", "", "x")
    assert summary.reasons == {"only-written": 6} and not summary.faults
    prepare("alpaca", tmp_path, tmp_path / "out", dev=2, test=2, spoken=9)
    for split in ("train", "dev", "test"):
        written = {row.id for row in read_manifest(tmp_path / f"out/{split}.jsonl")}
        spoken = tmp_path / f"out/{split}-sqqa.jsonl"
        assert not spoken.exists() or {row.id.removesuffix("-spoken") for row in read_manifest(spoken)} <= written
    prepare("alpaca", tmp_path, tmp_path / "all", dev=0, test=0, spoken=9)
    assert read_manifest(tmp_path / "all/train-sqqa.jsonl")[-1].speech_text == "Translate. Good morning"


def test_the_hubs_parquet_holds_the_same(root, tmp_path):
    import pyarrow
    from pyarrow.parquet import write_table

    rows = json.loads((root / "alpaca_data.json").read_text("utf-8-sig"))
    (tmp_path / "hub/data").mkdir(parents=True)
    table = pyarrow.Table.from_pylist([{"text": "Below is \u2026", **row} for row in rows])
    write_table(table, tmp_path / "hub/data/train-00000-of-00001-a09b.parquet")
    prepare("alpaca", root / "alpaca_data.json", tmp_path / "a", dev=3, test=4)
    prepare("alpaca", tmp_path / "hub", tmp_path / "b", dev=3, test=4)
    assert read(tmp_path / "a") == read(tmp_path / "b")


def test_not_alpaca(root, tmp_path):
    with pytest.raises(UsageError, match="1000 of 32 instructions cannot be held out"):
        prepare("alpaca", root, tmp_path / "out")
    (tmp_path / "empty").mkdir()
    (tmp_path / "object.json").write_text("{}")
    (tmp_path / "cut.json").write_text("[{")
    (tmp_path / "lfs.json").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:1\nsize 9\n")
    for name, says in (
        ("empty", r"has no alpaca_data\.json at any depth"),
        ("object.json", "must be an array"),
        ("cut.json", "not Alpaca's JSON"),
        ("lfs.json", "Git LFS pointer"),
        ("gone.json", "does not exist"),
    ):
        with pytest.raises(UsageError, match=says):
            prepare("alpaca", tmp_path / name, tmp_path / "out")
    (root / "alpaca_data_cleaned.json").write_text("[]")
    with pytest.raises(UsageError, match=r"has 2 files of Alpaca: name one of .*alpaca_data\.json"):
        prepare("alpaca", root, tmp_path / "out")
