"""What is asked about a clip, and the right answer, from the texts that corpora have of it."""

from typing import TypedDict

from wavllm_cli.corpora import TRANSCRIBE, TRANSLATE
from wavllm_cli.errors import UsageError
from wavllm_cli.text.languages import known_language, language_tag
from wavllm_cli.text.noises import without_noises
from wavllm_cli.text.normalize import as_spoken


class Transcription(TypedDict):
    """Fields of an asr row."""

    task: str
    prompt: str
    target: str
    transcript: str | None
    language: str


class Translation(Transcription):
    """Fields of an st row."""

    target_language: str


def transcription(text: str, language: str, spoken: str | None = None) -> Transcription:
    """Fields of an asr row: the target as it is spoken, in lower case without punctuation and without noises.

    Args:
        text: as the corpus has it; it becomes the `transcript`.
        language: its code or its English name.
        spoken: the text without the marks that this corpus has for what nobody says.
    """
    tag = language_tag(language)
    target = as_spoken(without_noises(text) if spoken is None else spoken, tag)
    return {"task": "asr", "prompt": TRANSCRIBE, "target": target, "transcript": text, "language": tag}


def translation(text: str, language: str, translated: str, target_language: str) -> Translation:
    """Fields of an st row: the translation as it stands, with case and punctuation.

    Raises:
        UsageError: the language of the translation has no known name, which the instruction needs.
    """
    name = known_language(target_language)
    if name is None:
        raise UsageError(f"The target language {target_language} has no known name.")
    return {
        "task": "st",
        "prompt": TRANSLATE.format(language=name),
        "target": translated,
        "transcript": text or None,
        "language": language_tag(language),
        "target_language": language_tag(target_language),
    }
