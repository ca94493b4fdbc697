"""`wavllm gen-prompts` as a user meets it, with a chat model on loopback."""

import json
import os
import signal
import socket
import subprocess
import sys
from time import monotonic, sleep

import pytest
from chat_server import ChatServer, Refusal, Slow, Status, once_per_request
from test_paraphrases import good as write_wordings
from test_questions import clip, model
from test_summaries import good as summarise

from wavllm_cli.data.manifest import read_manifest, write_manifest

KEY = "sk-secret-1234567890"
CLIPS = 12


@pytest.fixture
def server():
    with ChatServer(model, key=KEY) as server:
        yield server


@pytest.fixture
def gen(wavllm, server, tmp_path, monkeypatch):
    """Function: the arguments after `gen-prompts` -> exit code, stdout, stderr; in a folder with clips.jsonl."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("OPENAI_BASE_URL", server.url)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    rows = [clip(i) for i in range(CLIPS)]
    write_manifest("clips.jsonl", [row.model_copy(update={"target": row.transcript}) for row in rows])
    return lambda line: wavllm("gen-prompts", *line.split())


def test_questions(gen, server, tmp_path):
    code, out, err = gen("questions clips.jsonl --per-clip 2 --free 1 --out sqa.jsonl")
    assert code == 0
    assert "answerability" in out
    assert f"{3 * CLIPS} rows → sqa.jsonl" in err
    assert len(read_manifest("sqa.jsonl")) == 3 * CLIPS
    first = (tmp_path / "sqa.jsonl").read_bytes()
    code, out, _ = gen("questions clips.jsonl --per-clip 2 --free 1 --out sqa.jsonl --json")
    assert json.loads(out)["network"]["sent"] == 0
    assert (tmp_path / "sqa.jsonl").read_bytes() == first
    assert len(server.requests) == 2 * CLIPS and not server.paid_twice()


def test_the_key_is_written_nowhere(gen, server, tmp_path):
    server.key = "another"  # the server echoes the one it refuses
    code, out, err = gen("questions clips.jsonl --out sqa.jsonl")
    assert (code, out) == (2, "")
    assert len(err.splitlines()) == 1 and "does not accept the key in OPENAI_API_KEY" in err
    assert KEY not in err
    server.key = KEY
    assert gen("questions clips.jsonl --out sqa.jsonl")[0] == 0
    assert not any(KEY.encode() in file.read_bytes() for file in tmp_path.rglob("*") if file.is_file())


def test_no_network_is_one_sentence_at_once(gen, monkeypatch):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        monkeypatch.setenv("OPENAI_BASE_URL", f"http://127.0.0.1:{taken.getsockname()[1]}/v1")
        start = monotonic()
        code, _, err = gen("questions clips.jsonl --out sqa.jsonl")
    assert code == 1
    assert len(err.splitlines()) == 1 and "cannot be reached" in err and "--base-url" in err
    assert monotonic() - start < 10


def test_a_dry_run_shows_a_request_and_costs_and_sends_and_writes_nothing(gen, server, tmp_path, monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY")
    before = set(tmp_path.iterdir())
    code, out, err = gen("questions clips.jsonl --out sqa.jsonl --dry-run")
    assert code == 0
    assert "walker0 took the bus" in out and "questions" in out and "answerability" in out and "$" in out
    assert "Nothing was asked" in err
    code, out, _ = gen("questions clips.jsonl --out sqa.jsonl --dry-run --batch --json")
    by_batch = json.loads(out)["stages"]["questions"]
    full = json.loads(gen("questions clips.jsonl --out sqa.jsonl --dry-run --json")[1])["stages"]["questions"]
    assert by_batch["usd"] == pytest.approx(full["usd"] / 2)
    assert full["requests"] == CLIPS
    assert server.requests == [] and set(tmp_path.iterdir()) == before


def test_what_is_set_aside_is_named_and_what_is_missing_is_asked_again(gen, server, tmp_path):
    def answer(body):
        text = body["messages"][1]["content"]
        return (
            Refusal("I will not.") if "walker3 " in text else Status(400, "no") if "walker5 " in text else model(body)
        )

    server.answer = answer
    code, out, err = gen("questions clips.jsonl --out sqa.jsonl")
    assert code == 1
    assert "refused: I will not." in out and "rejected by the server" in out and "the same command asks" in err
    aside = [json.loads(line) for line in (tmp_path / "sqa.jsonl.set-aside.jsonl").read_text().splitlines()]
    assert {(item["id"], item["unanswered"]) for item in aside} == {("clip03", False), ("clip05", True)}
    server.answer = model
    assert gen("questions clips.jsonl --out sqa.jsonl")[0] == 0
    assert {row.id.split("-")[0] for row in read_manifest("sqa.jsonl")} == {f"clip{i:02}" for i in range(12)} - {
        "clip03"
    }
    assert not server.paid_twice()


def test_the_budget_of_an_output_holds_over_all_runs(gen, server):
    price = (0.40, 1.60)  # of gpt-4.1-mini, the default

    def spent():
        return (server.tokens["prompt_tokens"] * price[0] + server.tokens["completion_tokens"] * price[1]) / 1e6

    code, out, _ = gen("questions clips.jsonl --out sqa.jsonl --max-usd 0.005 --concurrency 3")
    assert code == 1 and "--max-usd" in out
    assert 0 < spent() <= 0.005
    sent = len(server.requests)
    gen("questions clips.jsonl --out sqa.jsonl --max-usd 0.005 --concurrency 3")
    assert len(server.requests) == sent
    assert gen("questions clips.jsonl --out sqa.jsonl --max-usd 1")[0] == 0
    assert not server.paid_twice()


def test_a_batch_is_left_and_collected_by_the_same_command(gen, server, tmp_path):
    line = "questions clips.jsonl --out sqa.jsonl --batch --no-wait"
    outcomes = [gen(line) for _ in range(8)]
    assert [code for code, *_ in outcomes] == [0] * 8
    assert "The same command collects it." in outcomes[0][2]
    assert len(server.batches) == 2  # the questions, and their check
    by_batch = (tmp_path / "sqa.jsonl").read_bytes()
    assert not (tmp_path / "sqa.jsonl.batch.json").exists()
    gen("questions clips.jsonl --out single.jsonl --cache elsewhere")
    assert (tmp_path / "single.jsonl").read_bytes() == by_batch


@pytest.mark.parametrize(
    "after", [pytest.param(1, marks=pytest.mark.slow), pytest.param(7, marks=pytest.mark.slow), CLIPS + 4]
)
def test_killed_and_started_again(gen, server, tmp_path, after):
    gen("questions clips.jsonl --out undisturbed.jsonl --cache other")
    server.requests.clear()
    server.answered.clear()
    server.answer = lambda body: Slow(0.02, model(body))
    line = [sys.executable, "-m", "wavllm_cli", "gen-prompts", "questions", "clips.jsonl", "--out", "sqa.jsonl"]
    line += ["--concurrency", "2"]
    with subprocess.Popen(line, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL) as process:
        while len(server.requests) < after:
            sleep(0.001)
        os.kill(process.pid, signal.SIGKILL)
    assert not (tmp_path / "sqa.jsonl").exists()
    assert gen("questions clips.jsonl --out sqa.jsonl")[0] == 0
    assert (tmp_path / "sqa.jsonl").read_bytes() == (tmp_path / "undisturbed.jsonl").read_bytes()
    assert len(server.paid_twice()) <= 2  # those whose answers were on their way


def test_wordings_of_a_model_are_attached(gen, server, tmp_path):
    server.answer = once_per_request(Status(500), write_wordings)
    code, out, _ = gen("paraphrase --task asr --n 30 --out pool.jsonl")
    assert code == 0 and "task check" in out
    assert gen("attach clips.jsonl --pool pool.jsonl --out attached.jsonl")[0] == 0
    pool = [json.loads(line) for line in (tmp_path / "pool.jsonl").read_text().splitlines()]
    assert len(pool) == 30
    assert {row.prompt for row in read_manifest("attached.jsonl")} <= {wording["text"] for wording in pool[:24]}


def test_chains_with_summaries_of_a_model(gen, server):
    server.answer = summarise
    code, _, _ = gen("multi clips.jsonl --kind cot --n 8 --model m --words 9 --target-language de --out cot.jsonl")
    assert code == 0
    rows = read_manifest("cot.jsonl")
    assert len(rows) == len(server.requests) == 8
    for row in rows:
        tasks = [part.task for part in row.parts]
        assert tasks in (["asr", "sft"], ["asr", "sft", "st"])
        assert "9 words" in row.parts[1].prompt and len(row.parts[1].target.split()) <= 9


def test_when_no_answer_can_be_used_the_account_says_why(gen, server, tmp_path):
    server.answer = lambda body: Refusal("No.")
    code, out, err = gen("multi clips.jsonl --kind cot --n 8 --model m --out cot.jsonl")
    assert code == 1
    assert "refused: No." in out and "error: There is nothing to write to cot.jsonl." in err
    assert not (tmp_path / "cot.jsonl").exists()


# --- outputs ---


@pytest.mark.parametrize(
    "line",
    [
        "attach clips.jsonl --out clips.jsonl",
        "attach clips.jsonl --out ./here/../clips.jsonl",
        "attach clips.jsonl --out linked.jsonl",
        "attach clips.jsonl --pool pool.jsonl --out pool.jsonl",
        "multi clips.jsonl --out clips.jsonl",
        "multi clips.jsonl --kind cot --model m --out clips.jsonl",
        "questions clips.jsonl --out clips.jsonl",
    ],
)
def test_an_output_that_is_an_input_is_refused_before_the_work(gen, server, tmp_path, line):
    (tmp_path / "here").mkdir()
    (tmp_path / "linked.jsonl").symlink_to("clips.jsonl")
    (tmp_path / "pool.jsonl").write_text('{"task": "asr", "text": "Write it down."}\n')
    before = (tmp_path / "clips.jsonl").read_bytes()
    code, _, err = gen(line)
    assert code == 2 and "is an input: writing the output there would destroy it." in err
    assert (tmp_path / "clips.jsonl").read_bytes() == before and not server.requests


@pytest.mark.parametrize("out", ["o.txt", "clips.jsonl/o.jsonl", "folder.jsonl"])
@pytest.mark.parametrize("line", ["attach clips.jsonl", "multi clips.jsonl", "questions clips.jsonl"])
def test_a_wrong_output_is_found_before_the_work(gen, server, tmp_path, line, out):
    (tmp_path / "folder.jsonl").mkdir()
    assert gen(f"{line} --out {out}")[0] == 2
    assert not server.requests


def test_an_older_output_is_not_taken_for_the_result_of_a_run_that_made_nothing(gen, server, tmp_path):
    (tmp_path / "cot.jsonl").write_text("older\n")
    server.answer = lambda body: Refusal("No.")
    code, _, err = gen("multi clips.jsonl --kind cot --n 8 --model m --out cot.jsonl")
    assert code == 1
    assert "error: There is nothing to write to cot.jsonl: the file of that name is of an earlier run." in err
    assert (tmp_path / "cot.jsonl").read_text() == "older\n"


def test_columns_of_ones_own_are_carried(gen, tmp_path):
    rows = [{**json.loads(clip(i).json_line()), "target": "a b c", "snr": i} for i in range(3)]
    rows += [{**row, "id": row["id"] + "-st", "task": "er", "target": "sad", "my_note": "kept"} for row in rows]
    (tmp_path / "own.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    for line, expected in [
        ("attach own.jsonl --out o.jsonl", [{"snr": i} for i in range(3)]),
        ("questions own.jsonl --out q.jsonl", [{"snr": i} for i in range(3)]),
        ("multi o.jsonl --kind cot --n 3 --out m.parquet", [{"snr": i, "my_note": "kept"} for i in range(3)]),
    ]:
        code, _, err = gen(line)
        assert code == 0 and "warning" not in err
        found = [row.extra for row in read_manifest(line.split()[-1])]
        assert all(columns in found for columns in expected)


@pytest.mark.parametrize(
    "line", ["attach clips.jsonl", "questions clips.jsonl", "multi clips.jsonl --n 2 --kind cot -m m"]
)
def test_of_two_processes_on_one_output_one_is_told_who_holds_it(gen, server, tmp_path, line):
    code = "import sys; from pathlib import Path; from wavllm_cli.data.files import owned\n"
    code += "with owned(Path('o.jsonl')): print(flush=True); sys.stdin.read()"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        holder.stdout.readline()
        returned, _, err = gen(f"{line} --out o.jsonl")
        holder.stdin.close()
    assert returned == 1 and f"o.jsonl is being written by process {holder.pid}" in err
    assert not server.requests and not (tmp_path / "o.jsonl").exists()


# --- secrets ---


def test_a_password_in_the_servers_address_is_shown_nowhere(gen, server):
    address = server.url.replace("//", "//user:hunter2@")
    shown = gen(f"questions clips.jsonl --out sqa.jsonl --dry-run --base-url {address}")
    assert "hunter2" not in "".join(map(str, shown)) and server.url in shown[1]
    wrong = gen("questions clips.jsonl --out sqa.jsonl --base-url https://user:hunter2@host:99999/v1")
    assert wrong[0] == 2 and "hunter2" not in wrong[2] and "https://host:99999/v1' is no address" in wrong[2]


def test_amounts_that_are_no_numbers_are_refused(gen):
    assert "--max-usd inf is no amount" in gen("questions clips.jsonl --out sqa.jsonl --max-usd inf")[2]
