"""What transcripts of conversations hold beside words, in `marks/CORPUS.yaml`: add what you find to it."""

import re
from collections.abc import Sequence
from functools import cache, lru_cache
from importlib.resources import files

import yaml

from wavllm_cli.text.normalize import as_spoken


def without_marks(text: str, corpus: str) -> str:
    """The words of a line, as the corpus writes them."""
    for pattern, put in _rules(corpus):
        text = pattern.sub(put, text)
    return " ".join(text.split())


def spoken_words(text: str) -> str:
    """What a recogniser is to write: lower case, no punctuation, apostrophes kept: nothing is quoted in speech."""
    return " ".join(filter(None, map(_spoken, text.split())))


_spoken = lru_cache(1 << 16)(as_spoken)  # a few words make up most of what people say


@cache
def _rules(corpus: str) -> Sequence[tuple[re.Pattern[str], str]]:
    text = files("wavllm_cli.corpora").joinpath("marks", f"{corpus}.yaml").read_text(encoding="utf-8")
    return [(re.compile(rule["find"], re.IGNORECASE), rule["put"]) for rule in yaml.safe_load(text)]
