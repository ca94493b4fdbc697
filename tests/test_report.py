import json
import subprocess
import sys

import pytest

from wavllm_cli.data.manifest import Hypothesis, Part
from wavllm_cli.errors import UsageError
from wavllm_cli.scoring.report import parts_in_order, score


def row(i, task, target, text, prompt="", **more):
    return Hypothesis(id=str(i), audio="a.wav", task=task, prompt=prompt, target=target, text=text, **more)


def figures(scores, task):
    return {s.metric: s for s in scores.tasks[task].metrics}


SQA = "Where? A. here; B. there."


def test_word_error_rate_empty_answers_and_missing_references():
    scores = score([row(1, "asr", "a b", "a b"), row(2, "asr", "c d", " "), row(3, "asr", None, "e")])
    wer = figures(scores, "asr")["wer"]
    assert (wer.value, wer.n, wer.counts["deletions"]) == (0.5, 2, 2)
    assert scores.tasks["asr"].failures == {"empty": 1, "missing_reference": 1}
    assert scores.tasks["asr"].not_scored == 1


def test_the_normaliser_that_was_asked_for_is_used_and_signed():
    rows = [row(1, "asr", "a b", "A, B")]
    assert figures(score(rows), "asr")["wer"].value == 0
    strict = figures(score(rows, normalizer="none"), "asr")["wer"]
    assert strict.value == 1
    assert "|norm:none|" in strict.signature


def test_accuracy_of_each_kind_of_choice():
    rows = [
        row(1, "sqa", "A", "The answer is A.", SQA),
        row(2, "sqa", "B", "here or there", SQA),
        row(3, "sqa", "there", "B", "Where?", choices=["here", "there"]),
        row(4, "sqa", "a free answer", "whatever", "Why?"),
        row(5, "sv", "Yes", "Yes, there is only one speaker", "Is there only one speaker?"),
        row(6, "sv", "no", "it may be", "Is there only one speaker?"),
        row(7, "er", "sad", "The speaker is unhappy"),
        row(8, "er", "bored", "bored"),
    ]
    scores = score(rows)
    assert figures(scores, "sqa")["accuracy"].value == 2 / 3
    assert scores.tasks["sqa"].failures["ambiguous"] == 1
    assert scores.tasks["sqa"].not_scored == 1
    assert figures(scores, "sv")["accuracy"].value == 0.5
    assert scores.tasks["sv"].failures["unanswered"] == 1
    assert figures(scores, "er")["accuracy"].value == 1


def test_an_empty_answer_is_wrong_and_counted_as_empty_not_as_unanswered():
    scores = score([row(1, "sqa", "A", "", SQA), row(2, "sqa", "A", "who knows", SQA)])
    assert figures(scores, "sqa")["accuracy"].value == 0
    assert scores.tasks["sqa"].failures == {"empty": 1, "missing_reference": 0, "unanswered": 1, "ambiguous": 0}


def test_sft_is_compared_as_a_whole():
    pairs = [("Wellington.", "wellington"), ("Wellington", "It is Wellington"), ("x", ""), ("!!!", "")]
    rows = [row(i, "sft", target, text) for i, (target, text) in enumerate(pairs)]
    assert figures(score(rows), "sft")["exact"].value == 1 / 4


PARTS = [
    Part(task="asr", prompt="Transcribe.", target="well well then"),
    Part(task="sqa", prompt=SQA, target="B"),
    Part(task="sft", prompt="Capital of New Zealand?", target="Wellington."),
]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("The transcription is: Well, well then!\nThe answer is: B\nIt is Wellington", 3),
        ("The answer is: B. The transcription is: well well then. Wellington", 2),
        ("well well then Wellington", 2),
        ("wellington b", 1),  # B comes after, and then nothing is left for the last part
        ("swell well then b wellingtons", 1),
        ("", 0),
    ],
)
def test_parts_in_order(text, found):
    assert parts_in_order(row(1, "ii", "…", text, parts=PARTS)) == found


def test_adjoining_and_repeated_targets_are_found_once_each():
    twice = [Part(task="asr", prompt="", target="a b"), Part(task="asr", prompt="", target="a b")]
    assert parts_in_order(row(1, "ii", "", "a b a b", parts=twice)) == 2
    assert parts_in_order(row(1, "ii", "", "a b", parts=twice)) == 1


def test_multi_task_rows_are_scored_whole_and_by_part():
    rows = [
        row(1, "ii", "…", "well well then; B; Wellington", parts=PARTS),
        row(2, "ii", "…", "well well then", parts=PARTS),
    ]
    found = figures(score(rows), "ii")
    assert (found["exact"].value, found["exact"].n) == (0.5, 2)
    assert (found["parts_in_order"].value, found["parts_in_order"].n) == (4 / 6, 6)


def test_tasks_without_a_metric_are_listed():
    scores = score([row(1, "st", "Guten Tag", "Guten Tag"), row(2, "asr", "a", "a")])
    assert scores.tasks["st"].not_scored == 1
    assert scores.tasks["st"].metrics == []
    _, lines = scores.table()
    assert [lines[1][i] for i in (0, 1, 4)] == ["st", "not scored", "1"]


def test_the_table_prints_per_cent_with_two_decimals():
    columns, lines = score([row(i, "asr", "a b c", "a b" if i else "a b c") for i in range(3)]).table()
    assert lines[0][:3] == ["asr", "wer", "22.22"]
    assert all(len(line) == len(columns) for line in lines)


def test_every_signature_is_named_once():
    both = [
        Hypothesis(
            id="1",
            audio="a.wav",
            task=t,
            prompt="",
            target="a",
            text="a",
            parts=[Part(task="asr", prompt="", target="a")],
        )
        for t in ("asr", "ii", "cot")
    ]
    named = score(both).signatures()
    assert [s.split("|")[0] for s in named] == ["wer", "exact", "parts_in_order"]


def test_scores_json_holds_the_figures_and_is_repeatable(tmp_path):
    rows = [row(i, "asr", "a b", "a x" if i % 3 else "a b", system="tiny") for i in range(30)]
    for name in ("one.json", "two.json"):
        score(rows).write(tmp_path / "runs" / name)
    one, two = ((tmp_path / "runs" / name).read_bytes() for name in ("one.json", "two.json"))
    assert one == two
    content = json.loads(one)
    wer = content["tasks"]["asr"]["metrics"]["wer"]
    assert wer["value"] == pytest.approx(1 / 3)
    assert {"value", "low", "high", "n", "signature"} <= wer.keys()
    assert wer["low"] < wer["value"] < wer["high"]
    assert content["systems"] == ["tiny"]
    assert [p.name for p in sorted((tmp_path / "runs").iterdir())] == ["one.json", "two.json"]


def test_a_figure_that_is_not_finite_is_null_in_json(tmp_path):
    score([row(1, "asr", "", "noise")]).write(tmp_path / "s.json")
    assert json.loads((tmp_path / "s.json").read_text())["tasks"]["asr"]["metrics"]["wer"]["value"] is None


def test_nothing_to_score():
    with pytest.raises(UsageError, match="no rows"):
        score([])


def test_scoring_is_cheap_to_import_and_never_needs_torch():
    code = (
        "import sys, wavllm_cli.scoring; cheap = set(sys.modules);"
        "import wavllm_cli.scoring.report, wavllm_cli.prompts.multitask;"
        "assert not {'numpy', 'pydantic', 'jiwer'} & cheap, cheap;"
        "assert not {'torch', 'transformers', 'jiwer', 'openai'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
