"""Marks of noises in transcripts: words in brackets that nobody says. The words are in `lexicon/noises.yaml`."""

import re
from functools import cache

from wavllm_cli.text.lexicon import source


def without_noises(text: str) -> str:
    """`"(Laughter) Thank you (all) [ ]."` -> `"Thank you (all) ."`; what else stands in brackets is said."""
    return " ".join(_marks().sub(" ", text).split()) if "(" in text or "[" in text else text


@cache
def _marks() -> re.Pattern[str]:
    noise, around = (source("noises", name) for name in ("noise", "around"))
    between = r"[\s,;&]*"
    words = rf"(?:{around}{between})*{noise}(?:{between}(?:{noise}|{around}))*"
    return re.compile(rf"[(\[]\s*(?:{words})?\s*[)\]]", re.IGNORECASE)
