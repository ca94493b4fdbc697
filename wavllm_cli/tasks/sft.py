"""Instructions in writing, with or without a recording that they are about."""

from wavllm_cli.tasks.task import Step, Task

TASK = Task(
    code="sft",
    name="text instructions",
    order=70,
    needs_audio=False,
    has_own_prompt=True,
    slot="{prompt}",
    metrics=("rouge1", "rouge2", "rougeL", "exact", "bertscore"),
    form="request",
    steps={
        "sft": Step("The answer to the text instruction is: "),
        "about-clip": Step("The answer to the instruction about the audio is: "),
        "summary": Step("The summary is: ", chain_role="summarise"),  # such a row whose target is a summary
    },
    asks="do what a written text says that has nothing to do with any audio, and will stand for {prompt}",
    demands="Each wording is a frame around the text: it holds {prompt} exactly once. It mentions no audio unless to "
    "say that it does not matter.",
    judged_as="do what the text says",
)
