"""The README's commands: all are parsed by the real app, and those that need no model, network or corpus are run."""

import io
import json
import re
import shlex
import sys
from glob import glob
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import pytest
import soundfile
import typer

from wavllm_cli import Hypothesis, Utterance, cli, write_manifest
from wavllm_cli.data.manifest import read_manifest
from wavllm_cli.recipe import load

ROOT = Path(__file__).parent.parent
README, MAKEFILE = ((ROOT / name).read_text() for name in ("README.md", "Makefile"))
RUN = ("score", "gen-prompts attach", "gen-prompts multi")  # without a model


def console_lines():
    """What stands behind a prompt, without its comment."""
    for block in re.findall(r"^```console\n(.*?)^```", README, re.MULTILINE | re.DOTALL):
        for line in block.splitlines():
            if line.startswith("$ "):
                yield shlex.join(shlex.split(line[2:], comments=True))


LINES = list(dict.fromkeys(console_lines()))
COMMANDS = [line for line in LINES if "wavllm" in line.split()]


def words_of(line):
    """The words of `wavllm …`, and of what is piped into it."""
    before, _, after = line.rpartition("wavllm ")
    return shlex.split(after), shlex.split(before.replace("'|'", ""))


def test_the_readme_has_the_commands_of_every_stage():
    used = {words_of(line)[0][0] for line in COMMANDS}
    assert used >= {"prep", "gen-prompts", "check", "train", "infer", "score", "convert", "export"}
    targets = [line.split()[1] for line in LINES if line.startswith("make ")]
    assert targets and all(f"\n{target}:" in MAKEFILE for target in targets)


@pytest.mark.parametrize("line", COMMANDS)
def test_every_command_and_option_exists(line):
    words, _ = words_of(line)
    command = typer.main.get_command(cli.app.app)
    while hasattr(command, "get_command"):
        name = words.pop(0)
        inner = command.get_command(None, name)
        assert inner, f"there is no command {name}"
        command = inner
    context = command.make_context("wavllm", words)
    if recipe := context.params.get("recipe"):
        load(recipe)


@pytest.fixture
def stages(tmp_path, monkeypatch):
    """A folder with the files that the README's commands read, a few rows each."""
    monkeypatch.chdir(tmp_path)
    texts = ["one two three four", "nice to see you all", "the train leaves at nine"]
    about = [
        {"audio": f"{i}.wav", "duration": 9.0, "transcript": text, "language": "en"} for i, text in enumerate(texts)
    ]
    asr = rows(about, "asr", texts, "Transcribe.")
    st = rows(about, "st", ["eins zwei drei vier", "schön euch zu sehen", "der Zug fährt um neun"], "Translate.")
    st = [row.model_copy(update={"target_language": "de"}) for row in st]
    asked = "What is said? A. numbers; B. a greeting; C. a time"
    sqa = rows(about, "sqa", ["A", "B", "C"], asked)
    for name in ("asr", "test", "train", "data/digits/train", "data/librispeech/train-clean-100"):
        write_manifest(f"{name}.jsonl", asr)
    for name, some in (("st", st), ("sqa", sqa), ("data/digits/train-sqa", sqa)):
        write_manifest(f"{name}.jsonl", some)
    answers = [Hypothesis(**row.model_dump(), text=row.target, system="ours") for row in asr]
    for name in ("test", "a", "b", "ours", "runs/tiny/test", "runs/own/test"):
        write_manifest(f"{name}.hyp.jsonl", answers)
    write_text("answers.jsonl", "".join(f'{{"id": "{row.id}", "text": "{row.target}"}}\n' for row in asr))
    theirs = [{"id": row.id, "reference": row.target, "prediction": row.target} for row in asr]
    write_text("theirs.json", json.dumps(theirs))
    loud = {"instruction": "In capitals.", "instruction_id_list": ["change_case:english_capital"], "kwargs": [{}]}
    spoken = {"audio_filepath": "0.wav", "dataset": "x", "metric": "wer", "label": "yes", "response": "YES"}
    write_text("sifeval.jsonl", json.dumps(loud | spoken) + "\n")
    write_text("asr-pool.jsonl", "".join(f'{{"task": "asr", "text": "Write down take {i}."}}\n' for i in range(9)))
    for name in ("hyp", "ref"):
        write_text(f"{name}.txt", "".join(f"{text}\n" for text in texts))
    return tmp_path


def rows(about, task, targets, prompt):
    return [
        Utterance(id=f"{task}-{i}", task=task, prompt=prompt, target=target, **fields)
        for i, (fields, target) in enumerate(zip(about, targets, strict=True))
    ]


def write_text(name, text):
    Path(name).write_text(text)


def is_run(line):
    words, _ = words_of(line)
    return "--dry-run" in words or (" ".join(words).startswith(RUN) and "--model" not in words)


def test_fifty_clips_and_a_table_go_the_whole_way(tmp_path, monkeypatch, wavllm, noise):
    """The section "Your own data", with as few steps and tokens as show that the stages fit."""
    monkeypatch.chdir(tmp_path)
    Path("clips").mkdir()
    lines = ["file,sentence,speaker"]
    for i in range(50):
        soundfile.write(f"clips/{i:02d}.wav", noise(0.4, seed=i), 16_000)
        lines.append(f"clips/{i:02d}.wav,this is number {i} of fifty,speaker {i % 10}")
    write_text("clips.csv", "\n".join(lines))
    section = README.split("### Your own data")[1].split("\n## ")[0]
    few = [
        f"--set={key}" for key in ("stages.0.steps=1", "stages.0.batch.max_utterances=2", "generation.max_new_tokens=2")
    ]
    for line in re.findall(r"^\$ wavllm (.*)", section, re.MULTILINE):
        code, _, err = wavllm(*shlex.split(line), *(few if line.startswith("train") else []))
        assert code == 0, err
    rows = {split: read_manifest(f"data/own/{split}.jsonl") for split in ("train", "dev", "test")}
    assert sum(map(len, rows.values())) == 50
    speakers = [{row.speaker for row in some} for some in rows.values()]
    assert sum(map(len, speakers)) == len(set.union(*speakers)) == 10
    (scores,) = Path("runs/own").glob("*scores.json")
    assert "wer" in scores.read_text()


@pytest.mark.parametrize("line", [*filter(is_run, COMMANDS)])
def test_commands_that_need_nothing_are_run(line, stages, wavllm, monkeypatch):
    words, before = words_of(line)
    if before:
        monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(Path(before[-1]).read_bytes())))
    words = [name for word in words for name in (sorted(glob(word)) if "*" in word else [word])]
    code, out, err = wavllm(*words)
    assert code == 0 and (out or err)
    for option, value in pairwise(words):
        if option in ("--out", "--output", "--latex") and "--dry-run" not in words:
            assert Path(value).stat().st_size > 0


def test_the_python_of_the_readme_imports_what_there_is():
    code = "\n".join(re.findall(r"^```python\n(.*?)^```", README, re.MULTILINE | re.DOTALL))
    imports = [line for line in code.splitlines() if re.match(r"(from|import) wavllm", line)]
    assert imports
    exec("\n".join(imports), {})
