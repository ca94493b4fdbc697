import io
import json
import sys
import time
from types import SimpleNamespace

import pytest

from wavllm_cli.data.manifest import write_manifest
from wavllm_cli.data.schema import Hypothesis, Part, Utterance
from wavllm_cli.errors import UsageError
from wavllm_cli.scoring.inputs import read_systems

OURS = {"audio": "a.wav", "task": "st", "prompt": "Translate.", "target_language": "de"}
PUBLISHED = {
    "wer": 0.25,
    "sample_wer": [
        {"reference": "he hoped there would be stew", "prediction": "he hoped there would be stew", "wer": 0.0},
        {"reference": "stuff it", "prediction": "stuff it into you", "wer": 1.0},
    ],
}
MAP = ["target=reference", "text=prediction"]


def ours(**fields) -> Hypothesis:
    return Hypothesis(**OURS | fields)


def hypotheses(path, *rows):
    write_manifest(path, rows)
    return str(path)


def as_json(path, value) -> str:
    path.write_text(json.dumps(value, ensure_ascii=False), encoding="utf-8")
    return str(path)


def as_lines(path, *rows) -> str:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return str(path)


def as_text(path, content: str):
    path.write_bytes(content.encode())
    return path


def one(*args, **more) -> list[Hypothesis]:
    (system,) = read_systems(*args, **more)
    return system.rows


def texts(rows) -> list[tuple[str, str | None, str]]:
    return [(row.id, row.target, row.text) for row in rows]


def problem(*args, **more) -> str:
    with pytest.raises(UsageError) as caught:
        read_systems(*args, **more)
    return str(caught.value)


# --- our own hypotheses ---


@pytest.mark.parametrize("name", ["h.jsonl", "h.jsonl.gz", "h.parquet"])
def test_our_hypotheses_are_read_as_they_are(tmp_path, name):
    rows = [ours(id="a", target="grüße", text="", system="m"), ours(id="b", text="x", choices=["p", "q"], system="m")]
    path = hypotheses(tmp_path / name, *rows)
    (system,) = read_systems([path])
    assert (system.name, str(system.path), system.rows) == ("m", path, rows)
    (system,) = read_systems([path], mapping=[], default_task="asr", language="en", target_language="fr")
    assert [(r.task, r.language, r.target_language) for r in system.rows] == [("st", "en", "de")] * 2
    assert {row.task for row in one([path], task="asr")} == {"asr"}


def test_a_system_on_standard_input(monkeypatch):
    content = ours(id="a", target="x", text="y").json_line().encode()
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(content)))
    (system,) = read_systems(["-"])
    assert (system.name, system.path, texts(system.rows)) == ("stdin", None, [("a", "x", "y")])
    assert "only once" in problem(["-", "-"])
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(b'{"id": ')))
    assert problem(["-"]).startswith("standard input, line 1: not valid JSON")


def test_rows_of_ours_are_checked_like_a_manifest(tmp_path):
    good = OURS | {"id": "a", "text": "x"}
    no_prompt = {key: value for key, value in good.items() if key != "prompt"} | {"id": "b"}
    path = as_lines(
        tmp_path / "h.jsonl", good, no_prompt, good, good | {"id": "c", "text": None}, good | {"langage": "x"}
    )
    lines = problem([path]).splitlines()
    assert lines[0] == f'{path}, line 2 (id b): key "prompt" is missing.'
    assert lines[1] == f"{path}, line 3: id 'a' is already taken by line 1."
    assert lines[2].startswith(f'{path}, line 4 (id c): key "text" should be a valid string')
    assert lines[3] == f'{path}, line 5 (id a): unknown key "langage": did you mean "language"?'


def test_a_short_row_of_ours_is_completed_and_its_misspelt_keys_are_not_ignored(tmp_path):
    path = as_lines(tmp_path / "h.jsonl", {"id": 7, "target": 1.5, "text": 2}, {"target": "y", "text": "z"})
    rows = one([path], task="sqa")
    assert texts(rows) == [("7", "1.5", "2"), ("2", "y", "z")]
    assert {(r.task, r.prompt, r.audio) for r in rows} == {("sqa", "", None)}
    assert one([path])[0].task == "asr"
    assert "should be a valid string" in problem([as_lines(tmp_path / "b.jsonl", {"target": "x", "text": True})])
    path = as_lines(tmp_path / "m.jsonl", {"id": "a", "target": "x", "text": "y", "promt": "z"})
    assert problem([path]) == f'{path}: unknown key "promt": did you mean "prompt"?'


def test_ten_problems_are_enough(tmp_path):
    path = as_lines(tmp_path / "h.jsonl", *[{"id": i, "target": "x", "text": None} for i in range(50)])
    lines = problem([path]).splitlines()
    assert len(lines) == 2 and "stopped after 10" in lines[1]
    assert lines[0].startswith(f"{path}, lines 1 (id 0), 2 (id 1), 3 (id 2) and 7 more: ")


# --- two texts ---


def test_two_texts_are_rows_of_the_task_and_the_languages_that_are_said(tmp_path):
    hyp, ref = as_text(tmp_path / "sys.txt", "eins\n\n"), as_text(tmp_path / "ref.de", "one\ntwo\n")
    (system,) = read_systems([str(hyp)], ref)
    assert (system.name, texts(system.rows)) == ("sys", [("1", "one", "eins"), ("2", "two", "")])
    assert {row.task for row in system.rows} == {"asr"}
    rows = one([str(hyp)], ref, task="st", language="en", target_language="de")
    assert {(r.task, r.language, r.target_language) for r in rows} == {("st", "en", "de")}


def test_a_text_is_not_joined_to_a_manifest(tmp_path):
    hypotheses(tmp_path / "h.jsonl", ours(id="1", text="x", target="x"))
    assert "as a text too" in problem([str(as_text(tmp_path / "hyp.txt", "x\n"))], tmp_path / "h.jsonl")


# --- answers beside a manifest ---


def manifest(tmp_path):
    path = tmp_path / "test.jsonl.gz"
    parts = [Part(task="asr", prompt="p", target="t"), Part(task="st", prompt="q")]
    utterances = [
        Utterance(id="b", audio="b.wav", duration=2, task="ii", prompt="Do.", target="one", parts=parts, speaker="s"),
        Utterance(id="a", audio=None, task="st", prompt="Translate.", target=None),
    ]
    write_manifest(path, utterances)
    return path, utterances


def test_a_manifest_gives_all_but_the_answers(tmp_path):
    path, utterances = manifest(tmp_path)
    expected = [Hypothesis(**dict(row), text=text) for row, text in zip(utterances, ("x", "5"), strict=True)]
    forms = [
        as_lines(tmp_path / "rows.jsonl", {"id": "a", "text": 5}, {"id": "b", "text": "x"}),
        as_json(tmp_path / "texts.json", {"a": "5", "b": "x"}),
        as_json(tmp_path / "keyed.json", {"a": {"text": "5", "target": "other"}, "b": {"text": "x", "segments": [{}]}}),
        as_json(tmp_path / "list.json", {"n": 2, "rows": [{"id": "b", "text": "x"}, {"id": "a", "text": "5"}]}),
    ]
    for form in forms:
        assert one([form], path) == expected
    theirs = as_lines(tmp_path / "theirs.jsonl", {"utt": "a", "hyp": "5"}, {"utt": "b", "hyp": "x"})
    systems = read_systems([*forms, theirs], path, ["id=utt", "text=hyp"])
    assert [system.rows for system in systems] == [expected] * 5
    assert [system.name for system in systems] == ["rows", "texts", "keyed", "list", "theirs"]
    full = hypotheses(tmp_path / "full.jsonl", *(row.model_copy(update={"logprobs": [-1.0]}) for row in expected))
    assert [row.logprobs for row in one([full], path)] == [[-1.0], [-1.0]]


def test_what_is_missing_or_surplus_is_counted_and_named(tmp_path):
    path = tmp_path / "m.jsonl"
    write_manifest(path, [Utterance(id=f"u{i}", audio=None, task="asr", prompt="") for i in range(9)])
    answers = as_json(tmp_path / "a.json", {"u3": "x", "u4": "y", "zz": "z"})
    assert problem([answers], path) == (
        f"{answers} does not fit {path}. Rows without an answer: 7 of 9 (u0, u1, u2, u5, u6, …). "
        "Answers to no row: 1 of 3 (zz)."
    )


# --- other people's JSON ---


def test_published_hypotheses_are_read_with_and_without_the_place_of_the_rows(tmp_path):
    expected = [("1", *["he hoped there would be stew"] * 2), ("2", "stuff it", "stuff it into you")]
    path = as_json(tmp_path / "salmonn.json", PUBLISHED)
    for mapping in (MAP, ["rows=sample_wer", *MAP]):
        (system,) = read_systems([path], mapping=mapping)
        assert (system.name, texts(system.rows)) == ("salmonn", expected)
        assert {(row.task, row.prompt, row.audio) for row in system.rows} == {("asr", "", None)}


def test_without_a_mapping_the_error_tells_the_keys_and_the_mapping_that_fits(tmp_path):
    path = as_json(tmp_path / "x.json", PUBLISHED)
    said = problem([path])
    assert "its keys are reference, prediction, wer." in said
    assert said.endswith("Try --map text=prediction --map target=reference.")
    mapping = said.removesuffix(".").split(" --map ")[1:]
    assert texts(one([path], mapping=mapping)) == texts(one([path], mapping=MAP))


@pytest.mark.parametrize(
    ("row", "mapping"),
    [
        ({"audio_filepath": "a", "duration": 1, "text": "r", "pred_text": "h"},
         ["id=audio_filepath", "text=pred_text", "target=text"]),
        ({"id": "a", "Ground_Truth": "r", "model_response": "h"}, ["text=model_response", "target=Ground_Truth"]),
        ({"id": "a", "gold": {"label": "r"}, "out": {"hypothesis": "h"}, "pred_ids": [1]},
         ["text=out.hypothesis", "target=gold.label"]),
        ({"utt_id": "a", "text": "h", "ref": "r"}, ["id=utt_id", "target=ref"]),
    ],
)  # fmt: skip
def test_the_mapping_that_is_proposed_works(tmp_path, row, mapping):
    path = as_lines(tmp_path / "x.jsonl", row)
    assert problem([path]).endswith(f"Try {' '.join(f'--map {pair}' for pair in mapping)}.")
    assert texts(one([path], mapping=mapping)) == [("a", "r", "h")]


def test_ours_and_theirs_in_one_call(tmp_path):
    """Also where a key of theirs has another meaning in ours."""
    mine = hypotheses(
        tmp_path / "mine.jsonl",
        *(Hypothesis(id=i, audio="a.wav", task="asr", prompt="", target=f"t{i}", text=f"m{i}") for i in "21"),
    )
    theirs = as_json(tmp_path / "theirs.json", [{"text": "t1", "pred": "p1"}, {"text": "t2", "pred": "p2"}])
    for order in ([mine, theirs], [theirs, mine]):
        systems = {
            system.name: texts(system.rows) for system in read_systems(order, mapping=["target=text", "text=pred"])
        }
        for name, letter in (("mine", "m"), ("theirs", "p")):
            assert sorted(systems[name]) == [("1", "t1", f"{letter}1"), ("2", "t2", f"{letter}2")]
        assert [row[0] for row in systems["mine"]] == [row[0] for row in systems["theirs"]]


def test_lists_of_theirs_are_mapped_like_rows(tmp_path):
    path = as_json(tmp_path / "x.json", {"wer": 0.5, "references": ["r", "s"], "predictions": ["h", 3]})
    assert texts(one([path], mapping=["target=references", "text=predictions"])) == [("1", "r", "h"), ("2", "s", "3")]
    assert problem([path], mapping=["text=predictions"]).endswith("Try --map target=references.")


def test_a_row_without_its_answer_never_gets_the_reference_for_one(tmp_path):
    path = as_json(tmp_path / "x.json", [{"text": "r", "pred": "h"}, {"text": "r"}, {"text": "r", "pred": None}])
    assert problem([path], mapping=["target=text", "text=pred"]).splitlines() == [
        f'{path}, row 2 (id 2): key "pred" is missing.',
        f'{path}, row 3 (id 3): key "pred" is null; an answer without words is "".',
    ]
    assert '"text" (the answer)' in problem([path], mapping=["target=text"])


def test_our_own_rows_can_be_scored_against_another_key(tmp_path):
    path = hypotheses(tmp_path / "h.jsonl", ours(id="a", target="x", transcript="t", text="y", duration=2))
    (row,) = one([path], mapping=["target=transcript"])
    assert (row.target, row.text, row.duration, row.transcript) == ("t", "y", 2, "t")


def test_keys_of_theirs_with_other_meanings_do_no_harm(tmp_path):
    row = {
        "reference": "r",
        "prediction": "h",
        "duration": "3:20",
        "audio": {"path": "a.wav"},
        "tasks": 3,
        "task": None,
        "prompt": None,
        "id": None,
    }
    path = as_json(tmp_path / "x.json", {"data": {"items": [row]}, "shape": [1, 2], "empty": []})
    (got,) = one([path], mapping=MAP)
    assert got == Hypothesis(id="1", audio=None, task="asr", prompt="", target="r", text="h")
    (got,) = one([path], mapping=[*MAP, "rows=data.items", "audio=audio.path"])
    assert got.audio == "a.wav"


def test_a_parquet_file_of_theirs(tmp_path):
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow.parquet import write_table

    path = tmp_path / "x.parquet"
    write_table(pyarrow.table({"id": [7, 8], "reference": ["r", "s"], "prediction": ["h", None]}), path)
    assert problem([str(path)], mapping=MAP) == f'{path}, row 2 (id 8): key "prediction" is missing.'
    write_table(pyarrow.table({"id": [7, 8], "reference": ["r", "s"], "prediction": ["h", ""]}), path)
    assert texts(one([str(path)], mapping=MAP)) == [("7", "r", "h"), ("8", "s", "")]


def test_keys_that_no_row_has_and_answers_without_references(tmp_path):
    path = as_json(tmp_path / "x.json", [{"a": "r", "b": {"c": "h"}}])
    said = problem([path], mapping=["target=a", "text=b.d"])
    assert said == '--map text=b.d: no row has "b.d"; the keys are a, b.c.'
    path = as_json(tmp_path / "texts.json", {"u1": "x"})
    said = problem([path])
    assert said.startswith(f'{path} has no "target" (the right answer)')
    assert said.endswith("Try --map target=KEY or --reference MANIFEST.")


@pytest.mark.parametrize(
    ("mapping", "said"),
    [
        (["text"], "not of the form OURS=THEIRS"),
        (["text="], "not of the form OURS=THEIRS"),
        (["tex=pred"], 'no key "tex"; did you mean "text"?'),
        (["wer=pred"], 'no key "wer"; there are id, audio'),
        (["text=a", "text=b"], 'twice what "text" is: "a" and "b"'),
    ],
)
def test_wrong_mappings(tmp_path, mapping, said):
    assert said in problem([as_json(tmp_path / "x.json", [])], mapping=mapping)


# --- files that cannot be used ---


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("x.json", "[]", " has no rows."),
        ("x.jsonl", "", " has no rows."),
        ("x.jsonl", "\n \n", " has no rows."),
        ("x.jsonl", "{}\n", ' has no "text" (the answer) and no "target" (the right answer); its keys are none.'),
        ("x.json", '[1, {"reference": "r", "prediction": "h"}]', ", row 1: a row should be an object, not 1."),
        ("x.jsonl", '\n"abc"\n', ", line 2: a row should be an object, not 'abc'."),
        ("x.jsonl", '{"reference": "r", "predic', ", line 1: not valid JSON"),
    ],
)
def test_files_without_rows_and_rows_that_are_none(tmp_path, name, content, said):
    path = as_text(tmp_path / name, content)
    assert problem([str(path)], mapping=MAP).startswith(f"{path}{said}")


def test_a_folder_and_nothing_at_all(tmp_path):
    assert "folder" in problem([as_json(tmp_path / "x.json", PUBLISHED)], tmp_path)
    assert "nothing to score" in problem([])


# --- several systems ---


def test_systems_are_put_into_the_order_of_the_first(tmp_path):
    rows = [ours(id=i, target=f"t{i}", text=f"x{i}") for i in "cab"]
    first, second = (
        hypotheses(tmp_path / "1.jsonl", *rows),
        hypotheses(tmp_path / "2.jsonl", *sorted(rows, key=lambda r: r.id)),
    )
    assert [system.rows for system in read_systems([first, second])] == [rows, rows]


def test_systems_must_have_answered_the_same_rows(tmp_path):
    def system(name, ids, **fields):
        return hypotheses(tmp_path / name, *(ours(**{"id": i, "text": "x", "target": "t"} | fields) for i in ids))

    first, second = system("1.jsonl", "abc"), system("2.jsonl", "bcdef")
    assert problem([first, second]) == (
        f"{second} does not fit {first}. Rows without an answer: 1 of 3 (a). Answers to no row: 3 of 5 (d, e, f)."
    )
    third = system("3.jsonl", "cba", target="T")
    assert problem([first, third]) == (
        f"{third} and {first} cannot be compared: the targets differ in 3 of 3 rows, e.g. id c: 'T' and 't'."
    )
    assert "the tasks differ in 3 of 3 rows" in problem([first, system("4.jsonl", "abc", task="asr")])


def test_names_tell_systems_apart(tmp_path):
    def names(*files):
        for path, systems in files:
            (tmp_path / path).parent.mkdir(exist_ok=True)
            hypotheses(tmp_path / path, *(ours(id=str(i), text="x", system=s) for i, s in enumerate(systems)))
        return [system.name for system in read_systems([str(tmp_path / path) for path, _ in files])]

    assert names(("a/t.jsonl", "mm"), ("b/t.jsonl.gz", "nn")) == ["m", "n"]
    assert names(("a/t.jsonl", "mn"), ("b/u.hyp.jsonl.gz", [None, None])) == ["t", "u.hyp"]
    assert names(("a/t.jsonl", "mm"), ("b/u.jsonl", "mm")) == ["t", "u"]
    assert names(("a/t.jsonl", "mm"), ("b/t.jsonl", "mm")) == ["a/t", "b/t"]
    assert names(("a/t.jsonl", "mm"), ("a/t.jsonl", "mm")) == ["m (1)", "m (2)"]


@pytest.mark.slow
def test_rows_take_time_in_proportion(tmp_path):
    rows = [{"reference": f"the answer to {i}", "prediction": f"an answer to {i}", "wer": 0.1} for i in range(20_000)]
    theirs = as_json(tmp_path / "theirs.json", {"wer": 0.1, "sample_wer": rows})
    mine = as_lines(
        tmp_path / "mine.jsonl",
        *(OURS | {"task": "asr", "id": str(i), "target": f"the answer to {i}", "text": "x"} for i in range(1, 20_000)),
        OURS | {"task": "asr", "id": "20000", "target": "the answer to 19999", "text": "x"},
    )
    start = time.process_time()
    assert len(one([theirs], mapping=MAP)) == 20_000
    assert len(one([mine])) == 20_000
    assert time.process_time() - start < 4  # about 0.4 s; generous, and not enough to compare each with each


@pytest.mark.parametrize(("key", "value"), [("text", "NaN"), ("target", "Infinity"), ("id", "-Infinity")])
def test_what_is_no_number_is_no_text(tmp_path, key, value):
    fields = {"id": '"a"', "target": '"x"', "text": '"y"'} | {key: value}
    path = tmp_path / "x.json"
    path.write_text(f"[{{{', '.join(f'{json.dumps(k)}: {v}' for k, v in fields.items())}}}]")
    with pytest.raises(UsageError, match=rf'x.json, row 1 \(id .*\): key "{key}" is -?(nan|inf), which is neither'):
        read_systems([str(path)])


def test_a_system_whose_file_has_a_name_that_is_not_utf8_is_named_visibly(tmp_path):
    path = as_lines(tmp_path / "a\udcff.jsonl", {"id": "a", "target": "x", "text": "y"})
    assert read_systems([path])[0].name == r"a\xff"


def test_a_task_that_is_given_holds_whatever_rows_say(tmp_path):
    theirs = {"id": "1", "question": "Who?", "task": "speech", "answer": "A", "text": "B"}
    path = as_lines(tmp_path / "theirs.jsonl", theirs)
    mapping = ["prompt=question", "target=answer"]
    assert [row.task for row in one([path], mapping=mapping, task="sqa")] == ["sqa"]
    assert "speech" in problem([path], mapping=mapping)
    without = as_lines(tmp_path / "without.jsonl", {key: value for key, value in theirs.items() if key != "task"})
    assert [row.task for row in one([without], mapping=mapping, default_task="st")] == ["st"]


def test_columns_of_constraints_are_taken_without_being_asked_for(tmp_path):
    constraints = {"instruction_id_list": ["a:b"], "kwargs": [{"n": 1}]}
    path = as_lines(tmp_path / "theirs.jsonl", {"key": "7", "prompt": "Do.", "response": "{}"} | constraints)
    (row,) = one([path], mapping=["id=key", "text=response"])
    assert (row.extra, row.target) == (constraints, None)


def test_what_is_thought_aloud_is_no_part_of_an_answer(tmp_path):
    path = as_lines(tmp_path / "a.jsonl", {"id": "1", "target": "b", "answer": "<think>a\n</think> b"})
    assert one([path], mapping=["text=answer"])[0].text == "b"
