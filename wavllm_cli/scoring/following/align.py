"""Which stretch of an answer belongs to which instruction.

Lead-ins, numbers, headings and lines cut an answer first; where these give each instruction a stretch that has its
form, that is it. Else the cut is taken for which most signs speak, and where several are equally good, all of them.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import islice
from operator import add
from typing import NamedTuple

from wavllm_cli.scoring.following.cut import Piece, joined, read_answer
from wavllm_cli.scoring.following.forms import COPY, MIN_RECALL, NO_ANSWER, Instruction, Reading
from wavllm_cli.tasks.answers.nonanswers import is_echo, nothing_said
from wavllm_cli.text.words import share_in, words

MAX_STRETCH = 3  # pieces of an answer that is a letter, a word or yes or no
MAX_CUTS = 16  # equally good ones that are looked at


class Signs(NamedTuple):
    """How much speaks for a cut; the first counts most, the others where the ones before are equal.

    Attributes:
        said: stretches whose words, or labels before them, show that they are for their instruction; less those whose
            labels show another one.
        placed: stretches that have the number of their instruction, or its line.
        unused: less the pieces that say something and answer nothing, a transcription that takes them along or not.
        whole: less the ends of stretches that are within a line, and the lines that a brief answer has beyond one.
    """

    said: int = 0
    placed: int = 0
    unused: int = 0
    whole: int = 0

    def plus(self, other: "Signs") -> "Signs":
        return Signs(*map(add, self, other))


NO_SIGNS = Signs()


@dataclass(frozen=True)
class Span:
    """A stretch of pieces as the answer to an instruction.

    Attributes:
        start, end: the first piece, and the one behind the last.
        text: what it says, without what introduces it.
        reading: what it is to the instruction.
        signs: how much speaks for it.
    """

    start: int
    end: int
    text: str
    reading: Reading
    signs: Signs


class Answer:
    """The pieces of an answer, and what each of them is to the instructions."""

    def __init__(self, text: str, instructions: Sequence[Instruction]):
        self.instructions = instructions
        self.transcript = instructions[0].transcript
        self.pieces = self._with_headings(read_answer(text))
        lines: dict[int, str] = {}
        for piece in self.pieces:
            lines[piece.block] = f"{lines.get(piece.block, '')} {piece.text}"
        prompts = [ask.prompt for ask in instructions if not _wants_echo(ask)]
        whole = " ".join(prompts)
        echoed = {block for block, line in lines.items() if any(is_echo(line, asked) for asked in (whole, *prompts))}
        self.silences = [
            "heading" if piece.heading else "echo" if piece.block in echoed else self._silence(piece.text, prompts)
            for piece in self.pieces
        ]
        heard = words(self.transcript)
        shares = [share_in(words(piece.text), heard) for piece in self.pieces]
        self.copied = [share > COPY for share in shares]
        self.foreign = [share < MIN_RECALL and not p.first for share, p in zip(shares, self.pieces, strict=True)]
        self.owners = self._owners()
        speaking = [p.block for p, why in zip(self.pieces, self.silences, strict=True) if why is None]
        self.lines = list(dict.fromkeys(speaking))
        self._seen: dict[tuple[int, int, int], Span] = {}

    def _with_headings(self, pieces: list[Piece]) -> list[Piece]:
        """The same with only those lines in bold as headings that name an instruction's answer, and are none."""
        for i, piece in ((i, piece) for i, piece in enumerate(pieces) if piece.heading):
            answers = any(ask.is_brief and ask.read(piece.text) is not NO_ANSWER for ask in self.instructions)
            if answers or not any(ask.named_by(piece.text) for ask in self.instructions):
                pieces[i] = replace(piece, heading=False)
                if i + 1 < len(pieces) and pieces[i + 1].label == piece.text:
                    pieces[i + 1] = replace(pieces[i + 1], label="")
        return pieces

    def _silence(self, text: str, prompts: Sequence[str]) -> str | None:
        """Why a piece says nothing: all but an echo is the same for every instruction."""
        first, *others = prompts or [""]
        why = nothing_said(text, first, self.transcript)
        return why or ("echo" if any(is_echo(text, prompt) for prompt in others) else None)

    def _owners(self) -> list[int | None]:
        """For each piece the one instruction that the label before it, in its line, speaks of."""
        owners: list[int | None] = []
        for piece, copied in zip(self.pieces, self.copied, strict=True):
            owner = None if piece.first or not owners else owners[-1]
            if piece.label:
                reasons = [ask.named_by(piece.label) for ask in self.instructions]
                owner = reasons.index(max(reasons)) if reasons.count(max(reasons)) == 1 and any(reasons) else None
            if owner is not None and copied and self.instructions[owner].kind != "transcript":
                owner = None  # "Doctor: …" is who speaks
            owners.append(owner)
        return owners

    def span(self, i: int, start: int, end: int) -> Span:
        """A stretch as the answer to instruction i."""
        if (i, start, end) not in self._seen:
            self._seen[i, start, end] = self._span(i, start, end)
        return self._seen[i, start, end]

    def _span(self, i: int, start: int, end: int) -> Span:
        ask, first, stretch = self.instructions[i], self.pieces[start], self.pieces[start:end]
        labelled = bool(first.label) and ask.named_by(first.label) > 0
        text = joined(stretch, with_label=not labelled)
        own = self.owners[start] == i
        ends_line = end == len(self.pieces) or self.pieces[end].first
        in_line = first.first and ends_line and first.block == stretch[-1].block
        in_place = len(self.lines) == len(self.instructions) and in_line and self.lines[i] == first.block
        numbered = 0 if first.number is None else 1 if first.number == i + 1 else -1
        reading = ask.read(text, own or in_place or numbered > 0, self._amid(i, start, end))
        if reading is NO_ANSWER and ask.is_brief and first.label:  # "Number of speakers: one"
            reading = ask.read(first.whole)
        if reading is NO_ANSWER and not labelled:
            return Span(start, end, text, NO_ANSWER, NO_SIGNS)
        others = {owner for owner in self.owners[start:end] if owner not in (None, i)}
        signs = Signs(
            said=reading.shows + own - len(others),
            placed=numbered + in_place,
            unused=-sum(self.foreign[start:end]) if ask.kind == "transcript" else 0,
            whole=-(not first.first) - (not ends_line) - (sum(p.first for p in stretch[1:]) if ask.is_brief else 0),
        )
        return Span(start, end, text, reading, signs)

    def _amid(self, i: int, start: int, end: int) -> bool:
        """Whether a stretch stands next to words of the transcript; before a summary only within the line."""
        same_line = self.instructions[i].kind == "summary"
        before = start > 0 and self.copied[start - 1] and not (same_line and self.pieces[start].first)
        behind = end < len(self.pieces) and self.copied[end] and not (same_line and self.pieces[end].first)
        return before or behind


Cut = tuple[tuple[int, int], ...]  # who takes the next pieces (-1: nobody), and up to where
Pattern = tuple[tuple[int, bool | None], ...]  # the instructions in the order of their stretches, and the verdicts


def _wants_echo(ask: Instruction) -> bool:
    """Whether the instruction itself is a right answer: "repeat: …"."""
    return any(is_echo(right, ask.prompt) for right in ask.accepted)


def alignments(answer: Answer) -> list[list[Span | None]]:
    """The best ways to give each instruction a stretch of the answer, or None; those with the same verdicts once."""
    in_lines = _by_lines(answer)
    if in_lines and all(span.reading.followed for span in in_lines):
        return [list(in_lines)]
    return [_spans(answer, cut) for cut in _best_cuts(answer)]


def _by_lines(answer: Answer) -> list[Span]:
    """A stretch for each instruction where lead-ins, headings and lines make as many as there are instructions."""
    starts: list[int] = []
    ends: list[int] = []
    for i, (piece, silence) in enumerate(zip(answer.pieces, answer.silences, strict=True)):
        if silence:
            continue
        before = answer.pieces[ends[-1] - 1] if ends and ends[-1] == i else None
        if before and (before.block == piece.block or (piece.label and piece.label == before.label)):
            ends[-1] = i + 1
        else:
            starts.append(i)
            ends.append(i + 1)
    if len(starts) != len(answer.instructions):
        return []
    return [answer.span(i, start, end) for i, (start, end) in enumerate(zip(starts, ends, strict=True))]


def _spans(answer: Answer, cut: Cut) -> list[Span | None]:
    found: list[Span | None] = [None] * len(answer.instructions)
    start = 0
    for i, end in cut:
        if i >= 0:
            found[i] = answer.span(i, start, end)
        start = end
    return found


def _best_cuts(answer: Answer) -> list[Cut]:
    """The cuts for which most signs speak."""
    length = len(answer.pieces)

    @cache
    def best(start: int, taken: int) -> tuple[Signs, dict[Pattern, Cut]]:
        """The signs from a piece on, where some instructions have their answer (bits of `taken`) before it."""
        if start == length:
            return NO_SIGNS, {(): ()}
        top: Signs | None = None
        cuts: dict[Pattern, Cut] = {}
        for signs, i, end, followed in _next_stretches(answer, start, taken):
            more, rest = best(end, taken | 1 << i if i >= 0 else taken)
            total = signs.plus(more)
            if top is None or total > top:
                top, cuts = total, {}
            if total == top:
                head: Pattern = ((i, followed),) if i >= 0 else ()
                cuts |= {head + pattern: ((i, end), *cut) for pattern, cut in islice(rest.items(), MAX_CUTS)}
        return top or NO_SIGNS, cuts

    return list(best(0, 0)[1].values())[:MAX_CUTS]


def _next_stretches(answer: Answer, start: int, taken: int) -> Iterator[tuple[Signs, int, int, bool | None]]:
    """What may come next: a piece that is nobody's answer, or a stretch for an instruction that has none yet."""
    yield Signs(unused=-(answer.silences[start] is None)), -1, start + 1, None
    for i, ask in enumerate(answer.instructions):
        if taken >> i & 1:
            continue
        last = start + MAX_STRETCH if ask.is_brief else len(answer.pieces)
        for end in range(start + 1, min(last, len(answer.pieces)) + 1):
            if answer.silences[end - 1]:
                break
            span = answer.span(i, start, end)
            if span.reading is not NO_ANSWER:
                yield span.signs, i, end, span.reading.followed
