"""Speaker verification: whether a recording has only one speaker."""

from wavllm_cli.tasks.task import Classes, Row, Step, Task


def _read(row: Row, text: str) -> str:
    from wavllm_cli.tasks.answers.yes_no import read_yes_no

    return read_yes_no(text, row.prompt)


TASK = Task(
    code="sv",
    name="speaker verification",
    order=30,
    classes=Classes("yes-no", ("accuracy", "balanced_accuracy"), _read),
    form="yes or no",
    steps={"sv": Step("The answer about the speaker is: ")},
    asks="say yes if only one person speaks in the whole audio, the same speaker throughout, and otherwise no",
    demands="Where a wording is a question, yes must mean that there is only one speaker: never ask whether there are "
    "two, several or different speakers.",
    constraints=("yes or no",),
    judged_as="answer yes or no about the speakers",
)
