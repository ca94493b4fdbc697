"""The emotion that a free answer names (er)."""

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache

from wavllm_cli.tasks.answers.commitment import negated, only
from wavllm_cli.text.lexicon import lexicon, phrases
from wavllm_cli.text.normalize import APOSTROPHES

OTHERS = "others"  # words for emotions that are no class of any corpus
EMOTIONS: Mapping[str, tuple[str, ...]] = {
    name: phrases("emotions", name) for name in lexicon("emotions") if name != OTHERS
}
OTHER_EMOTIONS = phrases("emotions", OTHERS)  # `extra` ones, where naming any emotion is an answer


def read_emotion(text: str, extra: Iterable[str] = ()) -> str:
    """The emotion an answer names, as the key of `EMOTIONS` that it is a synonym of.

    Args:
        text: the answer.
        extra: further words that are emotions of their own (the labels of a corpus).

    Returns:
        The emotion, or `NO_MENTION` or `SEVERAL`.
    """
    text = text.lower().translate(APOSTROPHES)
    names, pattern = _names(tuple(extra))
    return only({names[m[1]] for m in pattern.finditer(text) if not negated(text, m.start())})


@lru_cache(maxsize=256)  # the rows of a corpus bring the same few labels again and again
def _names(extra: tuple[str, ...]) -> tuple[dict[str, str], re.Pattern[str]]:
    """The emotion that each word names, and a pattern that finds the words."""
    names = {word: emotion for emotion, synonyms in EMOTIONS.items() for word in synonyms}
    names = {word.lower(): word.lower() for word in extra} | names
    alternatives = "|".join(map(re.escape, sorted(names, key=len, reverse=True)))
    return names, re.compile(rf"(?<![a-zà-ÿ])({alternatives})(?![a-zà-ÿ])")
