import pytest

from wavllm_cli.corpora import Skipped
from wavllm_cli.corpora.importers.delimited import rows
from wavllm_cli.errors import UsageError


@pytest.fixture
def table(tmp_path):
    """Function: rows of a table with this content."""

    def read(content, columns=None, quotes=None):
        path = tmp_path / "table.csv"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return list(rows(path, columns, quotes))

    return read


GOOD = [(2, {"file": "a.wav", "text": "one"}), (3, {"file": "b.wav", "text": "two"})]


@pytest.mark.parametrize("content", [
    "file,text\na.wav,one\nb.wav,two\n",
    "file;text\na.wav;one\nb.wav;two",
    "file\ttext\r\na.wav\tone\r\nb.wav\ttwo\r\n".encode("utf-16"),
    "file\ttext\r\na.wav\tone\r\nb.wav\ttwo\r\n",
    "file|text\na.wav|one\nb.wav|two\n\n",
    "\ufefffile,text\na.wav,one\nb.wav,two\n,\n",
    '"file","text"\n"a.wav","one"\n"b.wav","two"\n',
    "file , text\na.wav, one\nb.wav ,two\n",
])  # fmt: skip
def test_the_forms_in_which_tables_come(table, content):
    assert table(content) == GOOD


def test_a_line_of_excels_own(table):
    assert table("sep=;\nfile;text\na.wav;1,5\n") == [(3, {"file": "a.wav", "text": "1,5"})]


def test_quotation_marks_around_fields(table):
    content = 'file,text,n\na.wav,"He said ""hi"", then left",1\nb.wav,"two\nlines",2\nc.wav,three,3\n'
    assert [(n, row["text"]) for n, row in table(content)] == [
        (2, 'He said "hi", then left'),
        (3, "two\nlines"),
        (5, "three"),
    ]


def test_quotation_marks_that_are_letters(table, capsys):
    assert [row["text"] for _, row in table('path\ttext\na\t"Go on\nb\tstop," he said\nc\t"All of it."\n')] == [
        '"Go on',
        'stop," he said',
        '"All of it."',
    ]
    assert [row["text"] for _, row in table('path,text\na,"Go on\nb,stop\nc,5" wide\n')] == [
        '"Go on',
        "stop",
        '5" wide',
    ]
    assert "quotation marks are read as parts of the text" in capsys.readouterr().err


def test_tabs_with_marks_around_what_holds_a_tab(table):
    assert table('path\ttext\na\t"one\ttwo"\nb\tthree\n')[0] == (2, {"path": "a", "text": "one\ttwo"})


def test_the_user_may_say_what_they_are(table):
    content = 'path\ttext\na\t"All of it."\n'
    assert table(content, quotes="marks")[0][1]["text"] == "All of it."
    with pytest.raises(UsageError, match=r"line 3: its quotation marks do not fit"):
        table('path,text\na,b\nc,"open\n', quotes="marks")


def test_marks_that_fit_no_reading_are_an_error_with_the_line(table):
    with pytest.raises(UsageError, match=r"table\.csv, line 3: .*--quotes letters"):
        table('path,text\na,"one, two"\nb,"three, "four" five"\n')


def test_a_line_that_is_no_row(table):
    (_, good), (number, bad) = table("path,text\na,one\nb,two,three\n")
    assert good["text"] == "one" and number == 3
    assert isinstance(bad, Skipped) and bad.reason == "form" and "3 fields where the header has 2" in bad.detail


def test_only_a_line_feed_ends_a_line(table):
    assert table("path,text\na,one\u2028two\x0bthree\x85four\n")[0][1]["text"] == "one\u2028two\x0bthree\x85four"


@pytest.mark.parametrize("encoding, said", [("cp1252", "CP1252"), ("latin-1", "Latin-1")])
def test_other_encodings_are_read_and_named(table, capsys, encoding, said):
    text = "Übung" + ("\x81" if encoding == "latin-1" else "€")
    assert table(f"path;text\na;{text}\n".encode(encoding))[0][1]["text"] == text.strip()
    assert f"is read as {said}" in capsys.readouterr().err


def test_no_header(table):
    content = 'LJ001-0001|"Printing," in the only sense|printing\nLJ001-0002|in being|in being\n'
    assert table(content, ["id", "raw", "text"])[0] == (
        1,
        {"id": "LJ001-0001", "raw": '"Printing," in the only sense', "text": "printing"},
    )


@pytest.mark.parametrize("content, says", [
    (b"PK\x03\x04\0\0", "export a spreadsheet as CSV"),
    (b"a,a\n1,2\n", "two columns 'a'"),
])  # fmt: skip
def test_no_table(table, content, says):
    with pytest.raises(UsageError, match=says):
        table(content)


def test_an_empty_file_has_no_rows(table):
    assert table("") == []
