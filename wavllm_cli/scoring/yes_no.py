"""Yes or no to "is there only one speaker?", read out of a free answer (sv)."""

import re

from wavllm_cli.scoring.commitment import NO_MENTION, from_json, negated, only, without_question
from wavllm_cli.scoring.nonanswers import nothing_said
from wavllm_cli.text.normalize import APOSTROPHES

# "is only one speaker" said in words; SEVERAL_SPEAKERS is looked for first, since "more than one speaker" holds both.
_PERSON = r"(?:speaker|talker|person|voice|individual|narrator|reader)"
SEVERAL_SPEAKERS = re.compile(
    rf"\b(?:(?:(?<!the )two|2|three|several|multiple|many|different)\b(?:\s+\w+){{0,2}}?\s+(?:{_PERSON}s|people)"
    rf"|\ba (?:man|male\b.{{0,20}})\b[^.]{{0,80}}\ba (?:woman|female)"
    rf"|\ba (?:woman|female\b.{{0,20}})\b[^.]{{0,80}}\ba (?:man|male)"
    rf"|\ban? \w+ and an?(?:other)? \w+ (?:are|is|talk|speak)|(?:conversation|dialogue) between|talking to each other"
    rf"|more than (?:one|1|a single)\b|one {_PERSON}\b[^.]{{0,80}}\band another\b|(?:another|second) (?:one|{_PERSON})"
    r"|(?:are|sound)(?: \w+)? different)\b"
)
ONE_SPEAKER = re.compile(
    rf"\b(?:(?:only|just) (?:one|1|a single)\b(?:\s+{_PERSON})?|(?:one|1|a single|same) (?:\w+ )?{_PERSON}"
    rf"|{_PERSON}s?\W+(?:one|1)|monologue|只有一个|the same\b(?! time)(?: {_PERSON})?"
    rf"|no (?:other|second) {_PERSON}|(?:no one|nobody) else)\b"
)
YES = ("yes", "yeah", "yep", "yup", "ja", "oui", "sí", "да", "是", "对", "はい")
YES_NO = re.compile(
    rf"^\W*({'|'.join(YES)}|no|nope|nah|nein|non|нет|不|いいえ)(?![a-zà-ÿ])"
    r"(?! (?:doubt|other|second|way|means|one else))"
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
    one, several = ("no", "yes") if asks_for_several(question) else ("yes", "no")
    found = {"yes" if (m[1] or m[2]) in YES else "no" for m in YES_NO.finditer(text) if not negated(text, m.start())}
    for pattern, meaning, opposite in ((SEVERAL_SPEAKERS, several, one), (ONE_SPEAKER, one, several)):
        for match in pattern.finditer(text):
            found.add(opposite if negated(text, match.start()) else meaning)
            text = text[: match.start()] + "." * len(match[0]) + text[match.end() :]
    return only(found)


def asks_for_several(question: str) -> bool:
    """Whether "yes" to this question means more than one speaker."""
    question = question.lower()
    rest = SEVERAL_SPEAKERS.sub(".", question)
    return rest != question and not ONE_SPEAKER.search(rest)
