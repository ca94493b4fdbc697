"""Emotion recognition: the emotion that a voice expresses."""

from wavllm_cli.tasks.task import Classes, Row, Step, Task


def _read(row: Row, text: str) -> str:
    from wavllm_cli.tasks.answers.emotion import read_emotion

    return read_emotion(text, _labels(row))


def _labels(row: Row) -> list[str]:
    """The words that name an emotion in this corpus: the choices offered, and right answers of one word."""
    words = [text.split() for text in row.accepted]
    return [*(row.choices or ()), *(word[0] for word in words if len(word) == 1)]


TASK = Task(
    code="er",
    name="emotion recognition",
    order=40,
    answered_by="emotion",
    aliases=("emo",),
    classes=Classes("emotion", ("accuracy", "balanced_accuracy", "macro_f1"), _read),
    form="emotion",
    steps={"er": Step("The emotion of the speaker is: ")},
    asks="name the emotion that the speaker's voice expresses",
    demands="The answer is the name of one emotion.",
    constraints=("one word",),
    judged_as="name the emotion",
)
