"""Results as Markdown: the tables of `test_tables.py`, in which nothing is markup by chance."""

import re

from results import difference, figure, results, system, task

from wavllm_cli.scoring.report.markdown import markdown
from wavllm_cli.scoring.scores import Failure
from wavllm_cli.scoring.significance import Comparison


def cells(text, beginning):
    """The cells of the only Markdown line that begins so."""
    (line,) = [line for line in text.splitlines() if line.startswith(beginning)]
    return [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]


def test_facts_come_first_then_the_tables_then_signatures():
    text = markdown(results(system(asr=task(figure()))))
    assert text.startswith("# Scores\n\n- Test set: toy test\n- Hours: 1.00\n")
    assert cells(text, "| speech") == ["speech recognition (asr)", "word error rate ↓", "5.00 %", "4.00 … 6.00", "40"]
    assert text.index("## Scores: ours") < text.index("## Signatures\n\n- `wer|signed`")


def test_notes_stand_without_a_table_too():
    text = markdown(results(system(sqqa=task(not_scored=40))))
    assert "rows without a score: ours 40." in text and "|" not in text and "Signatures" not in text


def test_the_significantly_best_is_bold():
    systems = [system(name, asr=task(figure())) for name in "ab"]
    assert "**" not in markdown(results(*systems))
    assert markdown(results(*systems, best=[("asr", "wer", "b")])).count("**5.00 %**") == 1


def test_nothing_in_a_name_is_markup_and_every_row_has_all_cells():
    hostile = "a|b\n# `c` <script>_d_*"
    failed = [Failure("empty", [hostile], 40, hostile)]
    text = markdown(
        results(
            system(hostile, asr=task(figure(), failures=failed)),
            system("b", asr=task(figure())),
            comparisons=[Comparison(hostile, "b", [difference()])],
        )
    )
    tables = [block for block in text.split("\n\n") if block.startswith("|")]
    assert len(tables) == 3
    for table in tables:
        assert len({len(re.findall(r"(?<!\\)\|", line)) for line in table.splitlines()}) == 1
    assert r"a\|b \# \`c\` \<script\>\_d\_\*" in text
    assert not re.search(r"(?<!\\)<script", text)


def test_of_many_failing_rows_the_first_are_named():
    failed = [Failure("echo", list("uvwxyz"), 24, "worst: u"), Failure("refusal", ["x"], 24)]
    text = markdown(results(system("b", asr=task(failures=failed))))
    asr = "speech recognition (asr)"
    assert cells(text, f"| {asr} | echo") == [asr, "echo", "6 of 24", "25.00 %", "worst: u: u, v, w, x, y and 1 more"]
    assert cells(text, f"| {asr} | refusal")[-1] == "x"


def test_comparisons_have_all_columns():
    found = results(system("a"), system("b"), comparisons=[Comparison("a", "b", [difference()])])
    row = cells(markdown(found), "| speech")
    assert row[2:] == ["6.00 %", "5.00 %", "-1.00", "-2.00 … 0.00", r"\< 0.001", "0.030", "9 / 28 / 3"]


def test_what_is_invisible_can_be_seen():
    text = markdown(results(system("a\x1b[2J\x00\u202eb\x1fc", asr=task(figure()))))
    assert r"a\\x1b\[2J\\x00\\u202eb c" in text
