"""What `make demo` prints of answers, and that it asks for what there is."""

import subprocess
import sys
from subprocess import PIPE

import pytest

from wavllm_cli.data.manifest import write_manifest
from wavllm_cli.data.schema import Hypothesis
from wavllm_cli.errors import UsageError
from wavllm_cli.mini.demo import show


def test_question_answer_and_what_is_known_stand_together(tmp_path, capsys):
    about = {"audio": "clips/cot-1.flac", "duration": 3.25, "extra": {"source": "LibriSpeech", "licence": "CC BY 4.0"}}
    rows = [
        {"id": "a", "task": "cot", "prompt": "Do this, then that", "text": "one\ntwo", "target": "one\nthree", **about},
        {"id": "b", "task": "sqqa", "prompt": "", "text": "\x1b[31mfeet", "target": None, "audio": "b.flac"},
    ]
    write_manifest(tmp_path / "answers.jsonl", [Hypothesis(**row) for row in rows])
    show(tmp_path / "answers.jsonl")
    assert capsys.readouterr().out.splitlines() == [
        "cot-1.flac · chain of thought (cot) · 3.2 s · LibriSpeech · CC BY 4.0",
        "  asked   Do this, then that",
        "  answer  one",
        "          two",
        "  known   one",
        "          three",
        "",
        "b.flac · spoken-query question answering (sqqa)",
        "  asked   (it is asked in the recording)",
        "  answer  \\x1b[31mfeet",
        "  known   (nobody has said)",
        "",
    ]


def test_a_file_that_is_not_there_is_a_sentence(tmp_path):
    with pytest.raises(UsageError, match=r"answers\.jsonl"):
        show(tmp_path / "answers.jsonl")


def test_as_a_command_it_ends_in_a_sentence_or_in_silence_never_in_a_traceback(tmp_path):
    """A reader that has seen enough, `| head`, and a file that nobody named."""
    rows = [Hypothesis(id=str(n), task="sqqa", prompt="", text="feet", audio="b.flac") for n in range(5000)]
    write_manifest(tmp_path / "answers.jsonl", rows)
    command = [sys.executable, "-m", "wavllm_cli.mini.demo"]
    with subprocess.Popen([*command, tmp_path / "answers.jsonl"], stdout=PIPE, stderr=PIPE, text=True) as shown:
        assert shown.stdout is not None and shown.stderr is not None
        assert shown.stdout.readline().startswith("b.flac")
        shown.stdout.close()
        assert shown.stderr.read() == ""
    assert shown.returncode == 1
    nothing = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (nothing.returncode, nothing.stderr) == (2, "error: Missing argument 'answers'.\n")
