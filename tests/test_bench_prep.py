import json
from random import Random

from wavllm_cli.bench import prep as bench
from wavllm_cli.data.manifest import read_manifest


def test_every_command_is_measured_on_the_same_files(wavllm, monkeypatch):
    """The bare loop is run; the others are commands that have tests of their own."""
    real = bench.run
    monkeypatch.setattr(bench, "run", lambda command: real(command) if bench.BARE in command else (0.5, 0.1, 50.0))
    code, out, err = wavllm("bench", "prep", "--files", "120", "--rows", "50", "--rounds", "1", "--json")
    assert code == 0, err
    measured = json.loads(out)
    names = ["wavllm prep librispeech", "headers alone", "wavllm prep stats", "rows before training"]
    assert [run["name"] for run in measured["runs"]] == names
    assert all(run["cpu_seconds"] > 0 and run["megabytes"] > 10 for run in measured["runs"]) and measured["ratio"] > 0


def test_what_is_measured_is_as_large_as_is_said(tmp_path):
    bench._write_files(tmp_path / "LibriSpeech", 250, Random(0))
    assert len(list(tmp_path.rglob("*.flac"))) == 250 and len(list(tmp_path.rglob("*.trans.txt"))) == 3
    assert len(read_manifest(bench._write_manifest(tmp_path, 40, Random(0)))) == 40
