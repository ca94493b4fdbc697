"""Spoken question answering: a written question about a recording, with lettered choices or a free answer."""

import re

from wavllm_cli.tasks.task import Classes, Row, Step, Task

LETTER = re.compile(r"[A-H]")


def _read(row: Row, text: str) -> str:
    from wavllm_cli.tasks.answers.choice import read_letter

    return read_letter(text, _choices(row), row.prompt)


def _choices(row: Row) -> list[str]:
    """The choices of a question; where only the right letter tells that there are some, letters without words."""
    from wavllm_cli.tasks.answers.choice import parse_choices

    found = row.choices or parse_choices(row.prompt)
    return list(found) or ([""] * 8 if LETTER.fullmatch(row.target or "") else [])


def _is_closed(row: Row) -> bool:
    return bool(_choices(row))


TASK = Task(
    code="sqa",
    name="spoken question answering",
    order=50,
    aliases=("gaokao",),
    has_own_prompt=True,
    slot="{prompt}",
    slot_is_last=True,  # the last of the choices ends where the prompt ends
    metrics=("rouge1", "rouge2", "rougeL", "bertscore"),  # of free answers
    classes=Classes("letter", ("accuracy",), _read, _is_closed),
    form="letter",
    steps={"sqa": Step("The answer to the question about the audio is: ")},
    asks="choose among lettered answers to a written question about the audio, which will stand for {prompt}",
    demands="Each wording is a frame around the question: it says what to do and ends with {prompt}, which it holds "
    "exactly once. It holds no question about the content of a particular audio.",
    constraints=("the letter alone",),
    judged_as="answer a question about the recording",
)
