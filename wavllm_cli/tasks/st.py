"""Speech translation: what is spoken, in another language."""

from wavllm_cli.tasks.task import Step, Task

TASK = Task(
    code="st",
    name="speech translation",
    order=20,
    answered_by="translation",
    answers_in="target",
    slot="{language}",
    metrics=("bleu", "chrf", "ter", "bertscore"),
    in_order=True,
    form="translation",
    steps={
        "st": Step("The {language} translation is: ", chain_role="translate", on_text=True),
        # Rows whose target is the translation of a summary that comes before.
        "summary-st": Step("The {language} translation is: ", chain_role="translate-summary", on_text=True),
    },
    asks="translate what is spoken in the audio into a target language, whose name will stand for {language}",
    demands="Each wording holds {language} exactly once and names no language itself.",
    constraints=("the translation alone",),
    judged_as="translate",
)
