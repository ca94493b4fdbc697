"""The text of a multi-task row: a clause and an answer for every step, joined into one prompt and one target."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from random import Random
from typing import Literal, NamedTuple

from pydantic import JsonValue

from wavllm_cli.data.clips import facts
from wavllm_cli.data.schema import Part, Utterance
from wavllm_cli.prompts.pools import Split, by_role, fill, load_pool, load_roles, split_pool
from wavllm_cli.tasks.registry import STEPS, UNPROMPTED

Kind = Literal["ii", "cot"]

BETWEEN_ANSWERS = "\n"


class Step(NamedTuple):
    """One thing that is asked.

    Attributes:
        what: a key of `STEPS`: the row's task; `about-clip`: an sft row with audio; `summary`: such a row whose
            target is a summary; `summary-st`: an st row whose target is the translation of that summary.
        row: the clip, the instruction and the answer.
        words: the most that a summary may have.
    """

    what: str
    row: Utterance
    words: int | None = None


Combination = tuple[Step, ...]


@dataclass(frozen=True)
class Wordings:
    """What clauses are drawn from: instructions by task, and connectives and instructions by role."""

    tasks: Mapping[str, Sequence[str]]
    roles: Mapping[str, Sequence[str]]

    @classmethod
    def load(cls, kind: Kind, split: Split, pools: Mapping[str, Sequence[str]]) -> "Wordings":
        """One split of the user's pools; those that ship with the package where the user's lack a task or a role."""
        tasks = {task: pools.get(task) or load_pool(task) for task in UNPROMPTED}
        roles = load_roles(kind) | by_role(pools.get(kind, ()))
        return cls(
            {task: split_pool(pool, split) for task, pool in tasks.items()},
            {role: split_pool(pool, split) for role, pool in roles.items()},
        )

    def instruction(self, row: Utterance, rng: Random) -> str:
        return fill(rng.choice(self.tasks[row.task]), row) if row.task in UNPROMPTED else row.prompt


def build(kind: Kind, combination: Combination, wordings: Wordings, seed: int) -> Utterance:
    """The row that asks for a combination; its id and the seed decide the wordings."""
    new_id = _new_id(kind, combination, seed)
    clauses_of = _independent_clauses if kind == "ii" else _chain_clauses
    clauses = clauses_of(combination, wordings, Random(f"{seed} {new_id}"))
    about_clip = [step.row for step in combination if step.row.audio is not None]
    return about_clip[0].model_copy(
        update=facts(about_clip)
        | {
            "id": new_id,
            "task": kind,
            "prompt": "; ".join(", ".join(clause).rstrip(" .;:") for clause in clauses),
            "target": BETWEEN_ANSWERS.join(map(_answer, combination)),
            "references": None,
            "choices": None,
            "extra": _own_columns(about_clip),
            "parts": [
                Part(
                    task=step.row.task,
                    prompt=clause[-1],
                    target=step.row.target,
                    references=step.row.references,
                )
                for step, clause in zip(combination, clauses, strict=True)
            ],
        }
    )


def _own_columns(about_clip: Sequence[Utterance]) -> dict[str, JsonValue] | None:
    """What the user has written beside the rows about a clip; of a column that several have, the first one's."""
    columns: dict[str, JsonValue] = {}
    for row in about_clip:
        columns = (row.extra or {}) | columns
    return columns or None


def _independent_clauses(combination: Combination, wordings: Wordings, rng: Random) -> list[list[str]]:
    """Every step's clause: connectives, then its instruction."""
    roles, between = wordings.roles, len(combination) - 2
    draw = rng.sample if between <= len(roles["next"]) else rng.choices
    middle = draw(roles["next"], k=between)
    connectives = [rng.choice(roles["first"]), *middle, rng.choice(roles["last"])]
    clauses = []
    for step, connective in zip(combination, connectives, strict=True):
        instruction = wordings.instruction(step.row, rng)
        clauses.append([connective, *([rng.choice(roles["text"])] if step.row.audio is None else []), instruction])
    return clauses


def _chain_clauses(combination: Combination, wordings: Wordings, rng: Random) -> list[list[str]]:
    """Every step's clause: a connective that says what the step leans on, then its instruction."""
    roles, clauses = wordings.roles, []
    for i, step in enumerate(combination):
        known = STEPS[step.what]
        if known.chain_role:
            pool = roles[known.chain_role]
            if step.what == "st" and i > 1:  # "this text" would be the answer before
                pool = [wording for wording in pool if "transcript" in wording] or pool
            instruction = fill(rng.choice(pool), step.row).replace("{words}", str(step.words))
        else:
            instruction = wordings.instruction(step.row, rng)
        leans_on = "first" if i == 0 else "text" if known.on_text else "given"
        clauses.append([rng.choice(roles[leans_on]), instruction])
    return clauses


def _answer(step: Step) -> str:
    return fill(STEPS[step.what].lead_in, step.row) + (step.row.target or "")


def _new_id(kind: Kind, combination: Combination, seed: int) -> str:
    """The clip's id, the kind, and a digest of what the row is made of."""
    rows = [step.row for step in combination]
    parts = "\0".join([str(seed), *(f"{row.task}\0{row.id}\0{row.prompt}" for row in rows)])
    base = next(row.id for row in rows if row.audio is not None)
    return f"{base}-{kind}-{blake2b(parts.encode(), digest_size=6).hexdigest()}"
