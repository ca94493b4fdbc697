import io

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
