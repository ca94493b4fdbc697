"""What `from wavllm_cli import …` offers, and that `import wavllm_cli` costs nothing."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import wavllm_cli

SOURCE = Path(wavllm_cli.__file__)


def test_importing_the_package_imports_nothing_else():
    code = "import sys; before = set(sys.modules); import wavllm_cli; print(*sorted(set(sys.modules) - before))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert loaded == ["wavllm_cli"]


def test_every_public_name_is_where_the_package_says_and_has_a_docstring():
    assert sorted(wavllm_cli._MODULES) == sorted(wavllm_cli.__all__)
    for name in wavllm_cli.__all__:
        value = getattr(wavllm_cli, name)
        assert value.__module__ == f"wavllm_cli.{wavllm_cli._MODULES[name]}" and value.__doc__
        assert name in dir(wavllm_cli)


def test_type_checkers_see_the_same_names():
    block = next(node for node in ast.parse(SOURCE.read_text()).body if isinstance(node, ast.If))
    seen = {alias.name: node.module for node in block.body for alias in node.names}
    assert seen == {name: f"wavllm_cli.{module}" for name, module in wavllm_cli._MODULES.items()}


def test_another_name_is_an_ordinary_error():
    with pytest.raises(AttributeError, match="has no attribute 'WavLM'"):
        _ = wavllm_cli.WavLM
    with pytest.raises(ImportError):
        from wavllm_cli import WavLM  # noqa: F401


def test_a_file_of_answers_is_scored_by_one_call(tmp_path):
    from wavllm_cli import Hypothesis, Utterance, read_manifest, score, write_manifest

    row = Utterance(id="a", audio=None, task="asr", prompt="Transcribe.", target="one two three four")
    write_manifest(tmp_path / "test.jsonl", [row])
    (row,) = read_manifest(tmp_path / "test.jsonl")
    answer = Hypothesis(**row.model_dump(), text="one two three", system="mine")
    write_manifest(tmp_path / "test.hyp.jsonl", [answer])
    result = score([str(tmp_path / "test.hyp.jsonl")])
    assert result.data()["tasks"]["asr"]["metrics"]["wer"]["value"] == 0.25
