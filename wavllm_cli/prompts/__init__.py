"""The text side of the training data: pools of instruction wordings and the composition of multi-task rows."""

from collections.abc import Iterator


def shipped_texts() -> Iterator[str]:
    """Every wording that comes with the package, for a tokenizer that should know their words."""
    from wavllm_cli.prompts.pools import load_pool, load_roles
    from wavllm_cli.tasks.registry import MULTI, STEPS, UNPROMPTED

    for task in UNPROMPTED:
        yield from load_pool(task)
    for kind in MULTI:
        for wordings in load_roles(kind).values():
            yield from wordings
    yield from (step.lead_in for step in STEPS.values())
