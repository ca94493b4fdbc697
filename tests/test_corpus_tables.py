import pytest

from wavllm_cli.corpora import ENCODING, FORM
from wavllm_cli.corpora.tables import parallel, rows, texts
from wavllm_cli.errors import UsageError


def test_a_quotation_mark_is_a_letter_and_trailing_columns_may_be_empty(tmp_path):
    table = tmp_path / "t.tsv"
    table.write_bytes(b'path\tsentence\taccent\r\na.mp3\t"Well\t\r\n\r\nb.mp3\tsaid "no"\tscots\r\n')
    found = list(rows(table, ["path"]))
    assert found == [
        {"path": "a.mp3", "sentence": '"Well', "accent": ""},
        {"path": "b.mp3", "sentence": 'said "no"', "accent": "scots"},
    ]


def test_only_a_line_feed_ends_a_line(tmp_path):
    text = tmp_path / "t.txt"
    text.write_bytes("one\u2028still one\x0band\x85this\ntwo\n".encode())
    assert list(texts(text)) == ["one\u2028still one\x0band\x85this", "two"]


def test_a_line_that_is_not_utf_8_may_be_of_an_older_encoding(tmp_path):
    text = tmp_path / "t.txt"
    text.write_bytes("Café\r\n".encode() + "Café".encode("latin-1"))
    assert list(texts(text, older="latin-1")) == ["Café", "Café"]
    assert list(texts(text))[1].reason == ENCODING


def test_what_is_no_row_is_named_by_its_line(tmp_path):
    table = tmp_path / "t.tsv"
    table.write_bytes(b"path\tsentence\nshort\na\tb\nc\t\xff\n")
    short, good, latin = rows(table)
    assert (short.item, short.reason) == (f"{table}, line 2", FORM)
    assert good == {"path": "a", "sentence": "b"}
    assert (latin.item, latin.reason) == (f"{table}, line 4", ENCODING)


def test_a_missing_column_is_named(tmp_path):
    (tmp_path / "t.tsv").write_text("file\tsentence\n")
    with pytest.raises(UsageError, match="no column path, only file, sentence"):
        list(rows(tmp_path / "t.tsv", ["path"]))


def test_text_is_composed(tmp_path):
    (tmp_path / "t.txt").write_bytes("u\u0308ber\n".encode())
    assert list(texts(tmp_path / "t.txt")) == ["über"]


def test_parallel_files_have_as_many_lines(tmp_path):
    (tmp_path / "a").write_text("1\n2\n")
    (tmp_path / "b").write_text("eins\nzwei\n")
    assert list(parallel(tmp_path / "a", tmp_path / "b")) == [("1", "eins"), ("2", "zwei")]
    (tmp_path / "b").write_text("eins\n")
    with pytest.raises(UsageError, match="different numbers of lines"):
        list(parallel(tmp_path / "a", tmp_path / "b"))


def test_a_backslash_makes_a_letter_of_what_follows(tmp_path):
    table = tmp_path / "t.tsv"
    table.write_bytes(b'path\tsentence\tage\r\na\tC:\\\\\\\tx "y\tte\\ens\nb\tone\\\ntwo\\\\\t\nc\tplain\t\\\n')
    assert list(rows(table, escapes=True)) == [
        {"path": "a", "sentence": 'C:\\\tx "y', "age": "teens"},
        {"path": "b", "sentence": "one\ntwo\\", "age": ""},
        {"path": "c", "sentence": "plain", "age": "\n"},
    ]
