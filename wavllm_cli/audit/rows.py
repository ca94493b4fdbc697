"""What can be wrong with a row as it is written: a function for each fault, which says what, or None."""

import re
from collections.abc import Callable, Iterator
from os.path import basename, splitext

from wavllm_cli.data.schema import Utterance
from wavllm_cli.errors import shortened
from wavllm_cli.tasks.registry import TASKS
from wavllm_cli.text.scripts import foreign_letters, garbled

# Names of rows and files that are no words of a text: with a digit and something else, or long numbers.
_NAME = re.compile(r"(?=.*\d)(?=.*\D).{3,}|\d{6,}", re.DOTALL)
_EDGES = re.compile(r"^\W+|\W+$")
_LETTERED = re.compile(r"\(?([A-Z])\)?(?:[.):]\s.*)?", re.DOTALL)


def texts(row: Utterance) -> Iterator[tuple[str, str, str | None]]:
    """Yield (what it is, text, language if known) of everything that is said or answered."""
    languages = {"clip": row.language, "target": row.target_language}
    answers = [("target", row.task, text) for text in (row.target, *(row.references or ()))]
    answers += [(f"target of part {i}", part.task, part.target) for i, part in enumerate(row.parts or (), 1)]
    for name, task, text in answers:
        if text:
            yield name, text, languages.get(TASKS[task].answers_in or "")
    said = [("transcript", row.transcript), *(("turn", turn.text) for turn in row.turns or ())]
    for name, text in said:
        if text:
            yield name, text, row.language


def no_audio(row: Utterance) -> str | None:
    if row.audio is None and not row.awaits_speech and TASKS[row.task].needs_audio:
        return f"its audio is null, and {TASKS[row.task].name} needs some"
    return None


def not_spoken(row: Utterance) -> str | None:
    return "its speech_text waits for a voice (wavllm prep speak)" if row.awaits_speech else None


def no_target(row: Utterance) -> str | None:
    if row.target is None:
        return "it has no target"
    for number, part in enumerate(row.parts or (), 1):
        if not (part.target or "").strip():
            return f"part {number} has no target"
    if row.target.strip() or _says_nothing(row):
        return None
    return "its target is empty"


def _says_nothing(row: Utterance) -> bool:
    """Whether a row means that nothing is said: its transcript is there, and empty too."""
    return TASKS[row.task].may_be_silent and row.transcript is not None and not row.transcript.strip()


def not_a_choice(row: Utterance) -> str | None:
    if not row.choices or not row.target or row.target in row.choices:
        return None
    lettered = _LETTERED.fullmatch(row.target)
    if lettered and ord(lettered[1]) - ord("A") < len(row.choices):
        return None
    if row.target.casefold() in map(str.casefold, row.choices):
        return f"its target {row.target!r} is written otherwise among its choices"
    return f"its target {shortened(row.target)!r} is none of its choices"


def foreign(row: Utterance) -> str | None:
    for name, text, language in texts(row):
        if language and (found := foreign_letters(text, language)):
            return f"{shortened(found)!r} in its {name} is not {language}"
    return None


def no_text(row: Utterance) -> str | None:
    for name, text, _ in texts(row):
        if found := garbled(text):
            return f"{shortened(found)!r} in its {name}"
    return None


def id_in_text(row: Utterance) -> str | None:
    names = {name for name in (row.id, *_stems(row)) if _NAME.fullmatch(name)}
    for kind, text, _ in texts(row):
        for word in text.split() if any(name in text for name in names) else ():
            if word in names or _EDGES.sub("", word) in names:
                return f"its {kind} has {shortened(word)!r} in it"
    return None


def _stems(row: Utterance) -> Iterator[str]:
    return (splitext(basename(name))[0] for name in row.files)


CHECKS: dict[str, Callable[[Utterance], str | None]] = {
    "no-audio": no_audio,
    "not-spoken": not_spoken,
    "no-target": no_target,
    "not-a-choice": not_a_choice,
    "foreign-letters": foreign,
    "garbled-text": no_text,
    "id-in-text": id_in_text,
}
