"""What the miniature's systems are asked, and what becomes of their answers."""

import json

import pytest
from jiwer import wer
from mini_exam import TEXTS, answer, write_tests

from wavllm_cli.data.audio_paths import audio_paths
from wavllm_cli.data.manifest import read_manifest, write_manifest
from wavllm_cli.data.schema import Utterance
from wavllm_cli.errors import UsageError
from wavllm_cli.mini import exam
from wavllm_cli.mini.figures import Scores
from wavllm_cli.mini.world import scenes


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("mini") / "data"
    write_tests(folder)
    return folder


@pytest.fixture(scope="module")
def questions(data):
    folder = data.parent / "out" / "exam"
    exam.set_exam(exam.Tests(data), folder, seed=1)
    return folder


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_an_exam_has_every_row_of_its_tests_and_the_same_audio(data, questions):
    rows = list(read_manifest(questions / "everything.jsonl"))
    own = [row for row in rows if not row.id.startswith(exam.WRONG_AUDIO)]
    there = {path.stem.removeprefix("test-"): lines(path) for path in data.glob("test-*.jsonl")}
    assert {row.id for row in own} == {f"{test}/{row['id']}" for test, rows in there.items() for row in rows}
    found = audio_paths(own, questions / "everything.jsonl")
    names = {row.id: path[0].resolve() for row, path in zip(own, found, strict=True) if path}
    assert names["world/world-2"] == data / "audio" / "world-2.flac"


def test_other_exams_ask_what_they_are_for(data, questions):
    asked = {row.id.partition("/")[0] for row in read_manifest(questions / "voices.jsonl")}
    assert asked == {"world", "er"}
    assert exam.Tests(data).names("voices") == ["world", "world-content", "er"]
    assert exam.Tests(data).names("everything")[:3] == ["world", "world-content", "wrong-audio"]


def test_tests_that_nobody_knows_are_asked_too(data, tmp_path):
    (tmp_path / "test-own.jsonl").write_text((data / "test-world.jsonl").read_text())
    assert exam.Tests(tmp_path).names("everything") == ["own"]


def test_chains_without_a_summary_make_no_test_of_summaries(data, tmp_path):
    first, *_ = lines(data / "test-cot.jsonl")
    (tmp_path / "test-cot.jsonl").write_text(json.dumps(first) + "\n")
    assert exam.Tests(tmp_path).names("everything") == ["cot"]


def test_some_rows_of_a_test_are_drawn(data, tmp_path):
    some = exam.Tests(data, 2).rows("world")
    assert len(some) == 2 and some == [row for row in exam.Tests(data).rows("world") if row in some], "in their order"
    turns = [
        Utterance(id=f"pair-{i}", audio=f"{i}.wav", task="sv", prompt="", target=("Yes", "No")[i % 2])
        for i in range(80)
    ]
    write_manifest(tmp_path / "test-sv.jsonl", turns)
    assert {row.target for row in exam.Tests(tmp_path, 40).rows("sv")} == {"Yes", "No"}, "not every second row"
    assert [row.id for row in exam.Tests(data, 9).rows("sft")] == ["sft-0", "sft-1"]


def test_wrong_audio_says_something_else_and_all_of_it_moves():
    def clip(number, text):
        return Utterance(
            id=str(number), audio=f"{number}.wav", start=number, duration=1, task="asr", prompt="", target=text
        )

    rows = [clip(i, text) for i, text in enumerate(["a", "a", "b", "b", "b", "c", "d", "e", "f", "f"])]
    said = {row.audio: row.target for row in rows}
    for seed in range(20):
        wrong = exam.with_wrong_audio(rows, seed)
        assert [(row.id, row.target) for row in wrong] == [(row.id, row.target) for row in rows]
        assert all(said[row.audio] != row.target and row.audio == f"{row.start:g}.wav" for row in wrong)
        assert sorted(row.audio for row in wrong) == sorted(said), "each clip once"
        assert wrong == exam.with_wrong_audio(rows, seed)
    with pytest.raises(UsageError, match="3 of 5 rows say the same"):
        exam.with_wrong_audio(rows[2:7], seed=1)


def test_whoever_hears_the_wrong_audio_rightly_is_wrong_nearly_everywhere():
    """The target of the control, more than 90 %, is above what a guess from the closed world would miss."""
    said = {scene.key: scene.text for scene in scenes("test", 100, seed=0)}
    rows = [Utterance(id=key, audio=key, task="asr", prompt="", target=text) for key, text in said.items()]
    wrong = exam.with_wrong_audio(rows, seed=0)
    assert wer([row.target for row in wrong], [said[row.audio] for row in wrong]) > 0.95


def test_answers_come_apart_by_test_and_a_missing_one_is_empty(data, questions, tmp_path):
    answers, folder = tmp_path / "answers.jsonl", tmp_path / "answers"
    answer(questions / "everything.jsonl", answers, lambda r: None if r["id"] == "world/world-1" else r["target"])
    exam.sort_answers(answers, questions / "everything.jsonl", folder, "a.jsonl", "system a")
    tests = exam.Tests(data).names("everything")
    assert sorted(path.name for path in folder.iterdir()) == sorted(tests)
    world = lines(folder / "world" / "a.jsonl")
    assert [(row["id"], row["text"], row["system"]) for row in world] == [
        (f"world-{i}", "" if i == 1 else text, "system a") for i, text in enumerate(TEXTS)
    ]
    assert [row["id"] for row in lines(folder / "cot-summary" / "a.jsonl")] == ["cot-1", "cot-2", "cot-3"]


def test_right_answers_are_scored_as_such(data, questions, tmp_path):
    exam.sort_answers(None, questions / "everything.jsonl", tmp_path, "right.jsonl", "right answers")
    rows = lines(tmp_path / "ii" / "right.jsonl") + lines(tmp_path / "world" / "right.jsonl")
    assert len(rows) == 8 and all(row["text"] == row["target"] for row in rows)


def test_content_words_are_those_of_slots_alone(questions, tmp_path):
    answers = tmp_path / "answers.jsonl"
    answer(questions / "everything.jsonl", answers, lambda r: "the train to Berlin, leaves at seven")
    exam.sort_answers(answers, questions / "everything.jsonl", tmp_path, "a.jsonl", "a")
    first, *_ = lines(tmp_path / exam.CONTENT / "a.jsonl")
    assert (first["target"], first["text"]) == ("berlin six", "berlin, seven")


def test_scores_are_those_of_wavllm_score(data, questions, tmp_path):
    files = {name: tmp_path / "answers" / "TEST" / f"{name}.jsonl" for name in ("good", "bad")}
    for name, path in files.items():
        answers = tmp_path / f"{name}.jsonl"
        answer(questions / "everything.jsonl", answers, lambda r, name=name: r["target"] if name == "good" else "no")
        exam.sort_answers(answers, questions / "everything.jsonl", tmp_path / "answers", path.name, name)
    scores = tmp_path / "ii.json"
    systems = [tmp_path / "answers" / "ii" / path.name for path in files.values()]
    exam.score_answers(systems, exam.Tests(data).metrics("ii"), scores)
    found = Scores.read(scores)
    by_hand = found.systems["good"]
    asr, st = found.figure("good", "ii/asr exact"), found.figure("good", "ii/st exact")
    assert asr.value.value == by_hand["ii/asr"]["metrics"]["exact"]["value"] == 1 and asr.n == 4
    both = found.figure("good", ["ii/asr exact", "ii/st exact", "ii/er accuracy"])
    assert both.n == asr.n + st.n and both.value.value == 1 and both.value.few
    assert found.figure("bad", "ii/asr wer").reaches(1.0) and not found.figure("bad", "ii/asr wer").reaches(0.9)
    assert found.difference("bad", "ii/asr exact")["value"] == -1
    assert found.figure("good", "ii/sv accuracy") is None and found.figure("nobody", "ii/asr wer") is None
