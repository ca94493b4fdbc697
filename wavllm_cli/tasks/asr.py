"""Speech recognition: the words that are spoken, in the language in which they are spoken."""

from wavllm_cli.tasks.task import Step, Task

TASK = Task(
    code="asr",
    name="speech recognition",
    order=10,
    answered_by="text",
    answers_in="clip",
    metrics=("wer", "cer"),
    in_order=True,
    may_be_silent=True,
    form="transcript",
    steps={"asr": Step("The transcription is: ")},
    asks="write down the words that are spoken in the audio, in the language in which they are spoken",
    constraints=("in lower case", "without punctuation", "with numbers spelled out as words"),
    judged_as="transcribe",
)
