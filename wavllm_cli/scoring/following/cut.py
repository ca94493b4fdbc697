"""A free answer cut into the pieces that instructions can have answers in: sentences, with the labels before them."""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, islice, pairwise
from typing import Any

MAX_PIECES = 60  # what comes after them is one more piece
MIN_PIECES = 12  # of however long an answer
MAX_WORK = 120_000  # pieces times characters; the time to judge an answer grows with both
MAX_NESTING = 20  # of JSON; deeper brackets are no answer
MAX_ATTEMPTS = 20  # brackets that may be where JSON begins
MAX_LABEL_WORDS = 14

_FENCE = re.compile(r"```[a-z]*\n?")
_BULLET = re.compile(r"\s*(?:#{1,6}\s+|>\s+|[-*•–—]\s+)*")
_NUMBER = re.compile(
    r"(?:\**\(?(?:(?:task|part|step|instruction|question|answer)\s*#?)?(\d{1,2})[.):\]]\**|(\d)\ufe0f?\u20e3)\s*(?=\S)",
    re.IGNORECASE,
)
# "Summary: …", "**Summary:** …", "Summary → …"; the colon of "8:30" is none.
_LABEL = re.compile(r"(?P<label>[^:：→\n]{1,160}?)\s*(?::|：|→|->|=>)(?![\d/])[*_]*(?P<rest>.*)", re.DOTALL)
_EMPHASIS = re.compile(r"\*\*|__|(?<!\w)[*_](?=\w)|(?<=\w)[*_](?!\w)")
_BOLD_LINE = re.compile(r"\*\*([^*]+)\*\*|__([^_]+)__|#{1,6}\s+(.+)")
# After a full stop, but not that of an initial, a choice's letter or a title.
_SENTENCE_END = re.compile(
    r"(?<![\s(][A-Z][.])(?<!^[A-Z][.])(?<!\bMr[.])(?<!\bMrs[.])(?<!\bDr[.])(?<!\bSt[.])(?<!\b[ap][.]m[.])"
    r"(?<=[.!?…])[\"'”’»)*]*\s+(?=\S)|(?<=[。！？])[”」』）]*(?=\S)"
)
_QUOTATION = re.compile(r"([\"“„«][^\"“”„«»]{25,}[\"”»][.,;]?)")
_CLAUSE_END = re.compile(r"(?<=[,;])\s+(?=(?:and|but|while|so|finally|lastly|then|also)\b)|(?<=;)\s+|\s+[—–]\s+")


@dataclass(frozen=True)
class Piece:
    """A sentence or a clause of an answer.

    Attributes:
        text: without Markdown, number and label.
        label: the words that introduce it: a heading, "Summary:", a key of JSON.
        number: of its item in a numbered list.
        first: it begins an item, a line or a value.
        block: which line or value it is from, from 0 on.
        heading: it is a line in bold, which may introduce the next one.
    """

    text: str
    label: str = ""
    number: int | None = None
    first: bool = False
    block: int = 0
    heading: bool = False

    @property
    def whole(self) -> str:
        """With its label, which may have been a part of the answer all the same."""
        return f"{self.label}: {self.text}" if self.label else self.text


def read_answer(text: str) -> list[Piece]:
    """Cut an answer into pieces; none of its words are lost, except for keys and punctuation of JSON.

    Lines, items of lists and values of JSON are blocks; a line that only introduces the next one is its label. Of an
    answer too long to be looked at from everywhere to everywhere, the rest is the last piece.
    """
    before, value, after = _split_json(_FENCE.sub("", text))
    blocks = [*_line_blocks(before), *_value_blocks(value, ""), *_line_blocks(after)]
    pieces = list(_number_blocks(blocks))
    most = max(MIN_PIECES, min(MAX_PIECES, MAX_WORK // max(1, len(text))))
    if len(pieces) <= most:
        return pieces
    rest = pieces[most - 1 :]
    return [*pieces[: most - 1], replace(rest[0], text=joined(rest, with_label=False))]


def joined(pieces: Sequence[Piece], with_label: bool) -> str:
    """Pieces that follow each other as one text, a label that they share said once: for the first, if `with_label`."""
    texts = [pieces[0].whole if with_label else pieces[0].text]
    texts += [p.text if p.label in (before.label, before.text) else p.whole for before, p in pairwise(pieces)]
    return " ".join(texts)


def _split_json(text: str) -> tuple[str, Any, str]:
    """What stands before a JSON object or list, its value (None where there is none), and what stands after."""
    for start in (m.start() for m in islice(re.finditer(r"[{\[]", text), MAX_ATTEMPTS)):
        try:
            value, end = json.JSONDecoder(strict=False).raw_decode(text, start)
        except (ValueError, RecursionError):
            continue
        if value and _nesting(text[start:end]) <= MAX_NESTING:
            return text[:start], value, text[end:]
    return text, None, ""


def _nesting(text: str) -> int:
    """How deep brackets are nested, those within texts included."""
    return max(accumulate((char in "[{") - (char in "]}") for char in text))


def _value_blocks(value: Any, label: str) -> Iterator[Piece]:
    """The texts of a JSON value in order, labelled with their keys; a number beside a text counts the items."""
    if isinstance(value, dict):
        number = next((v for v in value.values() if isinstance(v, int) and not isinstance(v, bool)), None)
        has_text = any(isinstance(v, str | dict | list) for v in value.values())
        for key, inner in value.items():
            if isinstance(inner, int) and not isinstance(inner, bool) and has_text and len(value) > 1:
                continue
            for piece in _value_blocks(inner, key.replace("_", " ")):
                yield replace(piece, number=piece.number or number if has_text else None)
    elif isinstance(value, list):
        for inner in value:
            yield from _value_blocks(inner, label)
    elif value is not None:
        said = {True: "yes", False: "no"}
        yield Piece(said[value] if isinstance(value, bool) else str(value), label)


def _line_blocks(text: str) -> Iterator[Piece]:
    """The lines that say something, each with number and label.

    One that ends in a colon labels those up to the next gap. A line in bold may be a heading or a short answer: it is
    a piece and labels what follows.
    """
    heading, number, below = "", None, False
    for line in text.split("\n"):
        if not line.strip() and below:
            heading, below = "", False
        bold = _BOLD_LINE.fullmatch(line.strip())
        body = next(filter(None, bold.groups())) if bold else line[_bullet(line) :]
        if match := _NUMBER.match(body):
            number, body = int(match[1] or match[2]), body[match.end() :]
        body = _EMPHASIS.sub("", body).strip()
        if not body:
            continue
        label, rest = _label(body)
        if label and not rest:
            heading, below = label, False
            continue
        alone = bool(bold) and not label
        yield Piece(rest if label else body, label or heading, number, heading=alone)
        heading, number, below = (body, number, False) if alone else ("" if label else heading, None, True)


def _bullet(line: str) -> int:
    match = _BULLET.match(line)
    return match.end() if match else 0


def _label(line: str) -> tuple[str, str]:
    """ "Summary: late rain" -> ("Summary", "late rain"); no label -> ("", "")."""
    match = _LABEL.match(line)
    if match and len(match["label"].split()) <= MAX_LABEL_WORDS and not re.search(r"[.!?]\s", match["label"]):
        return match["label"].strip(" *_\"'"), match["rest"].strip()
    return "", ""


def _number_blocks(blocks: list[Piece]) -> Iterator[Piece]:
    for index, block in enumerate(blocks):
        texts = [block.text] if block.heading else _sentences(block.text)
        first, lead_in = True, block.label
        for text, following in zip(texts, [*texts[1:], ""], strict=True):
            label, rest = ("", "") if first else _label(text)
            if text.endswith(":") and following:
                lead_in = text.rstrip(": ")
                continue
            number = block.number if first else None
            yield replace(block, text=rest or text, label=label or lead_in, number=number, first=first, block=index)
            # "The speaker says" may introduce a quotation, "He sounds angry and says" is an answer besides.
            lead_in = text if _QUOTATION.match(following) and not _QUOTATION.match(text) else ""
            first = False


def _sentences(text: str) -> list[str]:
    """Sentences, and within them longer quotations and some clauses, each of which may be an answer of its own."""
    found = [
        clause.strip()
        for passage in _QUOTATION.split(" ".join(text.split()))
        for sentence in _SENTENCE_END.split(passage)
        for clause in _CLAUSE_END.split(sentence)
        if re.search(r"\w", clause)
    ]
    return found or [text]
