"""How far the rules agree with the verdicts of careful readers in golden/: `python tests/agreement.py` prints a table.

Each set (the first letter of an id) was judged by its readers before the rules had been tried on it.
"""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path

from wavllm_cli.data.schema import Hypothesis
from wavllm_cli.scoring.following.verdicts import judge
from wavllm_cli.tasks.answers.choice import parse_choices, read_letter
from wavllm_cli.tasks.answers.yes_no import read_yes_no

GOLDEN = Path(__file__).parent / "golden" / "instruction_following.jsonl"

Verdicts = list[bool | None] | str  # a string is what a single answer was read as


def golden() -> list[dict]:
    return [json.loads(line) for line in GOLDEN.read_text(encoding="utf-8").splitlines()]


def verdict_of_rules(row: dict) -> Verdicts:
    given = {key: value for key, value in row.items() if key in Hypothesis.model_fields and value is not None}
    hypothesis = Hypothesis.model_validate({"audio": None, "target": None} | given)
    if row["task"] == "sqa":
        choices = hypothesis.choices or parse_choices(hypothesis.prompt)
        return read_letter(hypothesis.text, choices, hypothesis.prompt)
    if row["task"] == "sv":
        return read_yes_no(hypothesis.text, hypothesis.prompt)
    return [verdict.followed for verdict in judge(hypothesis)]


def is_decided(verdict: Verdicts) -> bool:
    return None not in verdict if isinstance(verdict, list) else True


def shares(rows: Iterable[dict], verdicts: dict[str, Verdicts]) -> tuple[int, float, float]:
    """Single verdicts, the share of them that is decided, and the share of these that agree."""
    pairs = [pair for row in rows for pair in _pairs(verdicts[row["id"]], row["verdict"])]
    decided = [(own, right) for own, right in pairs if own is not None]
    return len(pairs), len(decided) / len(pairs), sum(own == right for own, right in decided) / len(decided)


def _pairs(own: Verdicts, right: Verdicts) -> list[tuple]:
    return list(zip(own, right, strict=True)) if isinstance(own, list) else [(own, right)]


def table(rows: list[dict], verdicts: dict[str, Verdicts]) -> Iterator[str]:
    yield "set            verdicts  decided  agreeing"
    several = [row for row in rows if row["task"] in ("ii", "cot")]
    one = [row for row in rows if row not in several]
    sets = [(name, [row for row in several if row["id"][0] == name]) for name in sorted({row["id"][0] for row in rows})]
    for name, of_set in [*sets, ("several", several), ("one answer", one), ("all", rows)]:
        count, decided, agreeing = shares(of_set, verdicts)
        yield f"{name:14} {count:8}  {decided:7.1%}  {agreeing:8.1%}"


if __name__ == "__main__":
    found = {row["id"]: verdict_of_rules(row) for row in golden()}
    print("\n".join(table(golden(), found)))
