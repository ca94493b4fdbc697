"""The text side of the training data: pools of instruction wordings and the composition of multi-task rows."""

from collections.abc import Iterator


def shipped_texts() -> Iterator[str]:
    """Every wording that comes with the package, for a tokenizer that should know their words."""
    from wavllm_cli.prompts.pools import POOL_TASKS, load_pool, load_roles
    from wavllm_cli.text.lead_ins import LEAD_INS

    for task in POOL_TASKS:
        yield from load_pool(task)
    for kind in ("ii", "cot"):
        for wordings in load_roles(kind).values():
            yield from wordings
    yield from LEAD_INS.values()
