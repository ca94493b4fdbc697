"""Independent instructions: several in one prompt, about a recording or to ignore it for."""

from wavllm_cli.tasks.task import Role, Task

TASK = Task(
    code="ii",
    name="independent instructions",
    order=100,
    has_own_prompt=True,
    metrics=("ifr", "instructions"),
    roles={
        "first": Role("a connective that introduces the first of several instructions, such as 'First'"),
        "next": Role(
            "a connective that introduces a further instruction, neither the first nor the last, such as 'Next'"
        ),
        "last": Role("a connective that introduces the last of several instructions, such as 'Finally'"),
        "text": Role("a clause before an instruction that says to ignore the audio for it"),
    },
)
