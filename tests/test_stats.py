"""`wavllm prep stats`: every row is counted once, and three media say the same."""

import json
import re

import pytest

from wavllm_cli.audit.stats import run

ASR = {"task": "asr", "prompt": "Transcribe.", "language": "en"}


def row(id: str, **fields) -> dict:
    return {"id": id, "audio": f"{id}.wav"} | ASR | fields


ROWS = [
    row("a", duration=2.0, target="one two three four", speaker="ann", corpus="x"),
    row("b", duration=4.0, target="one two", speaker="bob", corpus="x"),
    row("b again", audio="b.wav", duration=4.0, task="sqa", target="B",
        transcript="one two", speaker="bob", corpus="y"),
    row("c", target="你好", language="zh", corpus="x"),
    row("pair", audio=[{"audio": "a.wav", "duration": 2}, {"audio": "b.wav", "duration": 4}], task="sv", target="No",
        speaker=["ann", "bob"]),
    row("text", audio=None, task="sft", target="<b>It is</b> &", language=None),
]  # fmt: skip


@pytest.fixture
def manifest(tmp_path):
    path = tmp_path / "train.jsonl"
    rows = [{key: value for key, value in row.items() if value is not None or key == "audio"} for row in ROWS]
    path.write_text("".join(f"{json.dumps(row)}\n" for row in [*rows, {"id": "bad"}]))
    return path


def test_rows_hours_and_clips(wavllm, manifest):
    code, out, _ = wavllm("prep", "stats", manifest, "--json")
    data = json.loads(out)
    assert code == 0 and (data["rows"], data["text"], data["unmeasured"], data["unreadable"]) == (6, 1, 1, 1)
    assert data["hours"] == pytest.approx(16 / 3600)
    assert data["clips"] == {"count": 4, "hours": pytest.approx(12 / 3600)}
    by = {kind: {name: count["rows"] for name, count in counts.items()} for kind, counts in data["by"].items()}
    assert by == {
        "task": {"asr": 3, "sqa": 1, "sv": 1, "sft": 1},
        "corpus": {"x": 3, "y": 1, "(not said)": 2},
        "split": {"train": 6},
        "language": {"en": 4, "zh": 1, "(not said)": 1},
        "speaker": {"ann": 2, "bob": 3, "(not said)": 2},
    }
    assert data["by"]["speaker"]["bob"]["hours"] == pytest.approx(14 / 3600)


def test_spreads_are_of_the_rows_that_have_a_figure(wavllm, manifest):
    spreads = json.loads(wavllm("prep", "stats", manifest, "--json")[1])["spread"]
    assert {name: spread["rows"] for name, spread in spreads.items()} == {
        "duration": 4, "words that are said": 4, "words a second": 3, "words of the target": 6,
    }  # fmt: skip
    assert (spreads["words a second"]["least"], spreads["words a second"]["most"]) == (0.5, 2.0)


def test_the_terminal_shows_the_most_frequent(wavllm, tmp_path):
    path = tmp_path / "x.jsonl"
    path.write_text(
        "".join(json.dumps(row(f"r{i}", duration=i + 1, target="x", speaker=f"s{i}")) + "\n" for i in range(12))
    )
    out = wavllm("prep", "stats", path)[1]
    assert "12 speakers" in out and "│ s11 " in out and "│ s1 " not in out and "2 more, each with fewer hours." in out
    assert "1 task\n" in out and "corpus" not in out and "█" in out


def test_the_page_needs_nothing_else_and_says_the_same(wavllm, manifest, tmp_path):
    page = tmp_path / "stats.html"
    assert wavllm("prep", "stats", manifest, "--html", page)[0] == 0
    text = page.read_text()
    assert "speech recognition (asr)" in text and "Rows by duration" in text and text.count("<svg") == 4
    assert not re.search(r"(src|href)=|https?:|@import", text) and "<b>It" not in text
    assert text.count("<section>") == text.count("</section>") == 2 + len(run([manifest], None).kinds())


def test_wrong_use(wavllm, manifest, tmp_path):
    (tmp_path / "bad.jsonl").write_text('{"id": "bad"}\n')
    for arguments, says in [
        ([tmp_path / "nowhere.jsonl"], "does not exist"),
        ([tmp_path / "bad.jsonl"], "no rows that can be read"),
        ([manifest, "--html", tmp_path / "x.txt"], ".html"),
    ]:
        code, _, err = wavllm("prep", "stats", *arguments)
        assert code == 2 and says in err
