import pytest

from wavllm_cli.text.sentences import sentences


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        ("One. Two! Three?", ["One.", "Two!", "Three?"]),
        ("Dr. Smith met Mrs. Jones at 3.5 km. They left.", ["Dr. Smith met Mrs. Jones at 3.5 km.", "They left."]),
        ("The answer is no. It is.", ["The answer is no.", "It is."]),
        ("A title\n\nand no stop", ["A title\n\nand no stop"]),
        ("他来了。真的！", ["他来了。", "真的！"]),
        ("Das ist z.B. ein Hund. Ja.", ["Das ist z.B. ein Hund.", "Ja."]),
    ],
)
def test_sentences_end_where_no_abbreviation_does(text, expected):
    assert sentences(text) == expected
