"""Whether wordings ask for what they are meant to, as the model says who does not know what that is."""

from collections.abc import Mapping, Sequence

from wavllm_cli.chat.request import Answer, Request
from wavllm_cli.chat.session import Chat
from wavllm_cli.prompts.pools import Wording
from wavllm_cli.tasks.registry import SINGLE, TASKS

CHECK = "task check"  # the stage of its requests
PER_CHECK = 25  # wordings
MAX_CHECK_TOKENS = 800
SHOWN_CHARACTERS = 60  # of a rejected wording

# Labels that no wording may get, what they mean, and the reason of the rejection.
FORM, TURNED, OTHER = "form", "turned", "other"
REJECTIONS = {
    FORM: "asks for a form that the targets lack",
    TURNED: "turns the question round",
    OTHER: "asks for another task",
}
OF_TASKS = {
    FORM: "one of these, but with an answer in a form of its own (JSON, Markdown, a list or table, headings, time "
    "stamps, speaker labels, upper case), or with reasons, explanations or a score beside it",
    TURNED: "whether there are two, several or different speakers, so that yes would mean that there is not only one",
    OTHER: "none of these, more than one of these, or not to be told",
}

CLASSIFY = """\
The material is a numbered list of {items}, in any language. Say for each which of these it is:
{classes}
Judge what it asks for, however it is worded. Give each number once, in order, with the name before the colon."""
INSTRUCTIONS = "instructions to a model that listens to audio"
CONNECTIVES = "phrases that lead over to an instruction, or instructions, within a prompt of several"


class Label(Answer):
    number: int
    task: str


class Labels(Answer):
    labels: list[Label]


def confirm(task: str, wordings: Sequence[Wording], chat: Chat) -> list[Wording]:
    """The wordings that the model, not knowing what they are for, takes to be for this task or their role in it."""
    answers = chat.ask(check_requests(task, [wording.text for wording in wordings]), stage=CHECK)
    labels: list[str | None] = []
    for start, answer in zip(range(0, len(wordings), PER_CHECK), answers, strict=True):
        labels += [label.task for label in answer.labels] if answer else [None] * len(wordings[start:][:PER_CHECK])
    confirmed = []
    for wording, label in zip(wordings, labels, strict=True):
        if label == (wording.role or task):
            confirmed.append(wording)
        elif label is not None:
            chat.reject(wording.text[:SHOWN_CHARACTERS], CHECK, REJECTIONS.get(label, REJECTIONS[OTHER]))
    return confirmed


def check_requests(task: str, texts: Sequence[str]) -> list[Request[Labels]]:
    """Requests to sort wordings among all tasks, or for ii and cot among the roles of that kind."""
    roles = {name: role.asks for name, role in TASKS[task].roles.items()}
    asked = {code: single.asks for code, single in SINGLE.items()}
    classes = roles | {OTHER: OF_TASKS[OTHER]} if roles else asked | OF_TASKS
    items = CONNECTIVES if roles else INSTRUCTIONS
    starts = range(0, len(texts), PER_CHECK)
    return [_check_request(items, classes, start, texts[start : start + PER_CHECK]) for start in starts]


def _check_request(items: str, classes: Mapping[str, str], start: int, texts: Sequence[str]) -> Request[Labels]:
    numbers = list(range(start + 1, start + len(texts) + 1))
    names = list(classes)

    def check(answer: Labels) -> str | None:
        if [label.number for label in answer.labels] != numbers:
            return "Each number of the list has to be given once, in order."
        if unknown := next((label.task for label in answer.labels if label.task not in classes), None):
            return f"There is no '{unknown}': the names are {', '.join(names)}."
        return None

    return Request(
        id=f"wordings {numbers[0]} to {numbers[-1]}",
        instructions=CLASSIFY.format(
            items=items, classes="\n".join(f"{name}: {what}" for name, what in classes.items())
        ),
        material={"instructions": [{"number": i, "text": text} for i, text in zip(numbers, texts, strict=True)]},
        example=Labels(labels=[Label(number=i, task=names[i % len(names)]) for i in numbers]),
        max_tokens=MAX_CHECK_TOKENS,
        check=check,
    )
