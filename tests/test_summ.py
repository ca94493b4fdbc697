"""Summaries of recordings, from a row without an instruction to scores: all that the package does with a task."""

import json

import pytest

from wavllm_cli.data.manifest import read_manifest, write_manifest
from wavllm_cli.data.schema import Hypothesis, Part, Utterance
from wavllm_cli.prompts import command
from wavllm_cli.prompts.pools import load_pool
from wavllm_cli.scoring.following.verdicts import judge
from wavllm_cli.scoring.tasks import Options, measure
from wavllm_cli.tasks.registry import TASKS, spelled_out, task_called

HEARD = "the last bus left at ten and we had to walk all the way home in the rain because nobody had a car"
SUMMARY = "They missed the last bus and walked home."


def row(number, **fields):
    return Utterance(id=str(number), audio="a.wav", task="summ", prompt="", target=SUMMARY, **fields)


def answer(text, **fields):
    return Hypothesis(**row(1, **fields).model_dump(), text=text)


def test_it_is_known_by_its_names():
    assert task_called("summarization") == "summ"
    assert spelled_out("summ") == "speech summarisation (summ)"


def test_its_rows_get_an_instruction_when_that_is_asked_for(tmp_path):
    manifest, out = tmp_path / "m.jsonl", tmp_path / "out.jsonl"
    write_manifest(manifest, [row(i) for i in range(60)])
    command.attach(manifest, out, "seen", 0, (), ["summ"])
    prompts = {row.prompt for row in read_manifest(out)}
    assert len(prompts) > 10 and prompts <= set(load_pool("summ"))
    command.attach(manifest, out, "seen", 0, (), None)
    assert {row.prompt for row in read_manifest(out)} == {""}


def test_rouge_compares_summaries_with_every_right_one():
    rows = [answer(SUMMARY), answer("Nobody had a car.", references=["nobody had a car"])]
    (group,) = measure(rows, Options())
    assert (group.name, [m.metric for m in group.measures]) == ("summ", ["rouge1", "rouge2", "rougeL"])
    assert [m.rows.tolist() for m in group.measures] == [[1.0, 1.0]] * 3
    assert Options(bertscore="some/encoder").text_metrics(TASKS["summ"])[-1] == "bertscore"


@pytest.mark.parametrize(
    ("text", "followed"),
    [
        ("They walked home in the rain after the bus had left.", True),
        (HEARD, False),  # the transcript again
        ("Sie verpassten den letzten Bus und gingen zu Fuß nach Hause.", False),  # another language
        ("I am sorry, I cannot listen to audio.", False),
    ],
)
def test_among_other_instructions_it_asks_for_a_summary(text, followed):
    parts = [Part(task="asr", prompt="Transcribe it", target=HEARD), Part(task="summ", prompt="Sum it up")]
    fields = {"audio": "a.wav", "prompt": "", "transcript": HEARD, "language": "en", "parts": parts}
    verdicts = judge(Hypothesis(id="r", task="ii", text=f"1. {HEARD}.\n2. {text}", **fields))
    assert [verdict.followed for verdict in verdicts] == [True, followed]


def test_rows_are_answered_and_scored_by_the_commands(wavllm, answering, tmp_path):
    rows = [row(i).model_copy(update={"audio": str(answering / f"{i}.wav"), "prompt": "hello"}) for i in range(2)]
    write_manifest(tmp_path / "m.jsonl", rows)
    answers = tmp_path / "a.jsonl"
    options = ["--model", str(answering / "model"), "--max-new-tokens", "3", "--device", "cpu"]
    assert wavllm("infer", str(tmp_path / "m.jsonl"), *options, "--output", str(answers))[0] == 0
    code, out, _ = wavllm("score", str(answers), "--json")
    assert code == 0 and set(json.loads(out)["tasks"]) == {"summ"}
