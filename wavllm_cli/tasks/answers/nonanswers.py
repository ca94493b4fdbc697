"""Text that answers nothing: refusals, echoes of the instruction, announcements, placeholders and chatter."""

import re

from wavllm_cli.text.lexicon import pattern, phrases, source
from wavllm_cli.text.words import common, content, share_in, stems, words

REFUSED_WITHIN = 200  # characters
SPOKEN = 0.7  # of a text's words stand in the transcript in its order: it is what is said in the clip
REPEATED = 0.8  # of a text's words are the instruction's, in its order: it says hardly anything else …
MOST = 0.6  # … and these are most of the instruction: a few words of it may be a part of an answer
FILLED = 0.5  # of a text's words at least, beside placeholders, for it to be an answer

_COURTESY, _CLOSING, _OPENING = (source("nonanswers", name) for name in ("courtesy", "closing", "opening"))
_CHATTER = re.compile(rf"(?:{_COURTESY}|{_CLOSING}.*|{_OPENING}[^:]{{0,80}})[\s!.,:)😊🙂👍]*", re.IGNORECASE)
_REFUSAL, _ANNOUNCEMENT = pattern("nonanswers", "refusal"), pattern("nonanswers", "announcement")
_PLACEHOLDER = re.compile(
    rf"[\[<{{][^\]>}}]{{2,60}}[\]>}}]|\.{{3,}}|…+|_{{3,}}|-+|{source('nonanswers', 'nothing')}", re.IGNORECASE
)
_SLOT = re.compile(
    rf"\[(?:{source('nonanswers', 'slot opening')}\s+)*{source('nonanswers', 'slot')}[^\]]*\]", re.IGNORECASE
)
_OUTRIGHT = re.compile(r"\W*(?:yes|no)\b|.*[.?!]\s(?:yes|no)\W*$", re.IGNORECASE)
_CONNECTIVES = phrases("nonanswers", "connectives")


def nothing_said(text: str, prompt: str = "", transcript: str = "") -> str | None:
    """Why a piece of an answer is no answer: "refusal", "echo", "announcement", "placeholder" or "chatter"; else None.

    Args:
        text: a sentence or a few.
        prompt: the instruction, to know an echo by.
        transcript: what is said in the clip: a transcription of "I'm sorry, I can't hear you" is no refusal.
    """
    said = words(text)
    if not said or _CHATTER.fullmatch(text.strip()):
        return "chatter"
    if is_echo(text, prompt):
        return "echo"
    if transcript and share_in(said, words(transcript)) > SPOKEN:
        return None
    if refuses(text):
        return "refusal"
    if _ANNOUNCEMENT.match(text.strip()):
        return "announcement"
    rest = _PLACEHOLDER.sub(" ", text)
    if _SLOT.search(text) or (rest != text and len(words(rest)) < max(2, FILLED * len(said))):
        return "placeholder"
    return None


def refuses(text: str) -> bool:
    """Whether a text begins with declining to answer."""
    return _REFUSAL.search(text[:REFUSED_WITHIN]) is not None


def is_echo(text: str, prompt: str) -> bool:
    """Whether a text hands an instruction back instead of answering it: most of its words, and none that carry more."""
    if not prompt or _OUTRIGHT.match(text):
        return False
    said = [word for word in words(text) if word not in _CONNECTIVES]
    asked = words(prompt)
    if len(said) < 3 or common(said, asked) < max(REPEATED * len(said), MOST * len(asked)):
        return False
    return not content(text) - content(prompt) - stems(" ".join(_CONNECTIVES))


def loops(text: str) -> bool:
    """Whether a text is stuck: of its last 40 words, or of all if they are at least 12, few are different ones."""
    if len(set(text.split()[-40:])) > 10:  # as nearly every text, and told without looking at its characters
        return False
    tail = words(text)[-40:]
    return len(tail) >= 12 and len(set(tail)) <= len(tail) // 4
