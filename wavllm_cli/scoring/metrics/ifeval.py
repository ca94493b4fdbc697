"""IFEval: the share of constraints on an answer's form that are met, and of answers that meet all of theirs."""

from collections import Counter
from collections.abc import Sequence

import wavllm_cli
from wavllm_cli.scoring.following.constraints import Constraint, is_met, is_met_loosely
from wavllm_cli.scoring.measure import Measure, check_pairs, known_share
from wavllm_cli.scoring.metrics.metric import Constrained, Metric

Met = Sequence[bool | None]  # by constraint; None: unknown


def ifeval(answers: Sequence[str], constraints: Sequence[Sequence[Constraint]]) -> list[Measure]:
    """The four figures of IFEval: of answers (prompts) and of constraints (instructions), strictly and loosely.

    Loosely, an answer may meet a constraint without its first or last line, or without its asterisks.

    Args:
        answers: N texts; an empty one meets nothing.
        constraints: of each answer, one or more. Unknown ones are in no figure, but counted under their names; an
            answer with an unknown one and no unmet one is in no figure of answers.

    Raises:
        ValueError: the two sequences differ in length.
    """
    check_pairs(constraints, answers)
    measures = []
    for how, check in (("strict", is_met), ("loose", is_met_loosely)):
        met = [[check(text, one) for one in asked] for text, asked in zip(answers, constraints, strict=True)]
        measures += [_of_answers(met, constraints, how), _of_constraints(met, constraints, how)]
    return measures


def _of_answers(met: Sequence[Met], constraints: Sequence[Sequence[Constraint]], how: str) -> Measure:
    rows = [(0, 0) if False not in row and None in row else (all(row), 1) for row in met]
    counts = {"met": sum(row[0] for row in rows), "answers": sum(row[1] for row in rows)}
    counts["unknown"] = len(rows) - counts["answers"]
    return _measure(f"ifeval/prompt-{how}", rows, constraints, counts)


def _of_constraints(met: Sequence[Met], constraints: Sequence[Sequence[Constraint]], how: str) -> Measure:
    rows = [(sum(filter(None, row)), sum(one is not None for one in row)) for row in met]
    counts = {"met": sum(row[0] for row in rows), "constraints": sum(row[1] for row in rows)}
    unknown = Counter(why for asked in constraints for one in asked if (why := one.unknown))
    return _measure(f"ifeval/instruction-{how}", rows, constraints, counts | {"unknown": unknown.total()} | unknown)


def _measure(
    metric: str, rows: Sequence[tuple[int, int]], constraints: Sequence[Sequence[Constraint]], counts: dict[str, int]
) -> Measure:
    import numpy as np

    readings = "+".join(sorted({one.reading for asked in constraints for one in asked}))
    signature = f"{metric}|ids:{readings}|wavllm:{wavllm_cli.__version__}"
    return Measure(metric, np.array(rows, dtype=np.float64).reshape(-1, 2), known_share, signature, counts=counts)


METRICS = (
    Metric(
        "ifeval",
        "IFEval accuracy",
        Constrained,
        lambda given: ifeval(given.answers, given.constraints),
        meaning="answers that meet every constraint, or constraints that are met",
    ),
)
