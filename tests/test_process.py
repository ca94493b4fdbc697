"""A command that belongs to no other ends as `wavllm` does; the rest of how processes end is in test_cli.py."""

import os
import sys
from pathlib import Path

import pytest

from wavllm_cli.errors import UsageError, WavLLMError
from wavllm_cli.process import run_alone


def ended(monkeypatch, command, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["made", *arguments])
    with pytest.raises(SystemExit) as stop:
        run_alone(command)
    return stop.value.code


def raising(error: BaseException):
    def command(path: Path) -> None:
        assert path == Path("a")
        raise error

    return command


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (UsageError("Name a file."), 2, "error: Name a file.\n"),
        (WavLLMError("It failed.", "So did that."), 1, "error: It failed.\nerror: So did that.\n"),
        (KeyboardInterrupt(), 130, "error: interrupted; the same command continues.\n"),
        (BrokenPipeError(), 1, ""),
        (ZeroDivisionError(), 1, "error: unexpected ZeroDivisionError (run again with --debug for details).\n"),
    ],
)
def test_how_it_ends(monkeypatch, capsys, error, code, said):
    assert ended(monkeypatch, raising(error), "a") == code
    assert capsys.readouterr().err == said


def test_a_traceback_for_those_who_want_it(monkeypatch, capsys):
    assert ended(monkeypatch, raising(ZeroDivisionError()), "--debug", "a") == 1
    assert "in command" in capsys.readouterr().err


def test_what_is_missing_is_wrong_use(monkeypatch, capsys):
    assert ended(monkeypatch, raising(KeyError())) == 2
    assert capsys.readouterr().err == "error: Missing argument 'path'.\n"


def test_one_that_is_done(monkeypatch, capsys):
    assert ended(monkeypatch, lambda: print("done")) == 0
    assert capsys.readouterr().out == "done\n"


@pytest.mark.parametrize(("arguments", "verbosity"), [([], "error"), (["--debug"], None)])
def test_libraries_are_quiet_unless_asked(monkeypatch, capsys, arguments, verbosity):
    monkeypatch.delenv("TRANSFORMERS_VERBOSITY", raising=False)
    assert ended(monkeypatch, lambda: print(os.environ.get("TRANSFORMERS_VERBOSITY")), *arguments) == 0
    assert capsys.readouterr().out == f"{verbosity}\n"
