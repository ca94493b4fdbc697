"""What stands before each step's answer in the targets of multi-task rows, and so in what models answer."""

import re

# Rows of a task that is not here cannot be steps.
LEAD_INS = {
    "asr": "The transcription is: ",
    "st": "The {language} translation is: ",
    "sv": "The answer about the speaker is: ",
    "er": "The emotion of the speaker is: ",
    "sqa": "The answer to the question about the audio is: ",
    "sft": "The answer to the text instruction is: ",
    "about-clip": "The answer to the instruction about the audio is: ",
    "summary": "The summary is: ",
    "summary-st": "The {language} translation is: ",
}
_TASKS = {"about-clip": "sft", "summary": "sft", "summary-st": "st"}
_PATTERNS = {
    name: re.compile(re.escape(lead_in.strip(" :")).replace(r"\{language\}", r"\w+"), re.IGNORECASE)
    for name, lead_in in LEAD_INS.items()
}


def task_led_in(label: str) -> str | None:
    """The task whose answer a label leads in: "The German translation is" -> "st"."""
    found = next((name for name, pattern in _PATTERNS.items() if pattern.fullmatch(label.strip())), None)
    return found and _TASKS.get(found, found)
