import pytest

from wavllm_cli.text.thinking import without_thinking


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("<think>A or B?\nHm.</think>\n\nB", "B"),
        ("<THINK>a</THINK> B <think>c</think>", "B"),
        ("so A is wrong</think>B", "B"),
        ("<think>cut off", ""),
        ("<reasoning>A</reasoning>B", "B"),
        ("a < b, <b>bold</b> ", "a < b, <b>bold</b> "),
    ],
)
def test_what_is_thought_before_an_answer_is_not_the_answer(text, answer):
    assert without_thinking(text) == answer
