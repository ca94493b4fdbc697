"""Logs are for people: no state of theirs stops a training."""

import pytest

from wavllm_cli.training.logs import append_line, log_lines, make_way, truncate_log

GOOD = b'{"step": 1, "loss": 2.5}\n', b'{"step": 2, "note": "gr\xc3\xbc\xc3\x9fe"}\n'


@pytest.mark.parametrize(
    "bad", [b"garbage\n", b"\0\0\0\0\n", b"\xff\xfe\n", b"[1]\n", b'{"loss": 1}\n', b"\n", b"[" * 9999 + b"\n"]
)
def test_what_is_no_line_is_passed_over_and_dropped(tmp_path, capsys, bad):
    log = tmp_path / "log.jsonl"
    log.write_bytes(GOOD[0] + bad + GOOD[1] + b'{"step": 3}\n{"step": 2, "lo')
    assert [line["step"] for line in log_lines(log)] == [1, 2, 3]
    truncate_log(log, 2)
    assert log.read_bytes() == b"".join(GOOD)
    assert "log.jsonl: 1 lines cannot be read and are dropped." in capsys.readouterr().err


def test_a_whole_log_is_left_alone(tmp_path, capsys):
    log = tmp_path / "log.jsonl"
    log.write_bytes(b"".join(GOOD))
    stamp = log.stat().st_mtime_ns
    truncate_log(log, 2)
    assert log.stat().st_mtime_ns == stamp
    truncate_log(tmp_path / "none.jsonl", 2)
    assert not capsys.readouterr().err


def test_a_line_is_added_on_a_line_of_its_own(tmp_path):
    log = tmp_path / "log.jsonl"
    append_line(log, {"step": 1})
    log.write_bytes(log.read_bytes() + b'{"step": 2, "lo')
    append_line(log, {"step": 3})
    assert [line["step"] for line in log_lines(log)] == [1, 3]


def test_what_stands_in_the_way_is_put_aside(tmp_path, capsys):
    board = tmp_path / "tensorboard"
    board.write_text("mine")
    (tmp_path / "tensorboard.old1").write_text("older")
    make_way(board, board.is_dir())
    assert not board.exists()
    assert (tmp_path / "tensorboard.old2").read_text() == "mine"
    assert "it is tensorboard.old2 now" in capsys.readouterr().err
    (tmp_path / "log.jsonl").mkdir()
    truncate_log(tmp_path / "log.jsonl", 0)
    assert (tmp_path / "log.jsonl.old1").is_dir()
