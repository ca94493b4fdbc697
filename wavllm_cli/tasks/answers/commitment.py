"""What the readers of a choice, of yes or no and of an emotion share: what an answer says itself, and what it denies.

An answer is never guessed: text that commits to nothing is `NO_MENTION`, text that commits to two things `SEVERAL`.
"""

import json
import re

from wavllm_cli.text.lexicon import phrases, source
from wavllm_cli.text.normalize import basic

NO_MENTION = "unanswered"
SEVERAL = "ambiguous"

NEGATED_WITHIN = 80  # characters before a mention

CLAUSE_END = re.compile(rf"[.,;:!?\n]|{source('choices', 'contrast')}")
NEGATION = re.compile(rf"{source('choices', 'negation')}(?:\W+\w+){{0,2}}\W*$")
_REJECTED = re.compile(
    rf"(?:(?!{source('choices', 'reason', 'contrast')}|[.,;\n]).){{0,30}}?"
    rf"(?:{source('choices', 'rejection')}|[–-] no\b|[❌✗✘])",
    re.IGNORECASE,
)


def from_json(text: str) -> str:
    """The answer in a JSON object: the value of a key like "answer", else all values; other text stays as it is."""
    try:
        values = json.loads(text.strip().removeprefix("```json").strip("`\n "))
    except (ValueError, RecursionError):
        return text
    if not isinstance(values, dict):
        return text if isinstance(values, list) else str(values)
    keys = phrases("choices", "answer key")
    named = {key: value for key, value in values.items() if any(word in key.lower() for word in keys)} or values
    return ". ".join(_as_text(value, key) for key, value in named.items())


def _as_text(value: object, key: str) -> str:
    """True and false as yes and no, the other way round under a key like "multiple_speakers"."""
    if isinstance(value, bool):
        return "yes" if value != bool(re.search(r"multi|several|two|more", key, re.IGNORECASE)) else "no"
    return str(value)


def without_question(text: str, question: str) -> str:
    """The text without a repetition of the question in it."""
    asked = basic(question).split()
    if len(asked) < 3:
        return text
    return re.sub(r"\W+".join(map(re.escape, asked)) + r"\W?", " ", text, count=1, flags=re.IGNORECASE)


def denied(text: str, start: int, end: int) -> bool:
    """Whether the mention from `start` to `end` is negated before or after itself ("A is wrong", "Two – incorrect")."""
    return negated(text, start) or _REJECTED.match(text, end) is not None


def negated(text: str, start: int) -> bool:
    """Whether a negation stands at most two words before `start` in the same clause ("it does not seem sad")."""
    clause = CLAUSE_END.split(text[max(0, start - NEGATED_WITHIN) : start])[-1]
    return NEGATION.search(clause) is not None


def only(found: set[str]) -> str:
    """The one thing that an answer commits to; `SEVERAL` of more, `NO_MENTION` of none."""
    if len(found) == 1:
        return next(iter(found))
    return SEVERAL if found else NO_MENTION


def is_read(answer: str) -> bool:
    """Whether a reader found one thing that an answer commits to."""
    return answer not in (NO_MENTION, SEVERAL)
