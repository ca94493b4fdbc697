import pytest

from wavllm_cli.errors import ManifestError
from wavllm_cli.scoring.line_ids import keyed


def read(*files):
    return keyed([(f"{name}.txt", lines) for name, lines in zip(("ref", "hyp", "hyp2"), files, strict=False)])


@pytest.mark.parametrize(
    ("references", "hypotheses"),
    [
        (["u-1 A B", "u-2 C", "u-3"], ["u-2 c", "u-1 a b", "u-3 "]),  # Kaldi
        (["u-1\tA B", "u-2\tC", "u-3\t"], ["u-3\t", "u-2\tc", "u-1\ta b"]),
        (["A B (u-1)", "C (u-2)", "(u-3)"], ["c (u-2)", "a b (u-1)", " (u-3)"]),  # sclite
        (["u-1 A B", "u-2 C", "u-3"], ["c (u-2)", "a b (u-1)", "(u-3)"]),
    ],
)
def test_ids_say_which_lines_belong_together(references, hypotheses, capsys):
    assert read(references, hypotheses) == [
        {"u-1": "A B", "u-2": "C", "u-3": ""},
        {"u-1": "a b", "u-2": "c", "u-3": ""},
    ]
    assert "The lines have ids" in capsys.readouterr().err


def test_first_words_without_digits_are_ids_where_only_their_order_differs():
    lines = ["anna good day", "ben well", "cleo yes"]
    assert read(lines, lines[::-1], lines)[1] == {"anna": "good day", "ben": "well", "cleo": "yes"}
    assert read(lines, lines)[1]["1"] == "anna good day"


@pytest.mark.parametrize(
    "lines",
    [
        ["the cat sat", "on the mat"],
        ["2 dogs", "3 cats"],  # numbers may be words
        ["1995 was a year", "$5 is little", "3.5 km"],
        ["he left (laughs)", "she too (laughs)"],
        ["b2b sales", "b2b again"],
        [""],
    ],
)
def test_words_are_no_ids(lines):
    assert read(lines, lines) == [{str(n): line for n, line in enumerate(lines, 1)}] * 2


def test_what_does_not_fit_is_refused_with_the_cure():
    with pytest.raises(ManifestError, match=r"ref.txt has ids in its lines \(id words\), but hyp.txt has none: give"):
        read(["u-1 a", "u-2 b"], ["a", "b"])
    with pytest.raises(ManifestError, match=r"without an answer: 1 of 2 \(u-2\); answers to no line: 1 of 2 \(u-3\)"):
        read(["u-1 a", "u-2 b"], ["u-1 a", "u-3 b"])
    with pytest.raises(ManifestError, match=r"hyp\.txt has 1 lines, but ref\.txt has 2: line by line"):
        read(["a", "b"], ["a"])
