import ast
import io
import json
import math
from pathlib import Path

import pytest
from rich.cells import cell_len
from rich.console import Console

from wavllm_cli import console

COLUMNS = ["task", "system", ">95 %\ninterval", ">rows"]
ROWS = [("asr", "a system with a name of many words", "1.93 … 2.29", 2617), ("st", "ours", "–", 5)]


@pytest.fixture
def lines():
    """Function: width of a terminal or None, and what `table` takes -> title, and lines without the borders."""

    def print_table(width, *args, **options):
        file = io.StringIO()
        output = Console(
            file=file, width=width, force_terminal=width is not None, color_system=None, highlight=False, soft_wrap=True
        )
        console.table("Title [of] it", *args, output, **options)
        title, *table = file.getvalue().splitlines()
        assert width is None or all(cell_len(line) <= width for line in table)
        assert len({cell_len(line) for line in table}) == 1
        rows = [line[1:-1].replace("┃", "│").split("│") for line in table if line[0] in "│┃"]
        return title, [[cell[1:-1] for cell in row] for row in rows]

    return print_table


def test_numbers_are_to_the_right_and_text_to_the_left(lines):
    title, (head, *rows) = lines(100, COLUMNS, ROWS)
    assert title == "Title [of] it"
    assert head == ["task", f"{'system':34}", "95 % interval", "rows"]
    assert rows == [
        ["asr ", "a system with a name of many words", "  1.93 … 2.29", "2617"],
        ["st  ", f"{'ours':34}", f"{'–':>13}", "   5"],
    ]


@pytest.mark.parametrize("right", [True, False])
def test_without_marks_all_columns_but_the_first_are_on_one_side(lines, right):
    _, (_, *rows) = lines(80, ["what", "count"], [("a", 1), ("bcdefg", 12)], right=right)
    assert rows == [["a     ", "    1" if right else "1    "], ["bcdefg", "   12" if right else "12   "]]


def test_a_narrow_terminal_breaks_names_and_texts_but_no_number(lines):
    _, rows = lines(45, COLUMNS, ROWS)
    columns = [[cell.strip() for cell in column if cell.strip()] for column in zip(*rows, strict=True)]
    assert columns[2] == ["95 %", "interval", "1.93 … 2.29", "–"]
    assert columns[3] == ["rows", "2617", "5"]
    assert " ".join(columns[1]) == "system a system with a name of many words ours"


def test_a_long_word_is_broken_rather_than_cut_off(lines):
    _, rows = lines(30, ["task", "system", ">n"], [("asr", "WavLLM_fairseq.clean.greedy", 1)])
    assert "".join(row[1].strip() for row in rows[1:]) == "WavLLM_fairseq.clean.greedy"


def test_where_there_is_no_terminal_nothing_is_broken(lines):
    text = "word " * 60 + "end"
    _, rows = lines(None, COLUMNS, [("asr", text, "1 … 2", 3)])
    assert rows[1][1] == text


def test_what_looks_like_markup_is_printed(lines):
    _, rows = lines(80, ["what", ">n "], [("[bold]x[/bold]", "[red]")])
    assert [cell.strip() for cell in rows[-1]] == ["[bold]x[/bold]", "[red]"]


# --- what steers a terminal ---

NASTY = "i\x1b]0;title\x07\x1b[2J\x9b31m\x7f\x00\u202eabc\u2066\u2069\u200e\u200f\u061c\u2028\u2029\r\x85\udcff"
SEEN = r"i\x1b]0;title\x07\x1b[2J\x9b31m\x7f\x00\u202eabc\u2066\u2069\u200e\u200f\u061c\u2028\u2029\r\x85\xff"


def test_what_steers_a_terminal_is_shown_and_nothing_else_is_changed():
    assert console.visible(NASTY) == SEEN
    plain = "Größe 你好 नमस्ते \u200d👩\u200d👧 مرحبا [bold] :smile: \\x1b\n\tend"
    assert console.visible(plain) == plain
    assert console.visible("a\nb\tc", keep="") == r"a\nb\tc"


@pytest.mark.parametrize("printed", [console.info, console.warn, console.error])
def test_a_message_is_one_line_that_steers_nothing(capsys, printed):
    printed(f"{NASTY}\nnext [red]:smile:")
    out, err = capsys.readouterr()
    assert out == "" and err.removeprefix("warning: ").removeprefix("error: ") == f"{SEEN}\\nnext [red]:smile:\n"


def test_of_a_very_long_message_beginning_and_end_are_shown(capsys):
    console.error(f"begin {'x' * 100_000} end")
    line = capsys.readouterr().err
    assert len(line) < 2100
    assert line.startswith("error: begin xxx") and "… (98,010 characters left out) …" in line
    assert line.endswith("xxx end\n")


def test_an_answer_keeps_its_lines_and_tabs_and_steers_nothing(capsys):
    console.say(f"one\t two \n\n[b]:smile:{NASTY}")
    assert capsys.readouterr().out == f"one\t two \n\n[b]:smile:{SEEN}\n"


def test_json_escapes_what_steers_a_terminal_and_has_no_nan(capsys):
    value = {"id": NASTY, "ü": "ß", "figures": (1.5, math.nan, [math.inf])}
    console.say_json(value)
    out = capsys.readouterr().out
    assert not console.STEERING.search(out.replace("\n", ""))
    assert "ß" in out
    assert json.loads(out) == value | {"figures": [1.5, None, [None]]}


def test_nothing_in_a_table_steers_a_terminal(lines):
    title, rows = lines(None, ["what", ">n"], [(NASTY, 3)])
    assert rows[1] == [SEEN, "3"]
    title, _ = lines(400, ["what", ">n"], [("a\nb" + "x" * 1000, 3)])
    assert title == "Title [of] it"


def test_words_of_a_server_steer_no_progress_display():
    column = console.WordsColumn(lambda task: task)
    assert column.render("[red]\x1b[2J").plain == r"[red]\x1b[2J"
    assert len(column.render("x" * 1000).plain) < 110


# --- logs ---


@pytest.fixture
def clock(monkeypatch):
    """A list with the seconds that a progress display takes for the time."""
    now = [0.0]
    monkeypatch.setattr(console, "monotonic", lambda: now[0])
    return now


def test_a_log_gets_a_line_now_and_then_and_one_at_the_end(clock, capsys):
    for _ in console.track(range(300), "listening"):
        clock[0] += 1
    first, *minutes, last = capsys.readouterr().err.splitlines()
    assert first.startswith("listening: 10 of 300 in 10 s, about ")
    assert [line.split(",")[0] for line in minutes] == [
        f"listening: {n} of 300 in {n // 60} min {n % 60} s" for n in (70, 130, 190, 250)
    ]
    assert last == "listening: 300 of 300, 5 min 0 s in all"


def test_a_log_gets_nothing_of_what_is_quickly_done(clock, capsys):
    for _ in console.track(range(9), "listening"):
        clock[0] += 1
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0, "0.00"), (0.04, "0.04 s"), (9.6, "9.6 s"), (75, "1 min 15 s"), (359, "5 min 59 s"), (360, "0.10 h"),
     (9e6, "2,500.00 h")],
)  # fmt: skip
def test_little_audio_is_more_than_no_hours(seconds, said):
    assert console.hours(seconds / 3600, " h") == (said if seconds else "0.00 h")
    assert console.hours(seconds / 3600) == said.removesuffix(" h")


def test_a_terminal_gets_its_lines_broken_between_words(monkeypatch):
    file = io.StringIO()
    monkeypatch.setattr(console, "err", console._Stream(file=file, width=30, force_terminal=True, color_system=None))
    console.error("The recipe names a manifest that is not there: /data/train.jsonl")
    assert [line.rstrip() for line in file.getvalue().splitlines()] == [
        "error: The recipe names a",
        "manifest that is not there:",
        "/data/train.jsonl",
    ]


# --- narrow terminals ---

NARROW = (
    ["task", "metric", ">value", ">95 %\ninterval", ">rows"],
    [("asr", "wer ↓", "50.00 %", "50.00 … 51.25", 3000)],
)


@pytest.mark.parametrize("width", [1, 8, 20, 36, 40, 44, 80])
def test_no_digit_and_no_name_is_lost_however_narrow(width):
    file = io.StringIO()
    output = Console(file=file, width=width, force_terminal=True, color_system=None, soft_wrap=True)
    console.table("Scores", *NARROW, output)
    text = file.getvalue()
    for whole in ("asr", "50.00 %", "50.00 … 51.25", "3000", "wer ↓", "metric", "interval"):
        assert whole in text, whole


def test_what_fits_no_grid_is_lines_that_repeat_what_columns_would_share():
    file = io.StringIO()
    output = Console(file=file, width=20, force_terminal=True, color_system=None, soft_wrap=True)
    rows = [("asr", "wer ↓", "1.00 %"), ("asr", "cer ↓", "123456789.00 %")]
    console.table("Scores", ["task", "metric", ">value"], rows, output, merged=2)
    expected = "Scores\ntask: asr\nmetric: wer ↓\nvalue: 1.00 %\n\ntask: asr\nmetric: cer ↓\nvalue:\n123456789.00 %\n\n"
    assert file.getvalue() == expected


def test_merged_columns_do_not_repeat_what_stands_above(lines):
    rows = [("asr", "wer", 1), ("asr", "wer", 2), ("asr", "cer", 2), ("st", "cer", 2)]
    _, (_, *shown) = lines(80, ["task", "metric", ">n"], rows, merged=2)
    assert [[cell.strip() for cell in row] for row in shown] == [
        ["asr", "wer", "1"],
        ["", "", "2"],
        ["", "cer", "2"],
        ["st", "cer", "2"],
    ]


def test_everything_is_printed_here():
    """What is printed elsewhere could steer the terminal."""
    package = Path(console.__file__).parent
    for path in package.rglob("*.py"):
        calls = [node.func for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]
        names = {call.id for call in calls if isinstance(call, ast.Name)}
        names |= {call.attr for call in calls if isinstance(call, ast.Attribute)} - {"print"}
        found = names & {"print", "echo", "secho", "Console"}
        assert found <= {"console.py": {"print"}, "help.py": {"Console"}, "app.py": {"echo"}}.get(path.name, set()), (
            path
        )
