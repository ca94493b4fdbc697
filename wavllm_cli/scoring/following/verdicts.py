"""Instruction following of multi-task answers, by rules: is every instruction answered, in order, in the asked form?

What the rules cannot decide they leave undecided.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

from wavllm_cli.data.schema import Hypothesis
from wavllm_cli.scoring.following.align import Answer, Span, alignments
from wavllm_cli.scoring.following.forms import instruction

OUT_OF_PLACE = "out of order"  # the reason of an answer that is right but for its place
SEVERAL_CUTS = "its answer may begin or end at several places"


@dataclass(frozen=True)
class Verdict:
    """On one instruction.

    Attributes:
        followed: None: undecided.
        reason: why it is not followed, or undecided.
        text: the stretch of the answer that it was judged by.
    """

    followed: bool | None
    reason: str
    text: str


def judge(row: Hypothesis) -> list[Verdict]:
    """Judge an answer to several instructions: a verdict for each part of the row, in order.

    Where answers stand in another order than the instructions, as many as possible that are in order count. Where the
    answer may be cut in several ways and these lead to different verdicts, there is none.
    """
    parts = row.parts or []
    asks = [instruction(row, part, row.task == "cot" and i > 0) for i, part in enumerate(parts)]
    if not asks:
        return []
    answer = Answer(row.text, asks)
    found = [_verdicts(spans, answer.silences) for spans in alignments(answer)]
    return [_agreed(verdicts) for verdicts in zip(*found, strict=True)]


def _agreed(verdicts: Sequence[Verdict]) -> Verdict:
    first = verdicts[0]
    if all(verdict.followed == first.followed for verdict in verdicts):
        return first
    return Verdict(None, SEVERAL_CUTS, first.text)


def _verdicts(spans: Sequence[Span | None], silences: Sequence[str | None]) -> list[Verdict]:
    in_order = _in_order(spans)
    verdicts = []
    for i, span in enumerate(spans):
        if span is None:
            verdicts.append(Verdict(False, _why_missing(silences), ""))
        elif span.reading.followed and i not in in_order:
            verdicts.append(Verdict(False, OUT_OF_PLACE, span.text))
        else:
            verdicts.append(Verdict(span.reading.followed, span.reading.reason, span.text))
    return verdicts


def _in_order(spans: Sequence[Span | None]) -> set[int]:
    """The largest set of followed instructions whose answers stand in their order; the earlier ones on a tie."""
    followed = [i for i, span in enumerate(spans) if span and span.reading.followed]
    for size in range(len(followed), 0, -1):
        for chosen in combinations(followed, size):
            starts = [span.start for i in chosen if (span := spans[i])]
            if starts == sorted(starts):
                return set(chosen)
    return set()


def _why_missing(silences: Sequence[str | None]) -> str:
    return next((why for why in silences if why in ("refusal", "echo", "placeholder")), "missing")
