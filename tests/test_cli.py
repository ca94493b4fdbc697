"""The command line as a user meets it: help, start-up, exit codes, one sentence for every mistake."""

import errno
import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import soundfile
import typer

from wavllm_cli import __version__, cli
from wavllm_cli.tasks.registry import TASKS, spelled_out


def run(*args: str, cwd=None) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, "-m", "wavllm_cli", *args], capture_output=True, text=True, cwd=cwd)


def commands(command=typer.main.get_command(cli.app.app), words=()):  # noqa: B008
    """The words of every command."""
    if not hasattr(command, "list_commands"):
        yield words
        return
    for name in command.list_commands(None):
        yield from commands(command.get_command(None, name), (*words, name))


@pytest.mark.parametrize("command", [(), *commands()], ids=" ".join)
def test_every_command_has_help_with_an_example(wavllm, command):
    code, out, _ = wavllm(*command, "--help")
    assert code == 0
    assert "Usage: wavllm" in out
    assert not command or f"wavllm {' '.join(command)}" in out.split("Example:")[1]


def test_commands_stand_in_the_order_of_the_pipeline(wavllm):
    app = typer.main.get_command(cli.app.app)
    assert {command.rich_help_panel for command in app.commands.values()} <= set(cli.app.STAGES)
    pipeline = ["prep", "gen-prompts", "check", "train", "infer", "score", "convert", "export", "bench"]
    assert [name for name in app.list_commands(None) if name in pipeline] == pipeline
    _, out, _ = wavllm("--help")
    places = [out.index(f"─ {title} ─") for title in cli.app.STAGES]
    assert places == sorted(places) and out.index("─ Options ─") < places[0] < out.index("│ prep ") < places[1]


def test_options_that_belong_together_stand_together(wavllm):
    _, out, _ = wavllm("infer", "--help")
    assert out.index("─ Options ─") < out.index("--output") < out.index("─ Decoding ─") < out.index("--num-beams")
    assert out.index("--num-beams") < out.index("─ Machine ─") < out.index("--device")
    _, out, _ = wavllm("score", "--help")
    assert out.index("--metric") < out.index("─ Chat model ─") < out.index("--max-usd")


def test_help_imports_nothing_heavy():
    shown = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "wavllm_cli", "--help"], capture_output=True, text=True
    )
    imported = {line.split("|")[-1].strip() for line in shown.stderr.splitlines() if line.startswith("import time:")}
    assert "typer" in imported
    assert not imported & {"torch", "transformers", "datasets", "numpy", "pydantic", "soundfile"}


def test_version(wavllm):
    assert wavllm("--version")[:2] == (0, f"wavllm {__version__}\n")


@pytest.fixture
def inputs(tmp_path):
    """Files a user may give by mistake."""
    (tmp_path / "text.wav").write_text("this is not audio")
    (tmp_path / "empty.wav").write_bytes(b"")
    soundfile.write(tmp_path / "nothing.wav", np.zeros(0), 16_000)
    soundfile.write(tmp_path / "good.wav", np.random.default_rng(0).normal(0, 0.1, 16_000), 16_000)
    row = {"id": "a", "audio": "good.wav", "task": "asr", "prompt": "x"}
    lines = {
        "missing-key.jsonl": [{k: v for k, v in row.items() if k != "audio"}],
        "duplicate.jsonl": [row, row],
        "missing-audio.jsonl": [{**row, "audio": "gone.wav"}],
        "good.jsonl": [{**row, "target": "well then"}],
    }
    for name, rows in lines.items():
        (tmp_path / name).write_text("".join(json.dumps(r) + "\n" for r in rows))
    (tmp_path / "bad-line.jsonl").write_text(json.dumps(row) + "\n{oops\n")
    (tmp_path / "typo.yaml").write_text("nmae: x\n")
    (tmp_path / "text.pt").write_text("this is no checkpoint")
    return tmp_path


MISTAKES = [
    ("infer gone.wav hi", 2, "gone.wav"),
    ("infer text.wav hi", 1, "text.wav"),
    ("infer empty.wav hi", 1, "empty.wav"),
    ("infer nothing.wav hi", 1, "nothing.wav"),
    ("infer good.wav hi --model nowhere", 2, "no model folder nowhere"),
    ("infer good.wav hi --system wavllm", 2, "No model is named"),
    ("infer good.wav hi --model .", 2, "config.json"),
    ("infer good.wav hi", 2, "`wavllm models get whisper-base smollm2-135m-instruct`"),
    ("infer good.wav hi --batch-size 100000", 2, "--batch-size"),
    ("train --stage 1 --recipe tiny --set seed=[1", 2, "the value is no YAML"),
    ("train --stage 1 --recipe tiny --set seed=18446744073709551616", 2, "less than 2147483648"),
    ("check tiny --set generation.temperature=1e-300", 2, "at least 0.01"),
    ("infer missing-key.jsonl -o o.jsonl", 2, '"audio" is missing'),
    ("infer duplicate.jsonl -o o.jsonl", 2, "line 2"),
    ("infer bad-line.jsonl -o o.jsonl", 2, "line 2"),
    ("infer missing-audio.jsonl", 2, "--output"),
    ("infer missing-audio.jsonl hello -o o.jsonl", 2, "its own instructions"),
    ("train --stage 3 --recipe tiny", 2, "no stage 3"),
    ("train --stage 2 --recipe tiny", 2, "has not been trained"),
    ("train --stage 1 --recipe tiny", 2, "train.jsonl"),
    ("train --stage 1 --recipe typo.yaml", 2, "did you mean name?"),
    ("train --stage one", 2, "--stage"),
    ("score duplicate.jsonl", 2, 'no "text" (the answer)'),
    ("score text.wav", 2, "text.wav"),
    ("score good.jsonl --map txt=prediction", 2, 'did you mean "text"?'),
    ("score good.jsonl --output o.txt", 2, 'no "text" (the answer)'),
    ("score gone.jsonl", 2, "does not exist"),
    ("score duplicate.jsonl --normalizer basci", 2, "basic"),
    ("prep fsdd gone.zip", 2, "gone.zip"),
    ("prep librispeech .", 2, "not LibriSpeech"),
    ("prep spoken-digits --digits three", 2, "3..6"),
    ("gen-prompts multi duplicate.jsonl --out o.jsonl", 2, "line 2"),
    ("gen-prompts multi duplicate.jsonl --out o.jsonl --batch", 2, "no --model"),
    ("gen-prompts questions good.jsonl --out o.jsonl --no-wait", 2, "--no-wait belongs with --batch"),
    ("gen-prompts questions good.jsonl --out o.jsonl --base-url http://x:99999", 2, "is no address of a server"),
    ("gen-prompts questions good.jsonl --out o.jsonl --base-url localhost", 2, "is no address of a server"),
    ("gen-prompts questions good.jsonl --out o.txt", 2, ".jsonl, .jsonl.gz or .parquet"),
    ("gen-prompts questions good.jsonl --out o.jsonl", 2, "OPENAI_API_KEY"),
    ("gen-prompts questions good.jsonl --out o.jsonl --model own-7b --max-usd 1", 2, "needs the price of 'own-7b'"),
    ("gen-prompts questions good.jsonl --out o.jsonl --prices typo.yaml", 2, "typo.yaml: nmae"),
    ("gen-prompts questions duplicate.jsonl --out o.jsonl", 2, "line 2"),
    ("gen-prompts paraphrase --task asrr --out o.jsonl", 2, "unknown task 'asrr'"),
    ("gen-prompts paraphrase --task asr --out o.txt", 2, "ends in .jsonl"),
    ("gen-prompts paraphrase --task asr --languages xx --out o.jsonl", 2, "unknown language 'xx'"),
    ("gen-prompts attach good.jsonl --pool mine.txt --out o.jsonl", 2, "TASK=FILE.txt"),
    ("gen-prompts attach good.jsonl --task ii --out o.jsonl", 2, "'ii' rows"),
    ("gen-prompts attach good.jsonl --task emotion --out o.jsonl", 2, "did you mean er?"),
    ("score good.jsonl --task emoo", 2, "did you mean er?"),
    ("convert text.pt --output m", 2, "--tokenizer FILE"),
    ("convert text.pt --tokenizer gone.model --output m", 2, "gone.model"),
    ("convert text.pt --tokenizer text.wav --output m", 2, "text.wav"),
    ("convert text.pt --tokenizer gone.model --output text.wav", 2, "text.wav exists already"),
    ("convert gone --to-fairseq --output m.pt", 2, "no model folder gone"),
    ("export --model gone --to peft --output m", 2, "no model folder gone"),
    ("export --model gone --to onnx --output m", 2, "onnx"),
    ("trian", 2, "train"),
    ("infer", 2, "SOURCE"),
]


@pytest.mark.parametrize(("line", "code", "named"), MISTAKES, ids=[line for line, *_ in MISTAKES])
def test_mistakes_are_one_sentence_and_an_exit_code(wavllm, inputs, monkeypatch, line, code, named):
    monkeypatch.chdir(inputs)
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.delenv("WAVLLM_MODEL", raising=False)
    monkeypatch.setenv("WAVLLM_CACHE", str(inputs / "no-cache"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(inputs / "no-settings"))
    monkeypatch.setattr("wavllm_cli.data.known_models.BUNDLE", inputs / "no-bundle")
    before = set(inputs.iterdir())
    returned, out, err = wavllm(*line.split())
    assert returned == code
    assert out == ""
    assert named in err
    assert "Traceback" not in err
    assert all(text.startswith("error: ") for text in err.splitlines())
    assert set(inputs.iterdir()) == before


@pytest.mark.parametrize("command", [["score"], ["gen-prompts", "paraphrase"]])
def test_help_names_every_task_spelled_out(wavllm, command):
    _, out, _ = wavllm(*command, "--help")
    page = " ".join(out.replace("│", " ").split())
    assert not [code for code in TASKS if spelled_out(code) not in page]


def test_debug_shows_the_traceback_too(wavllm, monkeypatch):
    monkeypatch.setitem(cli.app.state, "debug", False)
    code, _, err = wavllm("--debug", "score", "gone\x1b[2J.jsonl")
    assert code == 2
    assert "Traceback" in err
    assert err.splitlines()[-1] == r"error: gone\x1b[2J.jsonl does not exist."
    assert "\x1b" not in err


def test_check_finds_missing_data_and_prints_costs(wavllm, tmp_path):
    code, out, err = wavllm("check", "tiny", "--set", f"data={tmp_path}")
    assert code == 1
    assert "train.jsonl" in err
    code, out, _ = wavllm("check", "tiny", "--json", "--set", f"data={tmp_path}")
    plan = json.loads(out)
    assert plan["parameters"]["lora"] > 0
    assert [stage["stage"] for stage in plan["stages"]] == [1, 2]


def test_interrupt_is_130(wavllm, monkeypatch):
    from wavllm_cli.scoring import command

    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(command, "score", interrupted)
    code, _, err = wavllm("score", "x.jsonl")
    assert code == 130
    assert "interrupted" in err


def test_a_bug_is_one_sentence_too(wavllm, monkeypatch):
    from wavllm_cli.scoring import command

    def broken(*_):
        raise ZeroDivisionError("division by zero")

    monkeypatch.setattr(command, "score", broken)
    code, _, err = wavllm("score", "x.jsonl")
    assert code == 1
    assert err.splitlines() == [
        "error: unexpected ZeroDivisionError: division by zero (run again with --debug for details)."
    ]


UNFORESEEN = [
    (EOFError("Ran out of input"), "error: A file ended before its content did (Ran out of input): run again"),
    (EOFError(), "error: A file ended before its content did (it is empty or cut off): run again"),
    (MemoryError(), "error: There is not enough memory: ask for less at once."),
    (RecursionError("maximum recursion depth exceeded"), "error: Something that was read is nested too deeply"),
    (OSError(errno.ENOSPC, "No space left on device", "log"), "error: log cannot be written: the disk is full, "),
    (OSError(errno.ENOSPC, "No space left on device"), "error: Standard output or a file cannot be written to the end"),
    (PermissionError(errno.EACCES, "Permission denied", "x/y"), "error: x/y: permission denied: change its mode"),
    (OSError(errno.EROFS, "Read-only file system", b"x"), "error: x: it lies on a file system that is read-only."),
    (OSError(errno.ENOTDIR, "Not a directory", "f/x"), "error: f/x: one of the folders on its path is a file."),
    (
        OSError(errno.ENAMETOOLONG, "File name too long", "n" * 999),
        f"error: {'n' * 200}… (999 characters): its name is",
    ),
    (OSError(errno.ENOENT, "No such file", "a\nb"), r"error: a\nb: there is no such file or folder."),
    (UnicodeEncodeError("utf-8", "a\udcff", 1, 2, "surrogates not allowed"), "error: Text that is not UTF-8 cannot be"),
    (UnicodeDecodeError("utf-8", b"a\xff", 1, 2, "invalid"), "error: Something that was read is not UTF-8, from its"),
    (ValueError("one\ntwo\n."), "error: unexpected ValueError: one (run again with --debug for details)."),
]


@pytest.mark.parametrize(("error", "said"), UNFORESEEN, ids=[type(e).__name__ + s[7:20] for e, s in UNFORESEEN])
def test_what_nobody_foresaw_is_one_sentence(wavllm, monkeypatch, error, said):
    from wavllm_cli.scoring import command

    def broken(*_):
        raise error

    monkeypatch.setattr(command, "score", broken)
    code, _, err = wavllm("score", "x.jsonl")
    assert code == 1
    assert err.startswith(said) and err.count("\n") == 1


def test_a_deleted_working_directory_is_named(wavllm, tmp_path, monkeypatch):
    from wavllm_cli.errors import explained

    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    said = explained(FileNotFoundError(errno.ENOENT, "No such file or directory"))
    assert said == "The working directory does not exist any more: change into another folder."


def test_ctrl_c_where_python_drops_exceptions_arrives_all_the_same(wavllm, monkeypatch):
    from wavllm_cli.scoring import command

    class Dropping:
        def __del__(self):
            raise KeyboardInterrupt

    def score(*_):
        Dropping()
        time.sleep(5)

    before = sys.unraisablehook
    monkeypatch.setattr(command, "score", score)
    assert wavllm("score", "x.jsonl")[::2] == (130, "error: interrupted; the same command continues.\n")
    assert sys.unraisablehook is before


def test_sigterm_is_what_ctrl_c_is(wavllm, monkeypatch):
    from wavllm_cli.scoring import command

    before = signal.getsignal(signal.SIGTERM)
    monkeypatch.setattr(command, "score", lambda *_: os.kill(os.getpid(), signal.SIGTERM) or time.sleep(5))
    assert wavllm("score", "x.jsonl")[::2] == (130, "error: interrupted; the same command continues.\n")
    assert signal.getsignal(signal.SIGTERM) is before


def test_an_instruction_that_is_not_utf8_is_refused(wavllm):
    code, _, err = wavllm("infer", "gone.wav", "say \udcff")
    assert (code, err) == (2, "error: The instruction is not UTF-8 from its character 5 on: say \\xff\n")


@pytest.mark.parametrize("width", [20, 40, 44])
def test_help_on_a_narrow_terminal_has_all_explanations(wavllm, monkeypatch, width):
    monkeypatch.setenv("COLUMNS", str(width))
    code, out, _ = wavllm("train", "--help")
    words = " ".join(out.replace("│", " ").split())
    assert code == 0
    assert "Checkpoint to start from instead of the previous stage." in words
    assert "--restart / --no-restart Forget what an earlier run left." in words
    assert max(map(len, out.split("Example:")[0].splitlines())) <= width


def test_no_columns_at_all_are_taken_for_unknown(wavllm, monkeypatch):
    monkeypatch.setenv("COLUMNS", "0")
    assert "Print machine-readable JSON to stdout." in wavllm("train", "--help")[1]


STREAMS = [
    (">/dev/full", 1, "error: Standard output cannot be written: No space left on device."),
    (">/dev/full --json", 1, "error: Standard output cannot be written: No space left on device."),
    (">&-", 0, ""),
    ("2>&-", 0, ""),
    ("2>/dev/full", 0, ""),
]


@pytest.mark.slow
@pytest.mark.parametrize(("streams", "code", "said"), STREAMS)
def test_streams_that_take_nothing(tmp_path, streams, code, said):
    (tmp_path / "a.txt").write_text("one two\n")
    redirected, _, options = streams.partition(" ")
    line = f"{sys.executable} -m wavllm_cli -q score a.txt -r a.txt {options} {redirected}"
    shown = subprocess.run(line, shell=True, capture_output=True, text=True, cwd=tmp_path)
    assert (shown.returncode, shown.stderr.strip()) == (code, said)
    assert (tmp_path / "scores.html").is_file()


@pytest.mark.slow
def test_an_ascii_stream_gets_all_there_is_to_say(tmp_path):
    (tmp_path / "ä.txt").write_text("eins zwei\n")
    line = [sys.executable, "-m", "wavllm_cli", "score", "ä.txt", "-r", "ä.txt"]
    options = {"capture_output": True, "cwd": tmp_path, "env": {**os.environ, "PYTHONIOENCODING": "ascii"}}
    shown = subprocess.run(line, **options)
    assert shown.returncode == 0 and rb"Scores: \xe4" in shown.stdout and rb"wer \u2193" in shown.stdout
    assert json.loads(subprocess.run([*line, "--json"], **options).stdout)["system"] == "ä"


@pytest.mark.parametrize(
    "words",
    [
        ["train", "--stage", "1", "--recipe", "tiny", "--output", ""],
        ["check", "tiny", "--output="],
        ["infer", "", "hi"],
        ["infer", "good.wav", "hi", "-o", ""],
        ["infer", "good.wav", "hi", "--model", ""],
        ["score", "good.jsonl", "--output", ""],
        ["prep", "fsdd", "gone.zip", "--out", ""],
        ["gen-prompts", "attach", "good.jsonl", "--out", ""],
        ["gen-prompts", "multi", "good.jsonl", "", "--out", "o.jsonl"],
        ["convert", "text.pt", "--output", ""],
        ["export", "--model", "", "--to", "peft", "--output", "m"],
    ],
    ids=" ".join,
)
def test_an_empty_value_is_wrong_use_and_not_this_folder(wavllm, inputs, monkeypatch, words):
    monkeypatch.chdir(inputs)
    before = set(inputs.iterdir())
    code, out, err = wavllm(*words)
    assert code == 2 and not out and "is given an empty value" in err and err.count("\n") == 1, err
    assert set(inputs.iterdir()) == before
