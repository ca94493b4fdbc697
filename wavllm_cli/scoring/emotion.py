"""The emotion that a free answer names (er)."""

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache

from wavllm_cli.scoring.commitment import negated, only
from wavllm_cli.text.normalize import APOSTROPHES
from wavllm_cli.text.words import words

EMOTIONS: Mapping[str, tuple[str, ...]] = {
    "neutral": ("neutral", "neutrality", "calm", "emotionless", "unemotional", "matter-of-fact", "中性", "平静"),
    "happy": (
        *("happy", "happiness", "joy", "joyful", "cheerful", "glad", "delighted", "pleased", "amused"),
        *("glücklich", "fröhlich", "joyeux", "joyeuse", "高兴", "开心", "快乐"),
    ),
    "excited": ("excited", "excitement", "thrilled", "enthusiastic", "aufgeregt", "兴奋"),
    "sad": (
        *("sad", "sadness", "sorrow", "sorrowful", "unhappy", "depressed", "melancholy", "melancholic", "gloomy"),
        *("traurig", "triste", "悲伤", "难过"),
    ),
    "angry": (
        *("angry", "anger", "mad", "furious", "enraged", "irritated"),
        *("wütend", "verärgert", "en colère", "愤怒", "生气"),
    ),
    "frustrated": ("frustrated", "frustration"),
    "fearful": ("fearful", "fear", "afraid", "scared", "frightened", "terrified"),
    "disgusted": ("disgusted", "disgust", "revolted"),
    "surprised": ("surprised", "surprise", "astonished", "amazed"),
}

# Words for emotions that are no class of any corpus: `extra` ones, where naming any emotion is an answer.
OTHER_EMOTIONS = words(
    "anxious anxiety nervous nervousness worried worry tense stressed bored boredom confused confusion relaxed upset "
    "disappointed disappointment relieved relief proud pride curious curiosity tired embarrassed ashamed grateful "
    "thankful polite friendly apologetic affectionate playful sympathetic desperate uneasy exhausted guilty jealous "
    "hostile alarmed sarcastic ironic tender nostalgic confident determined shy warm cheery elated heartbroken "
    "hopeful lonely annoyed annoyance indifferent indifference content impatient enthusiasm panic shocked serious"
)


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
