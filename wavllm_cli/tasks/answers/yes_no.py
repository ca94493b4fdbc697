"""Yes or no to "is there only one speaker?", read out of a free answer (sv)."""

import re

from wavllm_cli.tasks.answers.commitment import NO_MENTION, from_json, negated, only, without_question
from wavllm_cli.tasks.answers.nonanswers import nothing_said
from wavllm_cli.text.lexicon import pattern, phrases, source
from wavllm_cli.text.normalize import APOSTROPHES

YES, NO = phrases("yes_no", "yes"), phrases("yes_no", "no")
YES_NO = re.compile(
    rf"^\W*({'|'.join((*YES, *NO))})(?![a-zà-ÿ])(?! {source('yes_no', 'not after no')})"
    r"|(?<!says )\b(yes|no)\b(?=\s*(?:[.,;:!?\"')*]|$))"
)
QUESTION = re.compile(r"(?<![^.!?\n])\s*(?:[^\s.!?]+\s+){2,}[^\s.!?]+\s?\?")  # its own words commit to nothing
OPEN_QUESTION = re.compile(r"\b(?:whether|if|how many)\b[^.,;!?\n]*")


def read_yes_no(text: str, question: str = "") -> str:
    """Yes or no to "is there only one speaker?", said outright or in words ("they are two different people").

    Args:
        text: the answer.
        question: the instruction; one that asks for several speakers ("are there two speakers?") turns the words round.

    Returns:
        "yes", "no", `NO_MENTION` or `SEVERAL`.
    """
    text = without_question(from_json(text), question).lower().translate(APOSTROPHES)
    text = QUESTION.sub(" ", OPEN_QUESTION.sub(" ", text))
    if nothing_said(text) == "refusal" and not YES_NO.match(text):
        return NO_MENTION
    text = pattern("yes_no", "neither").sub(" ", text)
    one, several = ("no", "yes") if asks_for_several(question) else ("yes", "no")
    found = {"yes" if (m[1] or m[2]) in YES else "no" for m in YES_NO.finditer(text) if not negated(text, m.start())}
    # "more than one speaker" holds "one speaker", so that several are looked for first.
    for name, meaning, opposite in (("several", several, one), ("one", one, several)):
        for match in pattern("yes_no", name).finditer(text):
            found.add(opposite if negated(text, match.start()) else meaning)
            text = text[: match.start()] + "." * len(match[0]) + text[match.end() :]
    return only(found)


def asks_for_several(question: str) -> bool:
    """Whether "yes" to this question means more than one speaker."""
    question = pattern("yes_no", "neither").sub(" ", question.lower())
    rest = pattern("yes_no", "several").sub(".", question)
    return rest != question and not pattern("yes_no", "one").search(rest)
