"""The lesson of `make demo` is about the same clips, and asks for another answer."""

import pytest

from wavllm_cli.data.manifest import read_manifest, write_manifest
from wavllm_cli.data.schema import Utterance
from wavllm_cli.errors import UsageError
from wavllm_cli.mini.lesson import PROMPT, SPLITS, write_lesson


def test_what_is_said_in_capitals(tmp_path):
    row = {"id": "a", "audio": "audio/a.wav", "duration": 2.0, "task": "asr", "prompt": "Transcribe.", "target": "a b"}
    for split in SPLITS:
        write_manifest(tmp_path / f"{split}-world.jsonl", [Utterance(**row, split=split)])
    write_lesson(tmp_path)
    for split in SPLITS:
        (made,) = read_manifest(tmp_path / f"{split}-capitals.jsonl")
        assert made == Utterance(**row | {"id": "a-capitals", "prompt": PROMPT, "target": "A B"}, split=split)


def test_without_data_it_is_a_sentence(tmp_path):
    with pytest.raises(UsageError, match=r"train-world\.jsonl"):
        write_lesson(tmp_path)
