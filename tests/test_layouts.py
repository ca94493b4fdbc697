"""Result files of other benchmarks: made here, in the layouts that their projects publish."""

import json

import pytest

from wavllm_cli.errors import ManifestError, UsageError
from wavllm_cli.scoring.inputs import read_systems
from wavllm_cli.scoring.tasks import Options, measure


def rows_of(tmp_path, layout, content):
    lines = layout == "speech-ifeval"
    path = tmp_path / ("answers.jsonl" if lines else "answers.json")
    path.write_text("\n".join(map(json.dumps, content)) if lines else json.dumps(content), encoding="utf-8")
    (system,) = read_systems([str(path)], layout=layout)
    return system.rows


def figures(rows):
    return {group.name: {m.metric: m.value for m in group.measures} for group in measure(rows, Options())}


def spoken(id, metric, dataset, instruction, response, **more):
    common = {"audio_filepath": f"{dataset}/{id}.wav", "seed_transcript": "[00:00 - 00:05] Yes.", "messages": []}
    asked = {"metric": metric, "dataset": dataset, "instruction": instruction, "response": response}
    return {"id": id} | common | asked | more


def test_speech_ifeval(tmp_path):
    who = 'Who speaks? Choose the answer from "a man", "the "boss"" or "both".\nAnswer in quotes.'
    rows = rows_of(
        tmp_path,
        "speech-ifeval",
        [
            spoken(0, "wer", "Automatic_speech_recognition", "Transcribe.\nAll capitals.", "GOOD DAY", label="GOOD DAY",
                   instruction_id_list=["change_case:english_capital"], kwargs=[{}], follow_instruction_list=[True]),
            spoken(1, "accuracy", "Speech_emotion_recognition", "Name it.", "She is happy.", label="happy",
                   instruction_id_list=["detectable_format:json_format"], kwargs=[{}]),
            spoken(2, "accuracy", "Gender_recognition", "Man or woman? Say male or female.", "Female", label="Female"),
            spoken(3, "accuracy", "MMAU", who, '"The "boss""', label='the "boss"',
                   instruction_id_list=["startend:quotation"], kwargs=[{}]),
            spoken(4, "open", "Gender_recognition", "Write two bullet points.", "• a\n• b",
                   instruction_id_list=["detectable_format:number_bullet_lists"], kwargs=[{"num_bullets": 2}]),
        ],
    )  # fmt: skip
    assert [row.task for row in rows] == ["asr", "er", "sqa", "sqa", "sqa"]
    assert rows[3].choices == ["a man", 'the "boss"', "both"]
    assert rows[0].extra["follow_instruction_list"] == [True]
    found = figures(rows)
    assert (found["asr"]["wer"], found["er"]["accuracy"], found["sqa"]["accuracy"]) == (0, 1, 1)
    assert found["ifeval"]["ifeval/prompt-strict"] == 3 / 4  # "•" is a bullet to Speech-IFEval


def test_mmau(tmp_path):
    entry = {"id": "x", "audio_id": "./a.wav", "question": "Who?", "choices": ["Man", "Woman"], "answer": "Woman"}
    more = {"task": "speech", "split": "test-mini", "difficulty": "easy"}
    rows = rows_of(
        tmp_path,
        "mmau",
        [
            entry | more | {"model_prediction": "It is a woman."},
            entry | more | {"id": "y", "model_output": "(A) Man", "choices": "['Man', 'Woman']"},
        ],
    )
    assert [(row.task, row.split, row.extra["task"]) for row in rows] == [("sqa", "test-mini", "speech")] * 2
    assert figures(rows) == {"sqa": {"accuracy": 1 / 2}}
    with pytest.raises(ManifestError, match="key 'model_prediction' is missing, which rows of mmau have"):
        rows_of(tmp_path, "mmau", [entry])


def test_variations_of_isa_bench(tmp_path):
    item = {
        "path": "/data/1089-0.flac",
        "text": "HELLO THERE",
        "task": "asr",
        "base": ["Write it down", "nothing else"],
        "variation_responses": {
            "default": "hello there",
            "case": {"lower_case": "hello there", "upper_case": "HELLO"},
            "semantic_equal_simple": ["hello there"],
            "upper_case": "HELLO THERE",
            "prefix": [{"prefix": "Text: ", "response": "text: hello there"}],
            "wrap": [{"lrt": "**|**", "response": "**hello there"}],
            "json": [{"key": "k", "value": "v", "response": '{"k": "hello there"}'}],
        },
    }
    rows = rows_of(tmp_path, "isa-bench", [item, item])
    assert len({row.id for row in rows}) == 16
    assert [row.id for row in rows[:4]] == [
        f"1089-0-1/{variant}"
        for variant in ("default", "case/lower_case", "case/upper_case", "semantic_equal_simple/1")
    ]
    assert rows[0].prompt == "Write it down, nothing else" and rows[2].extra["variant"] == "case"
    assert figures(rows[:2])["asr"]["wer"] == 0
    assert figures(rows[4:8])["ifeval"] == {
        "ifeval/prompt-strict": 3 / 4,
        "ifeval/instruction-strict": 4 / 5,
        "ifeval/prompt-loose": 3 / 4,
        "ifeval/instruction-loose": 4 / 5,
    }


def test_captions_and_several_instructions_of_isa_bench(tmp_path):
    caption = {"path": "a.wav", "text": "a dog|a barking dog", "task": "audiocaption", "base": ["What is heard?"]}
    (row,) = rows_of(tmp_path, "isa-bench", [caption | {"variation_responses": {"default": "a barking dog"}}])
    assert (row.target, row.references) == ("a dog", ["a barking dog"])
    answers = {"separation": [[{"task": "ASR|SER", "separator": "#", "response": "i love you # happy"}]]}
    several = {
        "path": "b.wav",
        "text": "I love you",
        "emotion": "Happy",
        "gender": "Male",
        "instructions": {"variations": {"single-stage": answers}},
    }
    (row,) = rows_of(tmp_path, "isa-bench", {"annotation": [several]})
    assert (row.id, row.task) == ("b-1/single-stage/separation/1/1", "ii")
    assert [(part.task, part.target) for part in row.parts] == [("asr", "I love you"), ("er", "Happy")]


def test_a_layout_that_there_is_not_and_keys_that_are_known_are_refused(tmp_path):
    with pytest.raises(
        UsageError, match=r"--from isabench is no layout \(did you mean isa-bench\?\); there are speech-"
    ):
        read_systems(["x.json"], layout="isabench")
    with pytest.raises(UsageError, match="leave out --reference and --map"):
        read_systems(["x.json"], mapping=["text=response"], layout="mmau")
