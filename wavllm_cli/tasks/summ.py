"""Summarisation: what a recording says, in a few words."""

from wavllm_cli.tasks.task import Task

TASK = Task(
    code="summ",
    name="speech summarisation",
    order=80,
    answered_by="summary",
    aliases=("summarisation", "summarization"),
    has_own_prompt=True,  # which may say how long the summary is to be; no wording of the pool does
    metrics=("rouge1", "rouge2", "rougeL", "bertscore"),
    form="summary",
    asks="summarise what is said in the audio",
    demands="None says how long the summary is to be, what it is to leave out, or in which language it is to be.",
    judged_as="summarise",
)
