"""Questions with choices (sqa): the choices written into a question, and the letter that a free answer commits to."""

import ast
import re
import tokenize
from collections.abc import Sequence
from contextlib import suppress
from functools import lru_cache
from io import StringIO
from itertools import chain, count, islice, product
from string import ascii_uppercase
from typing import Any

from wavllm_cli import strict_json
from wavllm_cli.tasks.answers.commitment import NO_MENTION, denied, from_json, is_read, negated, only, without_question
from wavllm_cli.tasks.answers.nonanswers import nothing_said
from wavllm_cli.text.lexicon import pattern, source
from wavllm_cli.text.normalize import APOSTROPHES, UNSPACED, basic
from wavllm_cli.text.words import content, with_digits

SENTENCE = 300  # characters at most that draw a conclusion

_SENTENCE_END = re.compile(r"[.!?](?:\s|$)|\n")
_WHETHER = re.compile(rf"{source('choices', 'whether')}[^.,;!?\n]*")
_REASON = pattern("choices", "reason")
# "so B" concludes too, but "so" alone does not.
_CONCLUSION = re.compile(rf"{source('choices', 'conclusion')}|\b(?:so|also)(?= \(?[A-H]\b)", re.IGNORECASE)
_CORRECTION = pattern("choices", "correction")
_HEDGE = pattern("choices", "hedge")
_LABELLED = re.compile(r"\(?([A-Z])[.):]\s+(.*)", re.DOTALL)
_MARKED_LINE = re.compile(r"^\W*\(?[A-H][.):]\s", re.MULTILINE)
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


def listed_choices(value: Any) -> Any:
    """Choices as a list, in whatever way a file writes them.

    Args:
        value: a list, an object of choices by their letters, or a text: JSON, a list as Python or NumPy prints it, or a
            choice a line, with letters before them or without.

    Returns:
        A list; what is none of these stays as it is.
    """
    if isinstance(value, str):
        text = value.strip()
        value = _read_list(text) if text.startswith(("[", "{", "(")) else parse_choices(text) or text.splitlines()
    return list(value.values()) if isinstance(value, dict) else value


def _read_list(text: str) -> Any:
    """JSON, or the texts of a list in Python's quotes, between which NumPy prints no commas."""
    with suppress(ValueError):
        return strict_json.loads(text)
    with suppress(tokenize.TokenError, SyntaxError, ValueError):
        tokens = [token for token in tokenize.generate_tokens(StringIO(text).readline) if token.string.strip()]
        if all(token.type == tokenize.STRING or token.string in "[]()," for token in tokens):
            return [ast.literal_eval(token.string) for token in tokens if token.type == tokenize.STRING]
    return text


def _without_labels(choices: Sequence[str]) -> list[str]:
    """["A. By bus", "B. On foot"] -> ["By bus", "On foot"], where all of them have letters in their order."""
    found = [_LABELLED.fullmatch(choice.strip()) for choice in choices]
    if len(choices) < 2 or [match and match[1] for match in found] != list(ascii_uppercase[: len(choices)]):
        return list(choices)
    return [match[2] for match in found if match]


def own_choices(choices: Sequence[str] | None, target: str | None) -> list[str]:
    """Choices that stand beside a question, if its right answer is one of them; else they are another question's."""
    return list(choices) if choices and is_read(read_letter(target or "", choices)) else []


def read_letter(text: str, choices: Sequence[str], question: str = "") -> str:
    """The letter an answer commits to: "B", "(b)", "The answer is B.", "B. By bus", or the choice's own words.

    Where several are named, what the answer concludes with counts ("…, so my final answer is B").

    Args:
        text: the answer, perhaps as JSON.
        choices: the choices' texts in order A, B, C…
        question: as it was asked; an answer that begins by repeating it names no choice thereby.

    Returns:
        A capital letter (after Z: AA, AB …), or `NO_MENTION` or `SEVERAL`.
    """
    choices = _without_labels(choices)
    letters = _labels(len(choices))
    text = _apart(without_question(from_json(text), question).translate(APOSTROPHES))
    text = _WHETHER.sub(" ", text)
    bare = re.fullmatch(r"\W*([A-Za-z])\W*", text)
    if bare:
        return bare[1].upper() if bare[1].upper() in letters else NO_MENTION
    found = _named(text, choices, letters)
    if len(found) != 1:
        found = _decided(text, choices, letters) or found
    if len(found) != 1 and nothing_said(text) == "refusal":
        return NO_MENTION
    if len(found) == len(letters) > 2:  # who lists all of them commits to none
        return NO_MENTION
    claim = _REASON.split(text, 1)[0]
    return only(found or _paraphrased(claim, choices, letters) or _paraphrased(text, choices, letters))


def _labels(number: int) -> list[str]:
    """A to Z, then AA, AB …: those are found by their words alone."""
    sizes = (product(ascii_uppercase, repeat=size) for size in count(1))
    return ["".join(label) for label in islice(chain.from_iterable(sizes), number)]


def _named(text: str, choices: Sequence[str], letters: Sequence[str]) -> set[str]:
    """The letters that a text names, by themselves or by the words of their choices, and does not deny."""
    found, rest = set(), text
    # Longest first and blanked out, so that "by bus" is not found again inside "by bus and train".
    for letter, choice in sorted(zip(letters, choices, strict=True), key=lambda pair: -len(pair[1])):
        for match in _words_of(letter, choice).finditer(rest):
            if not denied(rest, match.start(), match.end()):
                found.add(letter)
            rest = rest[: match.start()] + "\n" * len(match[0]) + rest[match.end() :]
    declared = _letters(_DECLARED, rest, letters)
    if len(declared) == 1 and not found - declared:
        return declared
    return found | _letters(_MENTIONED, rest, letters)


@lru_cache(maxsize=1024)
def _words_of(letter: str, choice: str) -> re.Pattern[str]:
    """A choice's own words, with its letter before them if that is there: both are one mention."""
    said = basic(choice).split()
    if not said:
        return re.compile(r"(?!)")  # a choice without words is named by its letter alone
    words = rf"(?:\(?{letter}[.):]\W*)?" + r"\W+".join(map(re.escape, said))
    return re.compile(words if UNSPACED.match(said[0]) else rf"(?<!\w){words}(?!\w)", re.IGNORECASE)


def _letters(pattern: re.Pattern[str], text: str, letters: Sequence[str]) -> set[str]:
    hits = ((m.start(), next(g for g in m.groups() if g)) for m in pattern.finditer(text))
    return {
        letter.upper()
        for start, letter in hits
        if letter.upper() in letters and not denied(text, start, text.index(letter, start) + 1)
    }


def _decided(text: str, choices: Sequence[str], letters: Sequence[str]) -> set[str]:
    """What an answer that names several choices decides on; nothing where it does not show.

    The passages that decide are its conclusions, all of which must agree unless the last one corrects the others; else
    what it says before it gives reasons, or a first line or short sentence by itself, unless it consists of choices.
    """
    text = _with_bare_labels(text, choices, letters)
    conclusions = [_sentence(text, match.start()) for match in _CONCLUSION.finditer(text)]
    named = [letter for passage in conclusions if (letter := _named(passage, choices, letters))]
    if named:
        return named[-1] if _CORRECTION.search(text) else set().union(*named)
    if not content(_without_choices(text, choices, letters)):
        return set()
    claims = [] if _HEDGE.search(text) else [_REASON.split(text, 1)[0]]
    first = _sentence(text.strip(), 0)
    if len(_MARKED_LINE.findall(text)) == 1:
        claims.append(text.strip().split("\n")[0])
    elif len(first) > 1 and len(first.split()) <= 3:
        claims.append(first)
    decided = (_named(claim, choices, letters) for claim in claims)
    return next((letter for letter in decided if len(letter) == 1), set())


def _with_bare_labels(text: str, choices: Sequence[str], letters: Sequence[str]) -> str:
    """ "A. By bus or B. On foot" -> "A By bus or B On foot": the stop behind a label ends no sentence."""
    for letter, choice in zip(letters, choices, strict=True):
        if choice.strip():
            text = re.sub(
                rf"\b{letter}[.):]\s+(?={re.escape(choice.strip())})", f"{letter} ", text, flags=re.IGNORECASE
            )
    return text


def _without_choices(text: str, choices: Sequence[str], letters: Sequence[str]) -> str:
    """What an answer says beside the words and letters of choices."""
    for letter, choice in sorted(zip(letters, choices, strict=True), key=lambda pair: -len(pair[1])):
        text = _words_of(letter, choice).sub("\n", text)
    return _MENTIONED.sub(" ", text)


def _sentence(text: str, start: int) -> str:
    """What stands from `start` on to the end of the sentence, `SENTENCE` characters at most."""
    return _SENTENCE_END.split(text[start : start + SENTENCE], 1)[0]


def _paraphrased(text: str, choices: Sequence[str], letters: Sequence[str]) -> set[str]:
    """Choices named by their place ("the second option"), or by words and numbers that no other choice has."""
    by_place = {_ORDINALS[m[1].lower()] for m in _PLACE.finditer(text) if not negated(text, m.start())}
    if by_place:
        return {letters[i] for i in by_place if -len(letters) <= i < len(letters)}
    own = [set(with_digits(choice).split()) for choice in choices]
    said = with_digits(text)
    found = set()
    for letter, mine in zip(letters, own, strict=True):
        shared = set[str]().union(*(other for other in own if other is not mine))
        telling = [word for word in mine - shared if content(word)]
        marks = [m for word in telling if (m := _whole(word).search(said)) and not denied(said, m.start(), m.end())]
        if marks and 2 * len(marks) >= len(telling):
            found.add(letter)
    return found if len(found) == 1 else set()


def _apart(text: str) -> str:
    """Spaces around scripts that have none, so that a letter between them is one by itself ("选择B")."""
    return UNSPACED.sub(lambda run: f" {run[0]} ", text)


def _whole(word: str) -> re.Pattern[str]:
    return re.compile(rf"(?<!\w){re.escape(word)}(?!\w)")
