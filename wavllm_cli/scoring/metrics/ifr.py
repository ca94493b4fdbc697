"""The instruction-following rate of multi-task rows, from verdicts on their instructions."""

from collections.abc import Sequence
from functools import partial

from wavllm_cli.scoring.following.verdicts import Verdict
from wavllm_cli.scoring.measure import Measure, known_share
from wavllm_cli.scoring.metrics.metric import Judged, Metric


def unfollowed(verdicts: Sequence[Verdict]) -> list[str]:
    """What is wrong with an answer: "instruction 2: not in de"."""
    return [f"instruction {i}: {verdict.reason}" for i, verdict in enumerate(verdicts, 1) if verdict.followed is False]


def followed(verdicts: Sequence[Verdict]) -> list[bool | None]:
    """Whether each instruction is followed; None: undecided."""
    return [verdict.followed for verdict in verdicts]


def undecided(row: Sequence[bool | None]) -> bool:
    """Whether it is unknown if a row follows all: nothing has failed, and something is undecided."""
    return None in row and False not in row


def measures(verdicts: Sequence[Sequence[bool | None] | None], judge: str) -> list[Measure]:
    """The instruction-following rate: share of rows whose instructions are all followed; and share of instructions.

    Args:
        verdicts: for each row whether each of its instructions is followed, None where that is undecided; None for the
            row: no verdicts at all. Rows that are unknown or `undecided` are in neither figure, but counted. An
            undecided instruction beside a failed one is not among the instructions.
        judge: who says so, for the signature.
    """
    import numpy as np

    import wavllm_cli

    known = [None if row is None or undecided(row) else [v for v in row if v is not None] for row in verdicts]
    rows = np.array([(0, 0) if row is None else (all(row), 1) for row in known], dtype=np.float64)
    parts = np.array([(0, 0) if row is None else (sum(row), len(row)) for row in known], dtype=np.float64)
    sign = f"judge:{judge}|undecided:left out|wavllm:{wavllm_cli.__version__}"
    given = [row for row in verdicts if row is not None]
    unusable = len(verdicts) - len(given)
    of_rows = {"followed": int(rows[:, 0].sum()) if known else 0, "undecided": sum(map(undecided, given))}
    of_parts = {"followed": sum(map(sum, filter(None, known))), "instructions": sum(map(len, filter(None, known)))}
    of_parts["undecided"] = sum(list(row).count(None) for row in given)
    return [
        Measure("ifr", rows.reshape(-1, 2), known_share, f"ifr|{sign}", counts=of_rows | {"unusable": unusable}),
        Measure(
            "instructions",
            parts.reshape(-1, 2),
            known_share,
            f"instructions|{sign}",
            counts=of_parts | {"unusable": unusable},
        ),
    ]


def _apply(code: str, given: Judged) -> list[Measure]:
    return [measure for measure in measures(given.verdicts, given.judge) if measure.metric == code]


METRICS = (
    Metric(
        "ifr",
        "instruction-following rate",
        Judged,
        partial(_apply, "ifr"),
        meaning="rows with all instructions followed",
    ),
    Metric(
        "instructions",
        "share of instructions followed",
        Judged,
        partial(_apply, "instructions"),
        meaning="single instructions, followed of all",
    ),
)
