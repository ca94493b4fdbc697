import gzip
import io
import os
import sys
from threading import Thread
from types import SimpleNamespace

import pytest

from wavllm_cli.data.text_file import content, numbered_lines, text_lines
from wavllm_cli.errors import ManifestError, UsageError

TEXT = "für\r\n\r\nU+2028: \u2028 is no line end\nlast"
LINES = ["für", "", "U+2028: \u2028 is no line end", "last"]


@pytest.fixture(params=["plain", "mark", "gzip", "both"])
def data(request):
    data = TEXT.encode("utf-8-sig" if request.param in ("mark", "both") else "utf-8")
    return gzip.compress(data) if request.param in ("gzip", "both") else data


def test_a_file_is_read_by_its_content_whatever_its_name(tmp_path, data):
    for name in ("text.txt", "text.txt.gz"):
        (tmp_path / name).write_bytes(data)
        assert content(tmp_path / name) == TEXT.encode()
        assert text_lines(tmp_path / name) == LINES
        numbered = list(numbered_lines(str(tmp_path / name)))
        assert numbered[0] == (1, "für\r\n".encode()) and numbered[-1] == (4, b"last")


def test_standard_input_is_a_file_too(monkeypatch, data):
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(data)))
    assert text_lines("-") == LINES
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(UsageError, match=r"Standard input \(-\) is closed"):
        content("-")


def test_a_pipe_is_read_once(tmp_path, data):
    os.mkfifo(tmp_path / "pipe")
    writer = Thread(target=(tmp_path / "pipe").write_bytes, args=(data,))
    writer.start()
    assert text_lines(tmp_path / "pipe") == LINES
    writer.join()


def test_an_empty_file_has_no_lines(tmp_path):
    (tmp_path / "empty").touch()
    assert text_lines(tmp_path / "empty") == [] == list(numbered_lines(tmp_path / "empty"))


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ("a\nfür\n".encode("latin-1"), ", line 2: the text is not UTF-8."),
        ("für".encode("utf-16") + b"x", " begins as UTF-16, but not all of it is: have it in UTF-8, for example by"),
        ("für".encode("utf-32"), " begins as UTF-16, but"),
        (gzip.compress(os.urandom(500))[:60], " cannot be read: Compressed file ended"),
        (b"version https://git-lfs.github.com/spec/v1\noid", " is only a Git LFS pointer"),
    ],
    ids=["latin-1", "utf-16", "utf-32", "cut", "lfs"],
)
def test_what_is_wrong_is_named(tmp_path, data, said):
    (tmp_path / "x").write_bytes(data)
    with pytest.raises(ManifestError) as error:
        text_lines(tmp_path / "x")
    assert str(error.value).startswith(f"{tmp_path}/x{said}")


@pytest.mark.parametrize("mark, encoding", [("", "utf-16"), ("\ufeff", "utf-16-be"), ("\ufeff", "utf-16-le")])
def test_utf_16_is_read_also_where_it_is_packed(tmp_path, mark, encoding):
    text = f"{mark}für\nsüß ✓ 😀\n".encode(encoding)
    (tmp_path / "x").write_bytes(text)
    (tmp_path / "y").write_bytes(gzip.compress(text))
    assert text_lines(tmp_path / "x") == text_lines(tmp_path / "y") == ["für", "süß ✓ 😀"]
    assert content(tmp_path / "x") == "für\nsüß ✓ 😀\n".encode()


def test_what_is_no_file_is_named(tmp_path):
    with pytest.raises(ManifestError, match=r"is a folder, not a file\."):
        content(tmp_path)
    with pytest.raises(ManifestError, match="does not exist"):
        list(numbered_lines(tmp_path / "gone"))
