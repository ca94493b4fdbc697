"""What each instruction of a multi-task prompt asks for, and how well a stretch of an answer answers it.

A stretch *fits* an instruction as far as it looks like its answer, and it *follows* it if it has the asked form: a
summary of 40 words fits "summarise in at most 20 words", but does not follow it. Whether it is right is another matter.

The numbers weigh evidence against evidence. They were chosen on the hand-written answers in tests/golden, which tell
whether a change of them is for the better.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

from wavllm_cli.data.manifest import Hypothesis, Part
from wavllm_cli.scoring.choice import own_choices, parse_choices, read_letter
from wavllm_cli.scoring.commitment import NO_MENTION, SEVERAL
from wavllm_cli.scoring.emotion import OTHER_EMOTIONS, read_emotion
from wavllm_cli.scoring.nonanswers import any_of, loops
from wavllm_cli.scoring.yes_no import read_yes_no
from wavllm_cli.text import language
from wavllm_cli.text.words import common, content, count_words, share_in, stems, with_digits, words

FOLLOWED = ""  # the reason that a stretch that follows has

MIN_RECALL = 0.5  # of the transcript's words must be in a transcription …
MIN_PRECISION = 0.6  # … and of its words in the transcript
MIN_TRANSLATION = 0.25  # of the reference's length, to be more than a stray word
UNRELATED = 0.3  # the score of a text that shares nothing with the instruction nor with the right answer
COPY = 0.85  # of the words shared with the transcript: no summary, no translation
_WORDS = r"\s*-?\s*(?:words?|wörter\w*|worten?|mots|palabras)"
_LIMITS = (
    any_of(
        r"(?:(?:no|not) (?:more|longer) than|at (?:the )?most|up to|within|under|max(?:imum)?(?: of)?|limit of|in"
        rf"|höchstens|maximal|nicht mehr als|au plus|como máximo) (\d+){_WORDS}"
    ),
    any_of(rf"(\d+){_WORDS} (?:or (?:fewer|less)|at (?:the )?most|oder weniger|maximum|au plus)"),
)
_LIMIT_IN_CHARACTERS = any_of(r"(?:不超过|最多)\s*(\d+)\s*个?(?:字|文字)", r"(\d+)\s*个?(?:字|文字)以内")
_SUMMARY = any_of(
    r"summar|\bsum (?:it |this |the .{1,20} )?up|condens|\bgist\b|\bboil\b.{1,30}\bdown|essence|digest|abstract\b",
    r"shorten|main point|key (?:message|point)|in (?:short|brief)|what (?:it|the [\w ]{1,30}) is about",
    r"zusammenfass|fasse\b|résum|resum|概括|总结|要約",
)

# What an introduction of an answer of each kind is made of.
_LABELS = {
    "transcript": any_of("transcri|verbatim|spoken|said|says|hear|words|text|speech|recording|original|转写|转录|原文"),
    "translation": any_of("translat|übersetz|traduc|翻译|译文|翻訳|version|means"),
    "yes or no": any_of("speaker|person|people|voice|talk"),
    "emotion": any_of("emotion|mood|feel|sentiment|tone|sound"),
    "letter": any_of("answer|question|choice|option|antwort"),
    "text": any_of("answer|question|response|reply|antwort"),
    "summary": any_of("summar|short|brief|gist|condens|about|topic|essence|zusammenfass|résum|resum|摘要|总结|要約"),
}


@dataclass(frozen=True)
class Fit:
    """How well a stretch answers an instruction.

    Attributes:
        score: 0 to 1, how much it looks like the answer.
        reason: why it does not follow the instruction; `FOLLOWED` if it does.
    """

    score: float
    reason: str = FOLLOWED


NO_FIT = Fit(0.0, "missing")


@dataclass(frozen=True)
class Instruction:
    """One instruction of a row, with all that is known about the right answer."""

    kind: str
    prompt: str
    target: str
    transcript: str
    spoken: str | None  # code of the clip's language
    wanted: str | None  # code of the language that the answer shall have; None: any
    limit: int | None = None  # words
    choices: tuple[str, ...] = ()

    @cached_property
    def topic(self) -> frozenset[str]:
        """Stems of the instruction's own words."""
        return content(self.prompt)

    @property
    def is_brief(self) -> bool:
        """Whether a letter, a word, yes or no is the whole answer."""
        return self.kind in ("letter", "yes or no", "emotion")

    def labelled(self, label: str) -> float:
        """How much a label speaks of this instruction, 0 to 1."""
        said = content(label)
        shared = len(said & self.topic) / len(said) if said else 0.0
        own_language = self.wanted if self.kind == "translation" else None
        named = own_language is not None and language.named_in(label) == own_language
        return max(shared, 0.7 if _LABELS[self.kind].search(label) else 0.0, 0.9 if named else 0.0)

    def fit(self, text: str, apart: bool = True, amid: bool = False) -> Fit:
        """How well a stretch without label answers the instruction.

        Args:
            text: the stretch.
            apart: it is one or more whole lines; within a line, what has nothing to do with a question is no answer.
            amid: it stands between words of the transcript, so that a sentence of that is a part of the transcription.
        """
        said, heard = words(text), words(self.transcript)
        if not said:
            return NO_FIT
        if self.kind != "transcript" and len(said) > 3 and share_in(said, heard) > COPY:
            unabridged = len(said) > 0.6 * len(heard) and self.kind not in ("translation", "summary")
            if amid or unabridged:
                return NO_FIT
        fit = _FITS[self.kind](self, text)
        if self.kind == "text" and not apart and fit.score <= UNRELATED:
            return NO_FIT
        return Fit(fit.score, "repetition") if self.kind != "transcript" and loops(text) else fit


def instruction(row: Hypothesis, part: Part, chained: bool) -> Instruction:
    """What a part of a row asks for.

    Args:
        row: the multi-task row.
        part: one of its parts.
        chained: it works on the answer before it, as the later ones of a cot row do.
    """
    transcript = row.transcript or next((p.target for p in row.parts or () if p.task == "asr" and p.target), "") or ""
    choices = parse_choices(part.prompt) if part.task == "sqa" else []
    if part.task == "sqa" and not choices:
        choices = own_choices(row.choices, part.target)
    named = language.named_in(part.prompt)
    spoken = language.language_code(row.language) if row.language else language.language_of(transcript)
    kind, wanted = "text", None
    if part.task == "asr":
        kind, wanted = "transcript", spoken
    elif part.task == "st":
        kind = "translation"
        wanted = named or (language.language_code(row.target_language) if row.target_language else None)
        wanted = wanted or language.language_of(part.target or "")
    elif part.task == "sv":
        kind = "yes or no"
    elif part.task == "er":
        kind = "emotion"
    elif choices:
        kind = "letter"
    elif part.task == "sft" and (_SUMMARY.search(part.prompt) or (chained and _limit(part.prompt))):
        kind, wanted = "summary", named or spoken
    return Instruction(
        kind,
        part.prompt,
        part.target or "",
        transcript,
        spoken,
        wanted,
        _limit(part.prompt),
        tuple(choices),
    )


# --- the kinds ---


def _transcript(ask: Instruction, text: str) -> Fit:
    reference, said = words(ask.transcript or ask.target), words(text)
    if not reference:
        return Fit(0.4, FOLLOWED if len(said) > 2 else "too short for a transcription")
    hits = common(reference, said)
    score = 2 * hits / (len(reference) + len(said))
    if hits < MIN_RECALL * len(reference):
        return Fit(score if score > 0.2 else 0.0, "not a transcription of the clip")
    known = set(reference)
    if sum(word in known for word in said) < MIN_PRECISION * len(said):  # a loop at the end does no harm
        return Fit(score, "half of it is not in the clip")
    return Fit(score)


def _translation(ask: Instruction, text: str) -> Fit:
    said = words(text)
    alike = _overlap(stems(text), stems(ask.target))
    length = min(1.0, len(said) / max(1, len(words(ask.target))))
    if ask.wanted and not language.is_in(text, ask.wanted):
        return Fit(0.15 + 0.4 * alike, f"not in {ask.wanted}")
    if ask.wanted and ask.wanted != ask.spoken and share_in(said, words(ask.transcript)) > COPY and len(said) > 4:
        return Fit(0.1, "not translated")
    if ask.target and length < MIN_TRANSLATION:
        return Fit(0.2 + 0.2 * alike, "a stray word, no translation")
    sure = 0.35 if ask.wanted and ask.wanted != ask.spoken else 0.1
    return Fit(0.2 + sure + 0.3 * alike + 0.15 * length)


def _summary(ask: Instruction, text: str) -> Fit:
    said, heard = words(text), words(ask.transcript)
    about = len(stems(text) & (stems(ask.transcript) | stems(ask.target))) / max(1, len(stems(text)))
    score = 0.3 + 0.4 * min(1.0, 2 * about) - (0.3 if len(said) < 3 else 0.0)
    if ask.wanted and not language.is_in(text, ask.wanted):
        return Fit(0.3, f"not in {ask.wanted}")
    if heard and len(said) >= 0.8 * len(heard) and common(said, heard) > COPY * len(said):
        return Fit(0.2, "the transcript, not a summary")
    if len(said) < 2:
        return Fit(0.1, "too short for a summary")
    length = count_words(text)
    if ask.limit and length > ask.limit:
        return Fit(score - 0.05, f"{length} words where {ask.limit} are allowed")
    return Fit(score)


def _letter(ask: Instruction, text: str) -> Fit:
    answer = read_letter(text, ask.choices, ask.prompt)
    if answer == NO_MENTION:
        return NO_FIT
    about = len(stems(text) & ask.topic) / max(1, len(ask.topic))
    brief = 1.0 if len(words(text)) <= 12 else 0.6
    if answer == SEVERAL:
        return Fit(0.5 * brief + 0.2 * about, "no single choice")
    return Fit(0.65 * brief + 0.3 * about)


def _yes_no(ask: Instruction, text: str) -> Fit:
    answer = read_yes_no(text, ask.prompt)
    if answer == NO_MENTION:
        return NO_FIT
    brief = 1.0 if len(words(text)) <= 12 else 0.6
    speakers = 0.2 if _LABELS[ask.kind].search(text) else 0.0
    if answer == SEVERAL:
        return Fit(0.5 * brief + speakers, "neither yes nor no")
    return Fit(0.65 * brief + speakers)


def _emotion(ask: Instruction, text: str) -> Fit:
    answer = read_emotion(text, [*OTHER_EMOTIONS, *words(ask.target)[:1], *_emotions_in(ask.prompt)])
    brief = 1.0 if len(words(text)) <= 12 else 0.5
    about = 0.25 if _LABELS[ask.kind].search(text) else 0.0
    if answer == NO_MENTION:
        return NO_FIT
    return Fit(0.6 * brief + about)


def _text(ask: Instruction, text: str) -> Fit:
    said, target = content(text), content(ask.target)
    alike = len(said & target) / len(target) if target else 0.0
    about = len(said & ask.topic) / max(1, len(ask.topic))
    copied = ask.transcript and share_in(words(text), words(ask.transcript)) > COPY and len(words(text)) > 6
    if copied and alike < 0.5:
        return Fit(0.05, "only what is said in the clip")
    length = count_words(text)
    if ask.limit and length > ask.limit:
        return Fit(0.4, f"{length} words where {ask.limit} are allowed")
    return Fit(UNRELATED + 0.4 * alike + 0.25 * about)


_FITS: dict[str, Callable[[Instruction, str], Fit]] = {
    "transcript": _transcript,
    "translation": _translation,
    "summary": _summary,
    "letter": _letter,
    "yes or no": _yes_no,
    "emotion": _emotion,
    "text": _text,
}


# --- what they are made of ---


def _overlap(a: frozenset[str], b: frozenset[str]) -> float:
    """The harmonic mean of the shares that two sets have in common."""
    return 2 * len(a & b) / (len(a) + len(b)) if a and b else 0.0


def _limit(prompt: str) -> int | None:
    """The most words that an instruction allows; where it counts characters, two make a word."""
    if match := _LIMIT_IN_CHARACTERS.search(prompt):
        return (int(match[1] or match[2]) + 1) // 2
    match = next(filter(None, (pattern.search(with_digits(prompt)) for pattern in _LIMITS)), None)
    return int(match[1]) if match else None


def _emotions_in(prompt: str) -> list[str]:
    """The words that an instruction offers: "happy, sad, angry or bored"."""
    listed = re.search(r"((?:\w+, )+\w+,? (?:or|and) \w+)", prompt)
    return re.findall(r"\w+", re.sub(r"\b(?:or|and)\b", " ", listed[1])) if listed else []
