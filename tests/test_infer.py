"""`wavllm infer` as a user meets it: outputs found wrong before the work, the model chosen, two processes at once."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
import soundfile

from wavllm_cli.data.audio import write_wav
from wavllm_cli.data.audio_paths import resolve_audio
from wavllm_cli.data.files import owned
from wavllm_cli.data.manifest import read_manifest, write_manifest
from wavllm_cli.data.schema import Hypothesis, Utterance
from wavllm_cli.errors import UsageError
from wavllm_cli.inference.command import require_hypotheses

QUICK = ("--max-new-tokens", "2")


@pytest.fixture
def infer(wavllm, answering, tmp_path, monkeypatch):
    """Function: `wavllm infer` with the checkpoint, in an empty folder."""
    monkeypatch.chdir(tmp_path)
    return lambda *args: wavllm("infer", *QUICK, "--model", answering / "model", *args)


@pytest.fixture
def unloaded(monkeypatch):
    """Loading a model is a mistake here: what is wrong shows before."""
    from wavllm_cli.systems import wavllm

    def load(*_):
        raise AssertionError("the model was loaded")

    monkeypatch.setattr(wavllm, "load_model", load)


def test_a_manifest_becomes_hypotheses(infer, answering):
    code, out, _ = infer(answering / "manifest.jsonl", "--output", "h.jsonl", "--json")
    assert code == 0
    assert (json.loads(out)["answered"], len(read_manifest("h.jsonl", Hypothesis))) == (8, 8)
    assert os.listdir() == ["h.jsonl"]


def test_the_answer_about_a_clip_is_kept_where_the_user_says(infer, answering, tmp_path):
    code, out, _ = infer(answering / "3.wav", "hello", "--output", "new/h.jsonl", "--json", "--logprobs")
    (row,) = read_manifest("new/h.jsonl", Hypothesis)
    shown = json.loads(out)
    assert (code, shown["text"], shown["output"]) == (0, row.text, "new/h.jsonl")
    assert (row.id, row.task, row.prompt, row.system) == ("3", "sqa", "hello", str(answering / "model"))
    assert resolve_audio(row, tmp_path / "new" / "h.jsonl").samefile(answering / "3.wav")
    assert len(row.logprobs) == 2


def test_several_recordings_and_instructions(infer, answering):
    """One answer each, with headings; the same in a file, with ids that no two share."""
    asked = ("-i", "hello", "-i", "say something", answering / "3.wav", answering / "4.wav")
    code, out, _ = infer(*asked)
    headings = [f"# {answering}/{n}.wav – {text}" for n in (3, 4) for text in ("hello", "say something")]
    assert code == 0 and [line for line in out.splitlines() if line.startswith("# ")] == headings
    code, out, _ = infer(*asked, "--output", "h.jsonl", "--json", "--temperature", "0")
    rows = read_manifest("h.jsonl", Hypothesis)
    assert (code, json.loads(out)["answered"], [row.id for row in rows]) == (0, 4, ["3#1", "3#2", "4#1", "4#2"])
    assert [row.prompt for row in rows] == ["hello", "say something"] * 2
    code, out, _ = infer(*asked, "--json", "--temperature", "0")
    assert [reply["text"] for reply in json.loads(out)] == [row.text for row in rows]


def test_answers_go_into_a_file_that_people_read(infer, answering):
    asked = ("-i", "hello", "-i", "say something", answering / "3.wav", "--temperature", "0")
    code, out, err = infer(*asked, "-o", "h.txt")
    assert code == 0 and err.endswith("→ h.txt\n") and f"{Path('h.txt').read_text()}\n" == out
    code, out, _ = infer(*asked, "-o", "h.json", "--json")
    told = [{key: value for key, value in reply.items() if key != "output"} for reply in json.loads(out)]
    assert code == 0 and told == json.loads(Path("h.json").read_text())
    code, out, err = infer(answering / "3.wav", "hello", "-o", "h.srt")
    assert code == 1 and out and "h.srt is not written: nothing says when the words" in err
    assert not Path("h.srt").exists()


def test_what_is_no_file_is_in_no_hypotheses(infer, unloaded):
    code, _, err = infer("https://me:pw@x/talk.wav", "hello", "-o", "h.jsonl")
    assert code == 2 and "https://x/talk.wav is none: save it to a file first" in err and "pw" not in err


def test_an_answer_on_a_terminal_comes_in_pieces(infer, answering, monkeypatch):
    from wavllm_cli import console

    pieces = []
    monkeypatch.setattr(console, "say_piece", pieces.append)
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    asked = (answering / "3.wav", "hello", "--temperature", "0")
    assert infer(*asked)[0] == 0
    assert infer(*asked, "--json")[0] == 0 and pieces


@pytest.fixture
def taken(tmp_path, answering):
    """Files that are there already."""
    (tmp_path / "folder.jsonl").mkdir()
    (tmp_path / "file").write_text("mine")
    (tmp_path / "notes.jsonl").write_text("mine\n")
    (tmp_path / "manifest.jsonl").write_text((answering / "manifest.jsonl").read_text())
    write_manifest(tmp_path / "manifest.parquet", [Utterance(id="a", audio=None, task="sft", prompt="x")])
    os.link(tmp_path / "manifest.jsonl", tmp_path / "again.jsonl")
    return tmp_path


OUTPUTS = [
    ("h.md", "its name must end in .jsonl, .jsonl.gz, .parquet"),
    ("h.tsv", "its name must end in"),
    ("folder.jsonl", "is a folder"),
    (".", "is a folder"),
    ("file/h.jsonl", "file is a file, not a folder"),
    ("manifest.jsonl", "is an input"),
    ("again.jsonl", "is an input"),
    ("notes.jsonl", "exists and holds no hypotheses"),
    ("manifest.parquet", "exists and holds no hypotheses"),
    ("x" * 300 + ".jsonl", "File name too long"),
    ("x" * 245 + ".jsonl", "File name too long"),  # that of the unfinished answers
]


@pytest.mark.parametrize(("output", "sentence"), OUTPUTS, ids=[output[:20] for output, _ in OUTPUTS])
def test_outputs_are_found_wrong_before_the_model_is_loaded(infer, unloaded, taken, output, sentence):
    def content():
        return {path: path.read_bytes() for path in taken.rglob("*") if path.is_file()}

    before = content()
    code, out, err = infer("manifest.jsonl", "--output", output)
    assert (code, out) == (2, "")
    assert sentence in err
    assert len(err.splitlines()) == 1
    assert content() == before


def test_a_name_that_no_hypotheses_file_can_hold(infer, unloaded, answering, tmp_path):
    name = os.fsdecode(b"caf\xe9.wav")
    (tmp_path / name).write_bytes((answering / "3.wav").read_bytes())
    code, _, err = infer(name, "hello", "--output", "h.jsonl")
    assert (code, err) == (
        2,
        "error: The name of caf\\xe9.wav is not UTF-8, no hypotheses file can hold it: rename it.\n",
    )


def test_only_hypotheses_may_be_replaced(tmp_path):
    for name in ("h.jsonl", "h.jsonl.gz", "h.parquet"):
        require_hypotheses(tmp_path / name)
        write_manifest(tmp_path / name, [Hypothesis(id="a", audio=None, task="sft", prompt="x", text="y")])
        require_hypotheses(tmp_path / name)
        write_manifest(tmp_path / name, [Utterance(id="a", audio=None, task="sft", prompt="x")])
        with pytest.raises(UsageError, match=f"{name} exists and holds no hypotheses: it would be lost"):
            require_hypotheses(tmp_path / name)
    (tmp_path / "empty.jsonl").touch()
    require_hypotheses(tmp_path / "empty.jsonl")


def test_one_process_writes_an_output(infer, unloaded, answering, tmp_path):
    """The lock is another process's: one's own would be given again."""
    process = os.fork()
    if not process:
        with owned(tmp_path / "h.jsonl"):
            (tmp_path / "held").write_text("")
            while not (tmp_path / "stop").exists():
                pass
        os._exit(0)
    while not (tmp_path / "held").exists():
        pass
    code, _, err = infer(answering / "manifest.jsonl", "--output", "h.jsonl")
    (tmp_path / "stop").write_text("")
    os.waitpid(process, 0)
    assert code == 1
    assert f"h.jsonl is being written by process {process} on " in err


def test_one_side_of_a_call_is_heard(infer, tmp_path):
    call = np.random.default_rng(0).normal(0, 0.1, (16_000, 2)) * [1, 0]
    soundfile.write(tmp_path / "call.wav", call, 16_000)
    code, out, err = infer("call.wav", "hello", "--channel", "1", "--output", "h.jsonl", "--json")
    assert code == 0 and "call.wav is silent" in err and json.loads(out)["channel"] == 1
    (row,) = read_manifest("h.jsonl", Hypothesis)
    assert row.channel == 1
    code, _, err = infer("call.wav", "hello", "--channel", "2")
    assert code == 1 and "call.wav has 2 channels: there is no channel 2" in err
    code, _, err = infer("h.jsonl", "--channel", "1", "--output", "g.jsonl")
    assert code == 2 and 'rows name their "channel" themselves' in err


def test_audio_that_is_not_there_is_one_warning(infer, answering, tmp_path):
    rows = list(read_manifest(answering / "manifest.jsonl"))[3:4]
    rows += [Utterance(id=f"gone{i}", audio=f"{i}.wav", task="asr", prompt="x") for i in range(20)]
    rows.append(Utterance(id="waiting", audio=None, speech_text="say it", task="asr", prompt="x"))
    rows.append(Utterance(id="long", audio="x" * 5000 + ".wav", task="asr", prompt="x"))
    write_manifest(tmp_path / "m.jsonl", rows)
    code, out, err = infer("m.jsonl", "--output", "h.jsonl", "--json")
    assert code == 1
    warnings = [line for line in err.splitlines() if line.startswith("warning")]
    assert warnings == [
        "warning: 22 of 23 utterances are without their audio (gone0, gone1, gone2, …); the first: audio file 0.wav "
        "does not exist."
    ]
    data = json.loads(out)
    assert data["answered"] == 1
    assert [sentence.split(":")[0] for sentence in data["skipped"]] == [
        *(f"gone{i}" for i in range(20)),
        "waiting",
        "long",
    ]
    assert '"speech_text" is not spoken yet' in data["skipped"][-2]
    assert data["skipped"][-1].endswith("cannot be found: File name too long.")


def test_without_any_audio_no_model_is_loaded(infer, unloaded, tmp_path):
    write_manifest(tmp_path / "m.jsonl", [Utterance(id="a", audio="gone.wav", task="asr", prompt="x")])
    code, _, err = infer("m.jsonl", "--output", "h.jsonl")
    assert (code, err) == (
        1,
        "error: No utterance of 1 could be answered; the first: a: audio file gone.wav does not exist.\n",
    )


@pytest.mark.parametrize(
    ("option", "value", "sentence"),
    [
        ("--temperature", "1e-300", "The temperature cannot be 1e-300"),
        ("--max-new-tokens", "1" + "0" * 20, "new tokens are too many"),
        ("--device", "meta", "holds no numbers"),
        ("--device", "gpu", "cannot be used"),
        ("--num-beams", "1000000", "beams are too many"),
        ("--system", "wavlm", "There is no system 'wavlm' (did you mean wavllm?); there are wavllm"),
    ],
)
def test_options_out_of_range_are_sentences(infer, unloaded, answering, option, value, sentence):
    code, out, err = infer(answering / "3.wav", "hello", option, value)
    assert (code, out) == (2, "")
    assert sentence in err
    assert len(err.splitlines()) == 1


def test_a_clip_too_long_for_the_model_is_refused_before_its_weights_are_loaded(infer, unloaded, tmp_path):
    write_wav(tmp_path / "five-minutes.wav", np.full(16_000 * 300, 0.1, np.float32))
    code, out, err = infer("five-minutes.wav")  # the question is in it: it cannot be cut
    assert (code, out) == (1, "")
    assert err.startswith("error: five-minutes.wav: 300 s of audio (3,750 tokens), 224 tokens of ")
    assert len(err.splitlines()) == 1


def test_a_clip_longer_than_the_model_hears_is_asked_about_window_by_window(infer, tmp_path):
    write_wav(tmp_path / "talk.wav", np.random.default_rng(0).normal(0, 0.1, 16_000 * 65))
    code, out, _ = infer("talk.wav", "Transcribe the audio.", "--temperature", "0", "--json")
    reply = json.loads(out)
    assert code == 0 and [step["name"] for step in reply["steps"]] == ["window"] * 3
    assert reply["steps"][-1]["end"] == 65 and "cut at 2 tokens in 0:00-0:" in reply["warnings"][0]
