"""What is known of the rows that were scored, and what is said to be unknown."""

import hashlib
import sys

from wavllm_cli.data.schema import Hypothesis
from wavllm_cli.scoring.about import Source, about
from wavllm_cli.scoring.inputs import System


def row(id, audio="a.wav", **fields):
    return Hypothesis(**{"id": id, "audio": audio, "task": "asr", "prompt": "", "text": "x"} | fields)


def test_recordings_count_once_whatever_is_asked_about_them(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["/usr/bin/wavllm", "score", "a b.jsonl"])
    path = tmp_path / "a.jsonl"
    path.write_text("rows")
    rows = [
        row("1", duration=60.0, corpus="toy", split="test", system="m"),
        row("2", duration=60.0, corpus="toy", split="test", system="m", task="sv"),
        row("3", start=60.0, duration=30.0, corpus="toy", split="test", system="m"),
        row("4", audio="b.wav", corpus="toy", split="test", system="m"),
        row("5", audio=None, task="sft", corpus="toy", split="test", system="m"),
    ]
    found = about([System("a", path, rows)], None)
    assert (found.test_set, found.rows, found.recordings, found.seconds, found.unknown) == ("toy test", 5, 3, 90.0, 1)
    assert (found.models, found.command) == (["m"], "wavllm score 'a b.jsonl'")
    assert found.sources == [Source(str(path), hashlib.sha256(b"rows").hexdigest())]


def test_rows_that_do_not_say_where_they_are_from_are_of_their_file(tmp_path):
    manifest = tmp_path / "m.jsonl"
    manifest.touch()
    found = about([System("stdin", None, [row("1"), row("2", corpus="toy")])], manifest)
    assert found.test_set == f"rows of {manifest}, toy"
    assert found.models == ["stdin"] and [source.file for source in found.sources] == ["-", str(manifest)]
    assert found.sources[0].sha256 is None
