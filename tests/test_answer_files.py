import gzip
import io
import json
import sys
from types import SimpleNamespace

import pytest

from wavllm_cli.errors import UsageError
from wavllm_cli.scoring.answer_files import ABSENT, at, is_text, listed, read_table, read_texts

NAMED = {"target": "reference", "text": "prediction"}
ROWS = [{"reference": "r", "prediction": "h"}, {"reference": "s", "prediction": ""}]


def write(path, content):
    """Bytes as they are, text as UTF-8, all else as JSON."""
    if not isinstance(content, bytes):
        content = (content if isinstance(content, str) else json.dumps(content)).encode()
    path.write_bytes(content)
    return path


def numbered(path, content, named=NAMED, place=None):
    return read_table(str(write(path, content)), named, place).rows


def rows(path, content, named=NAMED, place=None):
    numbers, found = zip(*numbered(path, content, named, place), strict=True)
    assert numbers == tuple(range(1, len(found) + 1))
    return list(found)


def problem(read, *args) -> str:
    with pytest.raises(UsageError) as caught:
        read(*args)
    return str(caught.value)


# --- JSON Lines and Parquet ---


def test_each_line_of_json_lines_is_a_row_or_what_is_wrong_with_it(tmp_path):
    lines = b'\xef\xbb\xbf{"a": 1}\r\n \n"abc"\n{"a": "\xff"}\n{"a": "\xe2\x80\xa8"}\n{"a"'
    found = numbered(tmp_path / "x.jsonl", lines)
    assert found == numbered(tmp_path / "x.jsonl.gz", gzip.compress(lines))
    assert [number for number, _ in found] == [1, 3, 4, 5, 6]
    first, word, latin, separator, cut = (row for _, row in found)
    assert (first, separator) == ({"a": 1}, {"a": "\u2028"})
    assert word == ": a row should be an object, not 'abc'."
    assert latin.startswith(": not valid JSON (") and cut.startswith(": not valid JSON (")


def test_standard_input_is_json_lines(monkeypatch):
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(b'\xef\xbb\xbf{"a": 1}\n\n{"a": 2}')))
    table = read_table("-", {})
    assert (table.name, table.path, table.unit) == ("standard input", None, "line")
    assert table.rows == [(1, {"a": 1}), (3, {"a": 2})]


def test_json_lines_under_the_name_of_json(tmp_path):
    lines = "".join(json.dumps(row) + "\n" for row in ROWS)
    assert rows(tmp_path / "x.json", lines) == ROWS
    (_, first), (number, second) = numbered(tmp_path / "x.json", lines[:-9])
    assert (first, number) == (ROWS[0], 2) and second.startswith(": not valid JSON")


def test_parquet(tmp_path):
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow.parquet import write_table

    write_table(pyarrow.Table.from_pylist(ROWS), tmp_path / "x.parquet")
    table = read_table(str(tmp_path / "x.parquet"), {})
    assert (table.unit, table.rows) == ("row", [(1, ROWS[0]), (2, ROWS[1])])


# --- where the rows of a .json are ---


@pytest.mark.parametrize("content", [ROWS, {"wer": 0.5, "shape": [1, 2], "items": ROWS}, {"a": {"b": ROWS, "c": []}}])
def test_the_only_list_of_objects_is_found(tmp_path, content):
    assert rows(tmp_path / "x.json", content) == ROWS
    assert rows(tmp_path / "x.json.gz", gzip.compress(json.dumps(content).encode())) == ROWS


def test_of_several_lists_the_mapping_says_which(tmp_path):
    path = write(tmp_path / "x.json", {"clean": ROWS, "sets": {"other": ROWS[:1]}})
    said = problem(read_table, str(path), NAMED)
    assert '"clean" (length 2), "sets.other" (length 1)' in said and "--map rows=" in said
    assert [row for _, row in read_table(str(path), NAMED, "sets.other").rows] == ROWS[:1]
    said = problem(read_table, str(path), NAMED, "sets.none")
    assert said == f'{path} has no rows at "sets.none"; it has "clean" (length 2), "sets.other" (length 1).'
    assert problem(read_table, str(write(path, {})), NAMED, "sets").endswith("it has no list of objects.")


def test_rows_and_answers_by_their_ids(tmp_path):
    with_ids = [row | {"id": id} for row, id in zip(ROWS, ("u1", "u2"), strict=True)]
    keyed = {"u1": ROWS[0] | {"id": "other"}, "u2": ROWS[1]}
    assert rows(tmp_path / "x.json", keyed) == with_ids
    assert rows(tmp_path / "x.json", keyed, {}) == with_ids
    assert rows(tmp_path / "x.json", {"wer": 0, "by_id": keyed}, place="by_id") == with_ids
    answers = [{"id": "u1", "text": "h"}, {"id": "u2", "text": ""}]
    assert rows(tmp_path / "x.json", {"u1": "h", "u2": ""}) == answers
    for answer in ("text", "prediction"):  # a list inside of a row is not the list of rows
        row = {answer: "h", "segments": [{"start": 0}]}
        assert rows(tmp_path / "x.json", {"u1": row}) == [row | {"id": "u1"}]


def test_lists_that_the_mapping_names_belong_together_entry_by_entry(tmp_path):
    columns = {"reference": ["r", "s"], "prediction": ["h", ""]}
    path = tmp_path / "x.json"
    assert rows(path, columns) == ROWS
    assert rows(path, {"wer": 0.5, "model": "m", "shape": [1, 2, 3], "items": [{"a": 1}]} | columns) == ROWS
    assert rows(path, {"wer": 0.5, "data": columns}, place="data") == ROWS
    nested = {"target": "gold.reference", "text": "out.prediction"}
    gold_and_out = {"gold": {"reference": ["r", "s"]}, "out": {"prediction": ["h", ""]}}
    found = rows(path, gold_and_out, nested)
    assert [{ours: at(row, theirs) for ours, theirs in nested.items()} for row in found] == [
        {"target": "r", "text": "h"},
        {"target": "s", "text": ""},
    ]


def test_lists_as_long_as_those_that_are_named_are_taken_with_them(tmp_path):
    ours = {"id": ["a", "b"], "target": ["r", "s"], "text": ["h", ""], "shape": [1]}
    expected = [{"id": "a", "target": "r", "text": "h"}, {"id": "b", "target": "s", "text": ""}]
    assert rows(tmp_path / "x.json", ours, {}) == expected
    theirs = {"id": ["a"], "reference": ["r"], "prediction": ["h"]}
    assert rows(tmp_path / "x.json", theirs, {"text": "prediction"}) == [
        {"id": "a", "reference": "r", "prediction": "h"}
    ]


def test_lists_of_different_lengths_do_not_belong_together(tmp_path):
    path = write(tmp_path / "x.json", {"reference": ["r", "s", "t"], "prediction": ["h", ""], "shape": [1, 2]})
    said = problem(read_table, str(path), NAMED)
    assert said.startswith(f"{path}: ") and said.endswith(': "prediction" (length 2), "reference" (length 3).')


def test_rows_in_a_list_named_like_the_answer_are_rows(tmp_path):
    assert rows(tmp_path / "x.json", {"prediction": ROWS}, {"text": "prediction"}) == ROWS


# --- texts ---


def test_texts_belong_together_line_by_line(tmp_path):
    odd = "a\u2028b\x0bc\x85d\x1ee"
    ref = write(tmp_path / "ref.de", f"one\n{odd}\r\n\r\n")
    hyp, other = write(tmp_path / "1.txt", f"\ufeffeins\r\n\n{odd}\n"), write(tmp_path / "2", "x\ny\nz")
    first, second = read_texts([str(hyp), str(other)], ref)
    assert (first.name, first.path, first.unit) == (str(hyp), hyp, "line")
    assert first.rows == [
        (1, {"id": "1", "target": "one", "text": "eins"}),
        (2, {"id": "2", "target": odd, "text": ""}),
        (3, {"id": "3", "target": "", "text": odd}),
    ]
    assert [(row["target"], row["text"]) for _, row in second.rows] == [("one", "x"), (odd, "y"), ("", "z")]


@pytest.mark.parametrize(
    ("content", "lines"), [("", 0), ("\n", 1), ("a", 1), ("a\n", 1), ("a\n\n", 2), ("a\rb\r\n", 1)]
)
def test_a_line_end_ends_a_line_and_begins_none(tmp_path, content, lines):
    hyp, ref = write(tmp_path / "hyp.txt", content), write(tmp_path / "ref.txt", "x\n" * 9)
    assert problem(read_texts, [str(hyp)], ref).startswith(f"{hyp} has {lines} lines, but {ref} has 9")


def test_texts_and_rows_do_not_mix(tmp_path):
    text = write(tmp_path / "hyp.txt", "x\n")
    assert is_text(text) and not is_text(tmp_path / "m.tsv") and not is_text(tmp_path)
    assert "as a text too" in problem(read_table, str(text), {})
    for source in ("h.jsonl", "h.json.gz", "-"):
        assert problem(read_texts, [source], text).startswith(f"{source} has rows, but {text} is a text")


def test_texts_that_cannot_be_read(tmp_path):
    text, latin, none = write(tmp_path / "a.txt", "x\n"), write(tmp_path / "b.txt", b"a\n\xe4\n"), tmp_path / "no.txt"
    assert problem(read_texts, [str(text)], latin) == f"{latin}, line 2: the text is not UTF-8."
    assert problem(read_texts, [str(text)], none) == f"{none} does not exist."


# --- files that cannot be used ---


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("x.json", "", "not valid JSON"),
        ("x.json", json.dumps(ROWS)[:50], "not valid JSON"),
        ("x.json", json.dumps(ROWS, indent=1)[:50], "not valid JSON"),
        ("x.json", {}, "has no rows: "),
        ("x.json", 3, "has no rows: "),
        ("x.json", {"wer": 0.1}, "has no rows: "),
        ("x.json", {"references": ["r"], "predictions": ["h"]}, "lists of equal length that --map names"),
        ("x.json", '{"a": "x", "a": "y"}\n', 'key "a" occurs twice'),
        ("x.jsonl.gz", gzip.compress(b'{"reference": "r"}' * 99, mtime=0)[:40], "cannot be read"),
        ("x.parquet", b"PAR1", "cannot be read as Parquet"),
        ("x.tsv", "id\taudio\tprompt\n", "has no answers"),
        ("x.txt", "h\n", "is taken for text"),
    ],
)
def test_files_that_cannot_be_used(tmp_path, name, content, said):
    path = tmp_path / name
    assert problem(read_table, str(path), NAMED) == f"{path} does not exist."
    write(path, content)
    found = problem(read_table, str(path), NAMED)
    assert found.startswith(str(path)) and said in found


def test_a_folder_is_no_file(tmp_path):
    assert problem(read_table, str(tmp_path), {}) == f"{tmp_path} is a folder, not a file."


# --- what stands in a row ---


def test_a_dotted_path_leads_into_objects_unless_it_is_a_key_itself():
    row = {"a": {"b": 1, "c.d": 2}, "a.b": 3, "n": None}
    assert [at(row, path) for path in ("a.b", "a", "n")] == [3, row["a"], None]
    assert at({"a": {"b": 1}}, "a.b") == 1
    assert all(at(row, path) is ABSENT for path in ("b", "a.b.c", "a.c.d", "n.a"))


def test_a_table_knows_what_stands_in_any_of_its_rows(tmp_path):
    table = read_table(str(write(tmp_path / "x.json", [{"a": 1}, 2, {"b": {"c": 3, "d": {"e": 4}}}])), {})
    assert table.keys == {"a", "b"}
    assert [table.has(path) for path in ("a", "b", "b.d.e", "c", "b.e")] == [True, True, True, False, False]
    assert table.example() == {"a": 1, "b.c": 3, "b.d.e": 4}


def test_of_many_names_the_first_are_listed():
    assert (listed([]), listed("ab", 2), listed("abc", 2)) == ("none", "a, b", "a, b, …")


def test_standard_input_that_is_closed_is_named(monkeypatch):
    monkeypatch.setattr(sys, "stdin", None)
    assert "Standard input (-) is closed" in problem(read_table, "-", {})


def test_a_row_that_is_ambiguous_or_bottomless_is_named(tmp_path):
    twice, deep = rows(tmp_path / "x.jsonl", '{"id": "r1", "a": 1, "a": 2}\n{"b": ' + "[" * 3000 + "\n")
    assert twice == ' (id r1): key "a" occurs twice in an object (at character 26).'
    assert deep.startswith(": nested more than 200 levels deep at character")
    assert "nested more than 200 levels" in problem(rows, tmp_path / "x.json", "[" * 3000 + "]" * 3000)


def test_long_names_are_cut_in_messages():
    assert listed(["x" * 1000, "y"]) == f"{'x' * 80}… (1,000 characters), y"
