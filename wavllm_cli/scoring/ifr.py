"""Instruction following of multi-task answers, by rules: is every instruction answered, in order, in the asked form?"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from itertools import combinations

from wavllm_cli.data.manifest import Hypothesis
from wavllm_cli.scoring.answer import Piece, joined, read_answer
from wavllm_cli.scoring.forms import COPY, FOLLOWED, NO_FIT, Fit, Instruction, instruction
from wavllm_cli.scoring.measure import Measure, share
from wavllm_cli.scoring.nonanswers import is_echo, nothing_said
from wavllm_cli.text.words import share_in, words

OUT_OF_PLACE = "out of order"  # the reason of an answer that is right but for its place

MIN_FIT = 0.25
OUT_OF_ORDER = 0.12  # what a fit loses for each instruction that it overtakes
SKIPPED = 0.08  # what an answer's worth loses for a piece that says something, but answers nothing
LABELLED = 0.5  # how much a label must speak of an instruction to be its introduction
MAX_STRETCH = 3  # pieces of an answer that is a letter, a word or yes or no


@dataclass(frozen=True)
class Verdict:
    """Whether one instruction is followed; if not, why; and the stretch of the answer that it was judged by."""

    followed: bool
    reason: str
    text: str


def judge(row: Hypothesis) -> list[Verdict]:
    """Judge an answer to several instructions: a verdict for each part of the row, in order.

    The answer is cut into stretches, one for each instruction at most, so that together they fit best. Where answers
    stand in another order than the instructions, as many as possible that are in order count.
    """
    parts = row.parts or []
    instructions = [instruction(row, part, row.task == "cot" and i > 0) for i, part in enumerate(parts)]
    answer = _Answer(row.text, instructions)
    spans = _assign(answer)
    in_order = _in_order(spans)
    verdicts = []
    for i, span in enumerate(spans):
        if span is None:
            verdicts.append(Verdict(False, _why_missing(answer.silences), ""))
        elif span.fit.reason == FOLLOWED and i not in in_order:
            verdicts.append(Verdict(False, OUT_OF_PLACE, span.text))
        else:
            verdicts.append(Verdict(span.fit.reason == FOLLOWED, span.fit.reason, span.text))
    return verdicts


def unfollowed(verdicts: Sequence[Verdict]) -> list[str]:
    """What is wrong with an answer: "instruction 2: not in de"."""
    return [f"instruction {i}: {verdict.reason}" for i, verdict in enumerate(verdicts, 1) if not verdict.followed]


def measures(verdicts: Sequence[Sequence[bool] | None], judge: str) -> list[Measure]:
    """The instruction-following rate: share of rows whose instructions are all followed; and share of instructions.

    Args:
        verdicts: for each row whether each of its instructions is followed; None: unknown, and in neither figure.
        judge: who says so, for the signature.
    """
    import numpy as np

    import wavllm_cli

    known = [row for row in verdicts if row is not None]
    rows = np.array([(all(row), 1) if row is not None else (0, 0) for row in verdicts], dtype=np.float64)
    parts = np.array([(sum(row), len(row)) if row is not None else (0, 0) for row in verdicts], dtype=np.float64)
    sign = f"judge:{judge}|wavllm:{wavllm_cli.__version__}"
    unknown = {"unusable": len(verdicts) - len(known)}
    counts = {"followed": sum(map(sum, known)), "instructions": sum(map(len, known)), **unknown}
    return [
        Measure("ifr", rows.reshape(-1, 2), share, f"ifr|{sign}", counts={"followed": sum(map(all, known)), **unknown}),
        Measure("instructions", parts.reshape(-1, 2), share, f"instructions|{sign}", counts=counts),
    ]


# --- the best way to cut an answer ---


@dataclass(frozen=True)
class _Span:
    start: int
    end: int
    text: str
    fit: Fit


class _Answer:
    """The pieces of an answer, and what each of them is to the instructions."""

    def __init__(self, text: str, instructions: Sequence[Instruction]):
        self.instructions = instructions
        self.transcript = instructions[0].transcript if instructions else ""
        self.pieces = self._with_headings(read_answer(text))
        lines: dict[int, str] = {}
        for piece in self.pieces:
            lines[piece.block] = f"{lines.get(piece.block, '')} {piece.text}"
        prompts = [ask.prompt for ask in instructions if not is_echo(ask.target, ask.prompt)]  # "repeat: …"
        whole = " ".join(prompts)
        echoed = {block for block, line in lines.items() if any(is_echo(line, asked) for asked in (whole, *prompts))}
        self._label_below_echoes(echoed)
        self.silences = [
            "heading" if piece.heading else "echo" if piece.block in echoed else self._silence(piece.text, prompts)
            for piece in self.pieces
        ]
        heard = words(self.transcript)
        self.copied = [share_in(words(piece.text), heard) > COPY for piece in self.pieces]
        self.owners = self._owners()
        self.lines = len({p.block for p, why in zip(self.pieces, self.silences, strict=True) if why is None})

    def _with_headings(self, pieces: list[Piece]) -> list[Piece]:
        """The same with only those lines in bold as headings, and as labels, that speak of an instruction."""
        for i, piece in enumerate(pieces):
            if not piece.heading:
                continue
            answers = any(ask.is_brief and ask.fit(piece.text) is not NO_FIT for ask in self.instructions)
            introduces = i + 1 < len(pieces) and pieces[i + 1].label == piece.text
            if answers or not introduces or max(ask.labelled(piece.text) for ask in self.instructions) < LABELLED:
                pieces[i] = replace(piece, heading=False)
                if introduces:
                    pieces[i + 1] = replace(pieces[i + 1], label="")
        return pieces

    def _label_below_echoes(self, echoed: set[int]) -> None:
        """Lines that repeat instructions introduce those below them: "Question 1: How long? / Answer: two days".

        A single such line is rather an echo in place of an answer.
        """
        if len(echoed) < 2:
            return
        for i, piece in enumerate(self.pieces[:-1]):
            below = self.pieces[i + 1]
            if piece.block in echoed and below.block not in echoed and below.block != piece.block:
                line = " ".join(p.text for p in self.pieces if p.block == piece.block)
                self.pieces[i + 1] = replace(below, label=line)

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
                fits = [ask.labelled(piece.label) for ask in self.instructions]
                best = max(fits)
                owner = fits.index(best) if best >= LABELLED and fits.count(best) == 1 else None
            if owner is not None and copied and self.instructions[owner].kind != "transcript":
                owner = None  # "Doctor: …" is who speaks
            owners.append(owner)
        return owners

    def span(self, i: int, start: int, end: int) -> _Span:
        """A stretch as the answer to instruction i: what it says, what introduces it, and where it stands."""
        ask, first, stretch = self.instructions[i], self.pieces[start], self.pieces[start:end]
        label = ask.labelled(first.label) if first.label else 0.0
        text = joined(stretch, with_label=label < LABELLED)
        apart = first.first and (end == len(self.pieces) or self.pieces[end].first)
        fit = ask.fit(text, apart or label >= LABELLED, self._amid(i, start, end))
        if fit is NO_FIT and ask.is_brief and first.label:  # "Number of speakers: one"
            fit = ask.fit(first.whole)
        if fit is NO_FIT and label < LABELLED:
            return _Span(start, end, text, NO_FIT)
        score = fit.score + 0.3 * label - (0.2 if first.label and not label else 0.0)
        others = [owner for owner in self.owners[start:end] if owner not in (None, i)]
        score -= 0.3 * len(set(others))
        score += 0.1 * apart - (0.15 if ask.is_brief else 0.03) * sum(piece.first for piece in stretch[1:])
        if first.number is not None:
            score += 0.2 if first.number == i + 1 else -0.2
        if not first.first and self.lines > 1:  # who writes lines begins each answer with one
            score -= 0.25
        if self.lines == len(self.instructions) and apart and first.block == stretch[-1].block == i:
            score += 0.1
        return _Span(start, end, text, Fit(score, fit.reason))

    def _amid(self, i: int, start: int, end: int) -> bool:
        """Whether a stretch stands next to words of the transcript; before a summary only within the line."""
        same_line = self.instructions[i].kind == "summary"
        before = start > 0 and self.copied[start - 1] and not (same_line and self.pieces[start].first)
        behind = end < len(self.pieces) and self.copied[end] and not (same_line and self.pieces[end].first)
        return before or behind


def _assign(answer: _Answer) -> list[_Span | None]:
    """A stretch of the answer for each instruction, or None, such that the sum of fits is greatest."""
    count, length = len(answer.instructions), len(answer.pieces)
    span = lru_cache(maxsize=None)(answer.span)

    @cache
    def best(start: int, taken: int) -> tuple[float, tuple[tuple[int, int], ...]]:
        """The worth of the pieces from `start` on, and who takes them up to where; -1: nobody."""
        if start == length:
            return 0.0, ()
        worth, choices = best(start + 1, taken)
        result = (worth - (SKIPPED if answer.silences[start] is None else 0.0), ((-1, start + 1), *choices))
        if answer.silences[start]:
            return result
        for i in (i for i in range(count) if not taken >> i & 1):
            overtaken = (taken >> i).bit_count() * OUT_OF_ORDER
            for end in range(start + 1, length + 1):
                if _too_long(answer.instructions[i], start, end) or answer.silences[end - 1]:
                    break
                fit = span(i, start, end).fit.score - overtaken
                if fit < MIN_FIT:
                    continue
                worth, choices = best(end, taken | 1 << i)
                if worth + fit > result[0]:
                    result = (worth + fit, ((i, end), *choices))
        return result

    found: list[_Span | None] = [None] * count
    start = 0
    for i, end in best(0, 0)[1]:
        if i >= 0:
            found[i] = span(i, start, end)
        start = end
    return found


def _too_long(ask: Instruction, start: int, end: int) -> bool:
    return end - start > MAX_STRETCH and ask.is_brief


def _in_order(spans: Sequence[_Span | None]) -> set[int]:
    """The largest set of followed instructions whose answers stand in their order; the earlier ones on a tie."""
    followed = [i for i, span in enumerate(spans) if span and span.fit.reason == FOLLOWED]
    for size in range(len(followed), 0, -1):
        for chosen in combinations(followed, size):
            starts = [span.start for i in chosen if (span := spans[i])]
            if starts == sorted(starts):
                return set(chosen)
    return set()


def _why_missing(silences: Sequence[str | None]) -> str:
    return next((why for why in silences if why in ("refusal", "echo", "placeholder")), "missing")
