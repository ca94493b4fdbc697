"""What a model thinks aloud before its answer, as some do between tags."""

import re

_THOUGHT = re.compile(r"<(think|thinking|reasoning)>.*?(?:</\1>|\Z)", re.DOTALL | re.IGNORECASE)
_TAIL = re.compile(r"\A.*</(?:think|thinking|reasoning)>", re.DOTALL | re.IGNORECASE)


def without_thinking(text: str) -> str:
    """`"<think>Hm.</think> Yes."` -> `"Yes."`

    A thought without an end has no answer behind it. One without a beginning is one too: some templates write the first
    tag themselves.
    """
    if "<" not in text or not (_THOUGHT.search(text) or _TAIL.search(text)):
        return text
    return _TAIL.sub("", _THOUGHT.sub("", text)).strip()
