"""Spoken-query question answering: the question is asked in the recording itself."""

from wavllm_cli.tasks.task import Task

TASK = Task(
    code="sqqa",
    name="spoken-query question answering",
    order=60,
    has_own_prompt=True,  # none: the question is in the audio
    metrics=("rouge1", "rouge2", "rougeL", "bertscore"),
    asks="answer the question, or fulfil the request, that is spoken in the audio",
    demands="The question is in the audio and not in the wording; it is to be answered, not written down.",
    judged_as="answer the question that is asked in the recording",
)
