"""Answers that are one of a few, read out of free text: sv (yes or no), er (an emotion) and sqa (a letter).

An answer is never guessed: text that commits to nothing is `NO_MENTION`, text that commits to two things `SEVERAL`.
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from string import ascii_uppercase

from wavllm_cli.scoring.nonanswers import nothing_said
from wavllm_cli.scoring.normalize import APOSTROPHES, UNSPACED, basic
from wavllm_cli.scoring.words import content, with_digits

NO_MENTION = "unanswered"
SEVERAL = "ambiguous"

NEGATED_WITHIN = 80  # characters before a mention
SENTENCE = 300  # characters at most that draw a conclusion

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
    r"|\b(yes|no)\b(?=\s*(?:[.,;:!?\"')*]|$))"
)
QUESTION = re.compile(r"(?<![^.!?\n])\s*(?:[^\s.!?]+\s+){2,}[^\s.!?]+\s?\?")  # its own words commit to nothing
OPEN_QUESTION = re.compile(r"\b(?:whether|if|how many)\b[^.,;!?\n]*")
NEGATION = re.compile(r"(?:\b(?:not|never|neither|nor|without|cannot)|n't)\b(?:\W+\w+){0,2}\W*$")
_REJECTED = re.compile(
    r"(?:(?!because|since|while|whereas|\bbut\b|[.,;\n]).){0,30}?"
    r"(?:\b(?:wrong|incorrect|false|ruled out|eliminated|not (?:mentioned|correct|right|true|said))\b"
    r"|[–-] no\b|[❌✗✘])",
    re.IGNORECASE,
)
_ANSWER_KEY = re.compile(r"answer|choice|option|letter|result|correct|label", re.IGNORECASE)
CLAUSE_END = re.compile(r"[.,;:!?\n]|\b(?:but|however)\b")


def parse_choices(prompt: str) -> list[str]:
    """The choices written into a question: `"Why? A. By bus; B. On foot."` -> `["By bus", "On foot"]`, else `[]`."""
    marks = list(re.finditer(r"(?:^|(?<=[\s;?；？，。]))(?:([A-Z])[.):]|\(?([A-Za-z])\))\s", prompt))
    letter_of = {mark: (mark[1] or mark[2]).upper() for mark in marks}
    for start in (i for i, mark in enumerate(marks) if letter_of[mark] == "A"):
        run = [m for m, letter in zip(marks[start:], ascii_uppercase, strict=False) if letter_of[m] == letter]
        if len(run) >= 2 and run == marks[start : start + len(run)]:
            ends = [*(m.start() for m in run[1:]), len(prompt)]
            return [prompt[m.end() : end].strip(" ;.\n") for m, end in zip(run, ends, strict=True)]
    return []


def read_letter(text: str, choices: Sequence[str], question: str = "") -> str:
    """The letter an answer commits to: "B", "(b)", "The answer is B.", "B. By bus", or the choice's own words.

    Where several are named, what the answer concludes with counts ("…, so my final answer is B").

    Args:
        text: the answer, perhaps as JSON.
        choices: the choices' texts in order A, B, C…
        question: as it was asked; an answer that begins by repeating it names no choice thereby.

    Returns:
        A capital letter, or `NO_MENTION` or `SEVERAL`.
    """
    letters = [chr(ord("A") + i) for i in range(len(choices))]
    text = _apart(_without_question(_from_json(text), question).translate(APOSTROPHES))
    text = _WHETHER.sub(" ", text)
    bare = re.fullmatch(r"\W*([A-Za-z])\W*", text)
    if bare:
        return bare[1].upper() if bare[1].upper() in letters else NO_MENTION
    found = _named(text, choices, letters)
    if len(found) != 1:
        decisive = (_named(passage, choices, letters) for passage in _decisive(text))
        found = next((named for named in decisive if len(named) == 1), found)
    if len(found) != 1 and nothing_said(text) == "refusal":
        return NO_MENTION
    if len(found) == len(letters) > 2:  # who lists all of them commits to none
        return NO_MENTION
    claim = _REASON.split(text, 1)[0]
    return _only(found or _paraphrased(claim, choices, letters) or _paraphrased(text, choices, letters))


def _named(text: str, choices: Sequence[str], letters: Sequence[str]) -> set[str]:
    """The letters that a text names, by themselves or by the words of their choices, and does not deny."""
    found, rest = set(), text
    # Longest first and blanked out, so that "by bus" is not found again inside "by bus and train".
    for letter, choice in sorted(zip(letters, choices, strict=True), key=lambda pair: -len(pair[1])):
        for match in _words_of(letter, choice).finditer(rest):
            if not _denied(rest, match.start(), match.end()):
                found.add(letter)
            rest = rest[: match.start()] + "\n" * len(match[0]) + rest[match.end() :]
    declared = _letters(_DECLARED, rest, letters)
    if len(declared) == 1 and not found - declared:
        return declared
    return found | _letters(_MENTIONED, rest, letters)


def _words_of(letter: str, choice: str) -> re.Pattern[str]:
    """A choice's own words, with its letter before them if that is there: both are one mention."""
    said = basic(choice).split()
    if not said:
        return re.compile(r"(?!)")  # a choice without words is named by its letter alone
    words = rf"(?:\(?{letter}[.):]\W*)?" + r"\W+".join(map(re.escape, said))
    return re.compile(words if UNSPACED.match(said[0]) else rf"(?<!\w){words}(?!\w)", re.IGNORECASE)


def _decisive(text: str) -> list[str]:
    """The passages in which an answer commits itself, the most telling one first.

    These are its conclusions, the last one before all others; what it says before it gives reasons; and a first
    sentence of three words at most.
    """
    conclusions = [_sentence(text, match.start()) for match in _CONCLUSION.finditer(text)]
    first = _sentence(text.strip(), 0)
    is_short = len(first) > 1 and len(first.split()) <= 3 and ":" not in first
    return [*reversed(conclusions), _REASON.split(text, 1)[0], *([first] if is_short else [])]


def _sentence(text: str, start: int) -> str:
    """What stands from `start` on to the end of the sentence, `SENTENCE` characters at most."""
    return _SENTENCE_END.split(text[start : start + SENTENCE], 1)[0]


def _paraphrased(text: str, choices: Sequence[str], letters: Sequence[str]) -> set[str]:
    """Choices named by their place ("the second option"), or by words and numbers that no other choice has."""
    by_place = {_ORDINALS[m[1].lower()] for m in _PLACE.finditer(text) if not _negated(text, m.start())}
    if by_place:
        return {letters[i] for i in by_place if -len(letters) <= i < len(letters)}
    own = [set(with_digits(choice).split()) for choice in choices]
    said = with_digits(text)
    found = set()
    for letter, mine in zip(letters, own, strict=True):
        shared = set[str]().union(*(other for other in own if other is not mine))
        telling = [word for word in mine - shared if content(word)]
        marks = [m for word in telling if (m := _whole(word).search(said)) and not _denied(said, m.start(), m.end())]
        if marks and 2 * len(marks) >= len(telling):
            found.add(letter)
    return found if len(found) == 1 else set()


def _apart(text: str) -> str:
    """Spaces around scripts that have none, so that a letter between them is one by itself ("选择B")."""
    return UNSPACED.sub(lambda run: f" {run[0]} ", text)


def _whole(word: str) -> re.Pattern[str]:
    return re.compile(rf"(?<!\w){re.escape(word)}(?!\w)")


_SENTENCE_END = re.compile(r"[.!?](?:\s|$)|\n")
_WHETHER = re.compile(r"\bwhether\b[^.,;!?\n]*")
_REASON = re.compile(r"\b(?:because|since|although|while|whereas)\b")
_CONCLUSION = re.compile(
    r"\b(?:final answer|(?:correct|right|best) (?:answer|option|choice|one)|answer (?:is|must|should|would)|that leaves"
    r"|so (?=\(?[A-H]\b)"
    r"|go(?:ing)? with|i (?:would )?(?:choose|pick|select)|therefore|that is|must be|most likely)\b",
    re.IGNORECASE,
)
_ORDINALS = {word: i for i, word in enumerate(("first", "second", "third", "fourth", "fifth"))} | {"last": -1}
_PLACE = re.compile(rf"\b({'|'.join(_ORDINALS)}) (?:option|choice|answer)\b", re.IGNORECASE)

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
    text = _without_question(_from_json(text), question).lower().translate(APOSTROPHES)
    text = QUESTION.sub(" ", OPEN_QUESTION.sub(" ", text))
    if nothing_said(text) == "refusal" and not YES_NO.match(text):
        return NO_MENTION
    one, several = ("no", "yes") if asks_for_several(question) else ("yes", "no")
    found = {"yes" if (m[1] or m[2]) in YES else "no" for m in YES_NO.finditer(text) if not _negated(text, m.start())}
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
    alternatives = "|".join(map(re.escape, sorted(names, key=len, reverse=True)))
    pattern = re.compile(rf"(?<![a-zà-ÿ])({alternatives})(?![a-zà-ÿ])")
    return _only({names[m[1]] for m in pattern.finditer(text) if not _negated(text, m.start())})


@cache
def _emotion_of() -> dict[str, str]:
    return {word: emotion for emotion, words in EMOTIONS.items() for word in words}


def _letters(pattern: re.Pattern[str], text: str, letters: Sequence[str]) -> set[str]:
    hits = ((m.start(), next(g for g in m.groups() if g)) for m in pattern.finditer(text))
    return {
        letter.upper()
        for start, letter in hits
        if letter.upper() in letters and not _denied(text, start, text.index(letter, start) + 1)
    }


def _from_json(text: str) -> str:
    """The answer in a JSON object: the value of a key like "answer", else all values; other text stays as it is."""
    try:
        values = json.loads(text.strip().removeprefix("```json").strip("`\n "))
    except (ValueError, RecursionError):
        return text
    if not isinstance(values, dict):
        return text if isinstance(values, list) else str(values)
    named = [value for key, value in values.items() if _ANSWER_KEY.search(key)] or list(values.values())
    return ". ".join(_as_text(value, next(iter(values))) for value in named)


def _as_text(value: object, key: str) -> str:
    """True and false as yes and no, the other way round under a key like "multiple_speakers"."""
    if isinstance(value, bool):
        return "yes" if value != bool(re.search(r"multi|several|two|more", key, re.IGNORECASE)) else "no"
    return str(value)


def _without_question(text: str, question: str) -> str:
    """The text without a repetition of the question in it."""
    asked = basic(question).split()
    if len(asked) < 3:
        return text
    return re.sub(r"\W+".join(map(re.escape, asked)) + r"\W?", " ", text, count=1, flags=re.IGNORECASE)


def _denied(text: str, start: int, end: int) -> bool:
    """Whether a mention is negated before or after itself ("A is wrong", "Two – incorrect")."""
    return _negated(text, start) or _REJECTED.match(text, end) is not None


def _negated(text: str, start: int) -> bool:
    """Whether a negation stands at most two words before `start` in the same clause ("it does not seem sad")."""
    clause = CLAUSE_END.split(text[max(0, start - NEGATED_WITHIN) : start])[-1]
    return NEGATION.search(clause) is not None


def _only(found: set[str]) -> str:
    if len(found) == 1:
        return next(iter(found))
    return SEVERAL if found else NO_MENTION
