"""Accuracy where the answer is one of a few: sv (yes/no), er (an emotion) and sqa (a letter), read out of free text.

An answer is never guessed: text that commits to nothing, or to two things, is wrong and counted apart.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

import wavllm_cli
from wavllm_cli.scoring.normalize import APOSTROPHES, basic
from wavllm_cli.scoring.wer import SEED, bootstrap_interval, ratio

NO_MENTION = "unanswered"
SEVERAL = "ambiguous"

EMOTIONS: Mapping[str, tuple[str, ...]] = {
    "neutral": ("neutral", "neutrality", "calm", "emotionless", "unemotional", "matter-of-fact"),
    "happy": ("happy", "happiness", "joy", "joyful", "cheerful", "glad", "delighted", "pleased", "amused"),
    "excited": ("excited", "excitement", "thrilled", "enthusiastic"),
    "sad": ("sad", "sadness", "sorrow", "sorrowful", "unhappy", "depressed", "melancholy", "melancholic", "gloomy"),
    "angry": ("angry", "anger", "mad", "furious", "enraged", "irritated"),
    "frustrated": ("frustrated", "frustration"),
    "fearful": ("fearful", "fear", "afraid", "scared", "frightened", "terrified"),
    "disgusted": ("disgusted", "disgust", "revolted"),
    "surprised": ("surprised", "surprise", "astonished", "amazed"),
}

# "is only one speaker" said in words; SEVERAL_SPEAKERS is looked for first, since "more than one speaker" holds both.
_PERSON = r"(?:speaker|talker|person|voice|individual)"
SEVERAL_SPEAKERS = re.compile(
    rf"\b(?:(?:(?<!the )two|2|three|several|multiple|many|different)\b(?:\s+\w+){{0,2}}?\s+(?:{_PERSON}s|people)"
    rf"|more than (?:one|1|a single)\b|(?:another|second) {_PERSON}|(?:are|sound)(?: \w+)? different)\b"
)
ONE_SPEAKER = re.compile(
    rf"\b(?:(?:only|just) (?:one|1|a single)\b(?:\s+{_PERSON})?|(?:one|1|a single|same) {_PERSON}"
    rf"|the same\b(?! time)(?: {_PERSON})?|no (?:other|second) {_PERSON})\b"
)
YES_NO = re.compile(
    r"^\W*(yes|yeah|yep|yup|no|nope|nah)\b(?! (?:doubt|other|second))|\b(yes|no)\b(?=\s*(?:[.,;:!?\"')*]|$))"
)
NEGATION = re.compile(r"(?:\b(?:not|never|neither|nor|without|cannot)|n't)\b(?:\W+\w+){0,2}\W*$")
CLAUSE_END = re.compile(r"[.,;:!?\n]|\b(?:but|however)\b")


@dataclass(frozen=True)
class Accuracy:
    """Share of right answers with its 95 % interval, and how many answers committed to nothing or to two things."""

    value: float
    low: float
    high: float
    n: int
    correct: int
    unanswered: int
    ambiguous: int
    signature: str


def parse_choices(prompt: str) -> list[str]:
    """The choices written into a question: `"Why? A. By bus; B. On foot."` -> `["By bus", "On foot"]`, else `[]`."""
    marks = list(re.finditer(r"(?:^|(?<=[\s;?]))\(?([A-Z])[.):]\s", prompt))
    for start in (i for i, mark in enumerate(marks) if mark[1] == "A"):
        run = [m for m, letter in zip(marks[start:], "ABCDEFGHIJKLMNOPQRSTUVWXYZ", strict=False) if m[1] == letter]
        if len(run) >= 2 and run == marks[start : start + len(run)]:
            ends = [*(m.start() for m in run[1:]), len(prompt)]
            return [prompt[m.end() : end].strip(" ;.\n") for m, end in zip(run, ends, strict=True)]
    return []


def read_letter(text: str, choices: Sequence[str]) -> str:
    """The letter an answer commits to: "B", "(b)", "The answer is B.", "B. By bus", or the choice's own words.

    Args:
        text: the answer.
        choices: the choices' texts in order A, B, C…

    Returns:
        A capital letter, or `NO_MENTION` or `SEVERAL`.
    """
    letters = [chr(ord("A") + i) for i in range(len(choices))]
    bare = re.fullmatch(r"\W*([A-Za-z])\W*", text)
    if bare:
        return bare[1].upper() if bare[1].upper() in letters else NO_MENTION
    text, found = text.translate(APOSTROPHES), set()
    # Longest first and blanked out, so that "by bus" is not found again inside "by bus and train".
    for letter, choice in sorted(zip(letters, choices, strict=True), key=lambda pair: -len(pair[1])):
        words = basic(choice).split()
        pattern = r"\W+".join(re.escape(w) for w in words)
        for match in re.finditer(rf"(?<!\w){pattern}(?!\w)", text, re.IGNORECASE) if words else ():
            if not _negated(text, match.start()):
                found.add(letter)
            text = text[: match.start()] + "\n" * len(match[0]) + text[match.end() :]
    declared = _letters(_DECLARED, text, letters)
    return _only(
        declared if len(declared) == 1 and not found - declared else found | _letters(_MENTIONED, text, letters)
    )


# After a lone "A" or "I" (words of their own) something must show that a letter is meant.
_AFTER = r"(?=\s*(?:[.,;:!?)\]/&*\"'\n]|$)|\s+(?:because|since|as|is|was|seems)\b|\s+(?:and|or)\s+\W?[A-Z]\b)"
_LONE = rf"(?:[B-HJ-Z]\b(?!')|[AI]\b{_AFTER})"
_MENTIONED = re.compile(
    rf"(?<![\w'])({_LONE})|^\W*([a-z])[.):]|\(([a-z])\)|\b(?i:option|choice|answer)\s+\(?([b-z])\b(?!')"
)
_DECLARED = re.compile(
    rf"\b(?i:answer)\s*(?:(?:is|was|must be|should be|would be)\b\s*:?|[:=])\s*[\"'(\[*]*(?:(?i:option|choice)\s+)?"
    rf"({_LONE}|[b-hj-z]\b(?!')|[ai]\b(?=\W*$))(?!\s*(?:[,/&]|and\b|or\b|nor\b)\s*\W?[A-Z]\b)"
)


def read_yes_no(text: str, question: str = "") -> str:
    """Yes or no to "is there only one speaker?", said outright or in words ("they are two different people").

    Args:
        text: the answer.
        question: the instruction; one that asks for several speakers ("are there two speakers?") turns the words round.

    Returns:
        "yes", "no", `NO_MENTION` or `SEVERAL`.
    """
    text = text.lower().translate(APOSTROPHES)
    one, several = ("no", "yes") if asks_for_several(question) else ("yes", "no")
    found = {
        "yes" if (m[1] or m[2])[0] == "y" else "no" for m in YES_NO.finditer(text) if not _negated(text, m.start())
    }
    for pattern, meaning, opposite in ((SEVERAL_SPEAKERS, several, one), (ONE_SPEAKER, one, several)):
        for match in pattern.finditer(text):
            found.add(opposite if _negated(text, match.start()) else meaning)
            text = text[: match.start()] + "." * len(match[0]) + text[match.end() :]
    return _only(found)


def asks_for_several(question: str) -> bool:
    """Whether "yes" to this question means more than one speaker."""
    question = question.lower()
    rest = SEVERAL_SPEAKERS.sub(".", question)
    return rest != question and not ONE_SPEAKER.search(rest)


def read_emotion(text: str, extra: Iterable[str] = ()) -> str:
    """The emotion an answer names, as the key of `EMOTIONS` that it is a synonym of.

    Args:
        text: the answer.
        extra: further words that are emotions of their own (the labels of a corpus).

    Returns:
        The emotion, or `NO_MENTION` or `SEVERAL`.
    """
    text = text.lower().translate(APOSTROPHES)
    names = _emotion_of() | {w.lower(): w.lower() for w in extra if w.lower() not in _emotion_of()}
    pattern = re.compile(r"\b(" + "|".join(map(re.escape, sorted(names, key=len, reverse=True))) + r")\b")
    return _only({names[m[1]] for m in pattern.finditer(text) if not _negated(text, m.start())})


def accuracy(answers: Sequence[str], keys: Sequence[str], kind: str, seed: int = SEED) -> Accuracy:
    """Compare what was read out of the answers with the keys read out of the references.

    Args:
        answers: results of `read_letter`, `read_yes_no` or `read_emotion`.
        keys: the right answers, same length.
        kind: what the answers are, for the signature.
    """
    import numpy as np

    right = np.array([a == k for a, k in zip(answers, keys, strict=True)], dtype=np.int64)
    low, high = bootstrap_interval(right, np.ones_like(right), seed)
    return Accuracy(
        value=ratio(int(right.sum()), len(right)),
        low=low,
        high=high,
        n=len(right),
        correct=int(right.sum()),
        unanswered=sum(a == NO_MENTION for a in answers),
        ambiguous=sum(a == SEVERAL for a in answers),
        signature=f"accuracy|answer:{kind}|wavllm:{wavllm_cli.__version__}",
    )


@cache
def _emotion_of() -> dict[str, str]:
    return {word: emotion for emotion, words in EMOTIONS.items() for word in words}


def _letters(pattern: re.Pattern[str], text: str, letters: Sequence[str]) -> set[str]:
    hits = ((m.start(), next(g for g in m.groups() if g)) for m in pattern.finditer(text))
    return {letter.upper() for start, letter in hits if letter.upper() in letters and not _negated(text, start)}


def _negated(text: str, start: int) -> bool:
    """Whether a negation stands at most two words before `start` in the same clause ("it does not seem sad")."""
    clause = CLAUSE_END.split(text[:start])[-1]
    return NEGATION.search(clause) is not None


def _only(found: set[str]) -> str:
    if len(found) == 1:
        return next(iter(found))
    return SEVERAL if found else NO_MENTION
