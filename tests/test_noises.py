import pytest

from wavllm_cli.text.noises import without_noises


@pytest.mark.parametrize(
    "text, said",
    [
        ("(Laughter) Thank you. (Applause)", "Thank you."),
        ("So [laughs] there (the audience laughs and applauds) it is ()", "So there it is"),
        ("(I laughed.) Music (which I love) ends.", "(I laughed.) Music (which I love) ends."),
        ("(and the audience)", "(and the audience)"),
        ("No  brackets", "No  brackets"),
    ],
)
def test_only_what_nobody_says_goes(text, said):
    assert without_noises(text) == said
