"""Whether an instruction is a plain request for a transcript, as the pools of wordings show what people write.

It is one if it consists of words that the wordings of speech recognition consist of, and is likelier one of those than
one of any other task (naive Bayes over which words are there, each kind of wording as likely as the other). A word
that no request for a transcript has, "summarize", "German", asks for something else, and so does one that some of them
forbid.
"""

from collections import Counter
from collections.abc import Iterable
from functools import cache
from math import log

from wavllm_cli.prompts.pools import load_pool, load_roles
from wavllm_cli.prompts.wording_checks import PLACEHOLDER
from wavllm_cli.tasks.registry import MULTI, SINGLE
from wavllm_cli.text.lexicon import pattern
from wavllm_cli.text.normalize import basic
from wavllm_cli.text.words import words

TRANSCRIPTION = "asr"


def asks_for_transcript(instruction: str) -> bool:
    """Whether the words that are spoken, as they are spoken, are the whole answer."""
    if basic(instruction) in map(basic, load_pool(TRANSCRIPTION)):
        return True
    evidence = _evidence()
    said = set(words(instruction))
    return bool(said) and said <= evidence.keys() and sum(evidence[word] for word in said) > 0


@cache
def _evidence() -> dict[str, float]:
    """Of each word of the pool: log of how much likelier a request for a transcript has it than another wording."""
    others = [wording for code in SINGLE if code != TRANSCRIPTION for wording in load_pool(code)]
    others += [wording for kind in MULTI for role in load_roles(kind).values() for wording in role]
    negation = pattern("choices", "negation")  # what stands behind it is not asked for
    mine = [negation.split(wording, maxsplit=1)[0] for wording in load_pool(TRANSCRIPTION)]
    theirs = [PLACEHOLDER.sub("", wording) for wording in others]
    ours, foreign = _holding(mine), _holding(theirs)
    return {word: log(_share(ours[word], len(mine)) / _share(foreign[word], len(theirs))) for word in ours}


def _holding(wordings: Iterable[str]) -> Counter[str]:
    """In how many wordings each word is."""
    return Counter(word for wording in wordings for word in set(words(wording)))


def _share(holding: int, wordings: int) -> float:
    """Of wordings, by Laplace's rule: what was never seen is not impossible."""
    return (holding + 1) / (wordings + 2)
