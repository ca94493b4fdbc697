"""Chain of thought: steps about a recording in one prompt, each of which builds on the answers before it."""

from wavllm_cli.tasks.task import Role, Task

# The chains that can be composed, where a clip has their steps.
CHAINS = (
    ("asr", "st"),
    ("asr", "sqa"),
    ("asr", "er"),
    ("asr", "sqa", "st"),
    ("asr", "er", "st"),
    ("asr", "summary"),
    ("asr", "summary", "summary-st"),
)

TASK = Task(
    code="cot",
    name="chain of thought",
    order=110,
    has_own_prompt=True,
    metrics=("ifr", "instructions"),
    roles={
        "first": Role("a connective that introduces the first step of a chain of steps, such as 'First'"),
        "given": Role(
            "a connective that introduces a next step, which is to use the audio and the text written so far"
        ),
        "text": Role(
            "a connective that introduces a next step, which is to use the text written so far and not the audio"
        ),
        "translate": Role("an imperative clause: translate the text written so far into {language}", "{language}"),
        "summarise": Role(
            "an imperative clause: summarise the text written so far in at most {words} words", "{words}"
        ),
        "translate-summary": Role(
            "an imperative clause: translate the summary written so far into {language}", "{language}"
        ),
    },
)
