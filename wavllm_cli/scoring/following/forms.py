"""What each instruction of a multi-task prompt asks for, and whether a stretch of an answer has that form.

Checks say yes or no, or that it is not to be told. They look at the form: a summary of 40 words does not follow
"summarise in at most 20 words", a wrong one of 20 does. Being right is another matter.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, cached_property

from wavllm_cli.data.schema import Hypothesis, Part
from wavllm_cli.tasks.answers.choice import own_choices, parse_choices, read_letter
from wavllm_cli.tasks.answers.commitment import NO_MENTION, SEVERAL
from wavllm_cli.tasks.answers.emotion import OTHER_EMOTIONS, read_emotion
from wavllm_cli.tasks.answers.nonanswers import loops
from wavllm_cli.tasks.answers.yes_no import read_yes_no
from wavllm_cli.tasks.registry import TASKS, task_led_in
from wavllm_cli.text import language
from wavllm_cli.text.lexicon import pattern, source
from wavllm_cli.text.words import common, content, count_words, share_in, with_digits, words

FOLLOWED = ""  # the reason that a stretch that follows has

MIN_RECALL = 0.5  # of the transcript's words must be in a transcription: with fewer, most of it is missing …
MIN_PRECISION = 0.6  # … and of its words in the transcript: with fewer, about half is invented
MIN_TRANSLATION = 0.25  # of the reference's length: languages differ in length, but not by so much
COPY = 0.85  # of the words stand in the transcript in its order: the transcript again, slips aside
UNABRIDGED = 0.8  # of the transcript's length: a copy so long leaves nothing out that a summary would
A_FEW = 3  # words, of which any sentence may be made


@dataclass(frozen=True)
class Reading:
    """What a stretch is to an instruction.

    Attributes:
        followed: it has the asked form; None: not to be told.
        reason: why it does not follow, or why that is not to be told; `FOLLOWED` if it does.
        shows: the words themselves show which instruction they answer, as "yes" does, or a text in German.
    """

    followed: bool | None
    reason: str = FOLLOWED
    shows: bool = True


NO_ANSWER = Reading(False, "missing", shows=False)  # it cannot be the answer to this instruction


@dataclass(frozen=True)
class Instruction:
    """One instruction of a row, with all that is known about the right answer."""

    kind: str
    task: str
    prompt: str
    target: str
    transcript: str
    spoken: str | None  # code of the clip's language
    wanted: str | None  # code of the language that the answer shall have; None: any
    limit: int | None = None  # words
    choices: tuple[str, ...] = ()
    references: tuple[str, ...] = ()  # further right answers

    @property
    def accepted(self) -> tuple[str, ...]:
        return self.target, *self.references

    def is_like(self, text: str) -> bool:
        """Whether a text has a word that carries its matter in common with a right answer."""
        return any(_alike(text, right) for right in self.accepted)

    @cached_property
    def right_words(self) -> list[tuple[str, ...]]:
        """Those of each right answer."""
        return [words(right) for right in self.accepted]

    @cached_property
    def topic(self) -> frozenset[str]:
        """Stems of the instruction's own words."""
        return content(self.prompt)

    @property
    def is_brief(self) -> bool:
        """Whether a letter, a word, yes or no is the whole answer."""
        return self.kind in ("letter", "yes or no", "emotion")

    def named_by(self, label: str) -> int:
        """How many reasons there are to take a label for the introduction of this instruction's answer."""
        if led_in := task_led_in(label):
            return 4 * (led_in == self.task)
        said = content(label)
        of_kind = pattern("labels", self.kind).search(label) is not None
        of_topic = bool(said) and 2 * len(said & self.topic) >= len(said)
        of_language = self.kind == "translation" and language.named_in(label) == self.wanted
        return of_kind + of_topic + of_language

    def read(self, text: str, placed: bool = True, amid: bool = False) -> Reading:
        """What a stretch without label is to the instruction.

        Args:
            text: the stretch.
            placed: label, number or line say that it is this instruction's, so that its words need not.
            amid: it stands between words of the transcript, so that a sentence of that is a part of the transcription.
        """
        said, heard = words(text), words(self.transcript)
        if not said:
            return NO_ANSWER
        if said in self.right_words:  # a right answer is no copy and in no wrong language, whatever it looks like
            return Reading(True)
        if self.kind != "transcript" and len(said) > A_FEW and share_in(said, heard) > COPY:
            unabridged = len(said) > len(heard) / 2 and self.kind not in ("translation", "summary")
            if amid or unabridged:
                return NO_ANSWER
        reading = FORMS[self.kind](self, text, placed)
        if reading.followed is not False and self.kind != "transcript" and loops(text):
            return Reading(False, "repetition", reading.shows)
        return reading


def instruction(row: Hypothesis, part: Part, chained: bool) -> Instruction:
    """What a part of a row asks for.

    Args:
        row: the multi-task row.
        part: one of its parts.
        chained: it works on the answer before it, as the later ones of a cot row do.
    """
    transcript = row.transcript or next((p.target for p in row.parts or () if p.task == "asr" and p.target), "") or ""
    form = TASKS[part.task].form
    choices = parse_choices(part.prompt) if form == "letter" else []
    if form == "letter" and not choices:
        choices = own_choices(row.choices, part.target)
    named = language.named_in(part.prompt)
    spoken = language.language_code(row.language) if row.language else language.language_of(transcript)
    limit = _limit(part.prompt)
    wanted = None
    if form == "request":
        asks_summary = pattern("summaries", "summarise").search(part.prompt) or (chained and limit)
        form = "summary" if asks_summary else "text"
    if form == "transcript":
        wanted = spoken
    elif form == "translation":
        wanted = named or (language.language_code(row.target_language) if row.target_language else None)
        wanted = wanted or language.language_of(part.target or "")
    elif form == "summary":
        wanted = named or spoken
    elif form == "letter" and not choices:
        form = "text"
    target = part.target or ""
    references = tuple(part.references or ())
    return Instruction(
        form, part.task, part.prompt, target, transcript, spoken, wanted, limit, tuple(choices), references
    )


# --- the kinds ---


def _transcript(ask: Instruction, text: str, placed: bool) -> Reading:
    reference, said = words(ask.transcript or ask.target), words(text)
    if not reference:
        return Reading(None, "no transcript to compare it with", shows=False)
    hits, known = common(reference, said), set(reference)
    inside = sum(word in known for word in said)  # a loop at the end does no harm
    if hits < MIN_RECALL * len(reference):
        return Reading(False, "not a transcription of the clip", shows=False)
    if inside < MIN_PRECISION * len(said):
        return Reading(False, "half of it is not in the clip")
    return Reading(True)


def _translation(ask: Instruction, text: str, placed: bool) -> Reading:
    said = words(text)
    foreign = ask.wanted is not None and ask.wanted != ask.spoken
    if ask.wanted and not language.is_in(text, ask.wanted):
        return Reading(False, f"not in {ask.wanted}", shows=False)
    if foreign and len(said) > A_FEW and share_in(said, words(ask.transcript)) > COPY:
        return Reading(False, "not translated", shows=False)
    if len(said) < MIN_TRANSLATION * min(len(words(right)) for right in ask.accepted):
        return Reading(False, "a stray word, no translation", shows=False)
    alike = ask.is_like(text)
    if foreign or alike or placed:
        return Reading(True, shows=alike or (foreign and not ask.target))
    return Reading(None, "unclear whether it is a translation", shows=False)


def _summary(ask: Instruction, text: str, placed: bool) -> Reading:
    said, heard = words(text), words(ask.transcript)
    about = _alike(text, ask.transcript) or ask.is_like(text)
    if ask.wanted and not language.is_in(text, ask.wanted):
        return Reading(False, f"not in {ask.wanted}", shows=False)
    if heard and len(said) >= UNABRIDGED * len(heard) and common(said, heard) > COPY * len(said):
        return Reading(False, "the transcript, not a summary", shows=False)
    if len(said) < 2:
        return Reading(False, "too short for a summary", shows=False)
    if (length := count_words(text)) > (ask.limit or length):
        return Reading(False, f"{length} words where {ask.limit} are allowed", about)
    if about or placed:
        return Reading(True, shows=about)
    return Reading(None, "unclear whether it is a summary", shows=False)


def _letter(ask: Instruction, text: str, placed: bool) -> Reading:
    return _of_one(read_letter(text, ask.choices, ask.prompt), "no single choice")


def _yes_no(ask: Instruction, text: str, placed: bool) -> Reading:
    return _of_one(read_yes_no(text, ask.prompt), "neither yes nor no")


def _emotion(ask: Instruction, text: str, placed: bool) -> Reading:
    labels = [word for right in ask.accepted for word in words(right)[:1]]
    answer = read_emotion(text, [*OTHER_EMOTIONS, *labels, *_emotions_in(ask.prompt)])
    return NO_ANSWER if answer == NO_MENTION else Reading(True)


def _of_one(answer: str, several: str) -> Reading:
    if answer == NO_MENTION:
        return NO_ANSWER
    return Reading(False, several) if answer == SEVERAL else Reading(True)


def _text(ask: Instruction, text: str, placed: bool) -> Reading:
    said = words(text)
    alike = ask.is_like(text)
    if not alike and len(said) > 2 * A_FEW and share_in(said, words(ask.transcript)) > COPY:
        return Reading(False, "only what is said in the clip", shows=False)
    if (length := count_words(text)) > (ask.limit or length):
        return Reading(False, f"{length} words where {ask.limit} are allowed", alike)
    shows = alike or bool(content(text) & ask.topic)
    if shows or placed:
        return Reading(True, shows=shows)
    return Reading(None, "unclear whether it is an answer", shows=False)


FORMS: dict[str, Callable[[Instruction, str, bool], Reading]] = {
    "transcript": _transcript,
    "translation": _translation,
    "summary": _summary,
    "letter": _letter,
    "yes or no": _yes_no,
    "emotion": _emotion,
    "text": _text,
}


# --- what they are made of ---


def _alike(text: str, target: str) -> bool:
    """Whether two texts have a word that carries their matter in common."""
    return bool(content(text) & content(target))


@cache
def _limits() -> tuple[re.Pattern[str], ...]:
    """ "at most 20 words", "20 words or fewer"."""
    of_words = rf"(\d+)\s*-?\s*{source('summaries', 'words')}"
    before, after = source("summaries", "at most"), source("summaries", "or less")
    return tuple(re.compile(p, re.IGNORECASE) for p in (rf"{before}\s+{of_words}", rf"{of_words}\s+{after}"))


_LIMIT_IN_CHARACTERS = re.compile(r"(?:不超过|最多)\s*(\d+)\s*个?(?:字|文字)|(\d+)\s*个?(?:字|文字)以内")


def _limit(prompt: str) -> int | None:
    """The most words that an instruction allows; where it counts characters, two make a word."""
    if match := _LIMIT_IN_CHARACTERS.search(prompt):
        return (int(match[1] or match[2]) + 1) // 2
    match = next(filter(None, (limit.search(with_digits(prompt)) for limit in _limits())), None)
    return int(match[1]) if match else None


def _emotions_in(prompt: str) -> list[str]:
    """The words that an instruction offers: "happy, sad, angry or bored"."""
    listed = re.search(r"((?:\w+, )+\w+,? (?:or|and) \w+)", prompt)
    return re.findall(r"\w+", re.sub(r"\b(?:or|and)\b", " ", listed[1])) if listed else []
