"""Hundreds of ways to ask, out of a grammar, for the miniature to train on beside the wordings that ship.

Thirty wordings a small language model knows by heart, and others then mean nothing to it. `wavllm gen-prompts` has a
chat model write more; here a grammar does, so that the data need no key and are the same everywhere.
"""

import re
from collections.abc import Mapping, Sequence
from functools import cache
from random import Random
from typing import Any

from wavllm_cli.mini.vocabulary import capitalised, read
from wavllm_cli.prompts.pools import Split, load_pool, load_roles, split_pool
from wavllm_cli.prompts.wording_checks import Known
from wavllm_cli.tasks.registry import MULTI, UNPROMPTED

DRAWS = 1000  # of wordings for a task or a role; fewer are different
INSIDE = "text"  # the role whose words stand inside a sentence

Pools = Mapping[str, Sequence[str]]


def drawn_from(split: str) -> tuple[Split, Pools | None]:
    """What the instructions of a split of the data are drawn from: the last arguments of `attach` and `compose`.

    Train also has those of the grammar. Dev and test ask as the package does, so that scores can be compared.
    """
    return ("all", _training_pools()) if split == "train" else ("seen", None)


@cache
def _training_pools() -> Pools:
    patterns = _grammar()["wordings"]
    pools = {task: _pool(load_pool(task), patterns.get(task, ())) for task in UNPROMPTED}
    for kind in MULTI:
        of_role = patterns.get(kind, {})
        roles = {role: _pool(shipped, of_role.get(role, ()), role) for role, shipped in load_roles(kind).items()}
        pools[kind] = [f"{role}: {wording}" for role, pool in roles.items() for wording in pool]
    return pools


def _pool(shipped: Sequence[str], patterns: Sequence[str], role: str | None = None) -> list[str]:
    """The wordings to train on: the shipped ones that are for training, as often as those of the grammar."""
    seen, kept_back = split_pool(shipped, "seen"), Known(split_pool(shipped, "unseen"))
    rng = Random(" ".join(patterns))
    drawn = dict.fromkeys(_filled(rng.choice(patterns), rng) for _ in range(DRAWS if patterns else 0))
    made = [words if role == INSIDE else capitalised(words) for words in drawn if not kept_back.has_like(words)]
    return [*made, *(seen[i % len(seen)] for i in range(max(len(made), len(seen))))]


def _filled(pattern: str, rng: Random) -> str:
    """With an alternative in each slot, whose own slots are filled alike; others stay open."""

    def alternative(slot: re.Match[str]) -> str:
        words = _grammar()["words"].get(slot[1])
        return _filled(rng.choice(words), rng) if words else slot[0]

    return re.sub(r"\{(\w+)\}", alternative, pattern)


@cache
def _grammar() -> dict[str, Any]:
    return read("wordings.yaml")
