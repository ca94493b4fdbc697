"""Instruction wordings: pools that ship with the package or are the user's, their seen/unseen split, attaching them."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from hashlib import blake2b
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from wavllm_cli import strict_json
from wavllm_cli.data.files import write_text
from wavllm_cli.data.schema import Task, Utterance, problems_in
from wavllm_cli.data.text_file import text_lines
from wavllm_cli.errors import UsageError
from wavllm_cli.tasks.registry import ALIASES, MULTI, SINGLE, UNPROMPTED, WORDINGS
from wavllm_cli.text.languages import known_language

Split = Literal["seen", "unseen", "all"]

# What a wording of a task or of a role leaves open; those of all others are complete.
SLOTS = {code: task.slot for code, task in SINGLE.items() if task.slot}
SLOTS |= {name: role.slot for task in MULTI.values() for name, role in task.roles.items() if role.slot}


class Wording(BaseModel):
    """One row of a .jsonl pool; other keys are ignored."""

    model_config = ConfigDict(frozen=True, str_strip_whitespace=True)

    task: Task
    text: str
    language: str = "en"
    role: str | None = None  # what it is for in an ii or cot prompt
    style: str | None = None  # what a model was asked to make it like

    @model_validator(mode="after")
    def _fits_its_task(self) -> "Wording":
        roles = list(load_roles(self.task)) if self.task in MULTI else []
        if roles and self.role not in roles:
            raise ValueError(f"the role of a wording for {self.task} must be one of {', '.join(roles)}")
        if self.role and not roles:
            raise ValueError(f"a wording for {self.task} has no role: leave the key out")
        if not self.text:
            raise ValueError('key "text" is empty: write the wording there, or delete the line')
        purpose, found = self.role or self.task, re.findall(r"\{\w+\}", self.text)
        if found != ([SLOTS[purpose]] if purpose in SLOTS else []):
            needed = f"hold {SLOTS[purpose]} once and no other slot" if purpose in SLOTS else "hold no slot"
            raise ValueError(f"a wording for {purpose} must {needed}, not {' and '.join(found) or 'none'}")
        return self

    def line(self) -> str:
        """As it stands in a text file: words alone, or `role: words`."""
        return f"{self.role}: {self.text}" if self.role else self.text


def _lines(path: Path) -> list[tuple[int, str]]:
    """Lines and their numbers from 1 on, blank lines and `#` comments skipped."""
    lines = map(str.strip, text_lines(path))
    numbered = [(number, line) for number, line in enumerate(lines, 1) if line and not line.startswith("#")]
    if not numbered:
        raise UsageError(f"The pool of wordings {path} is empty: it needs one wording a line.")
    return numbered


@cache
def load_pool(task: str) -> tuple[str, ...]:
    """The wordings that ship with the package."""
    return tuple(line for _, line in _lines(WORDINGS / f"{task}.txt"))


@cache
def load_roles(kind: str) -> dict[str, tuple[str, ...]]:
    """The wordings of ii or cot that ship with the package, by role."""
    return by_role(load_pool(kind))


def by_role(lines: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Lines of `role: words` (ii, cot) as role -> wordings."""
    roles: dict[str, list[str]] = {}
    for line in lines:
        role, _, words = line.partition(": ")
        roles.setdefault(role, []).append(words)
    return {role: tuple(words) for role, words in roles.items()}


def read_pools(sources: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Read the user's pools: task -> wordings of all sources in order, duplicates dropped.

    Args:
        sources: `FILE.jsonl` of `Wording`s, or `TASK=FILE.txt` with one wording a line (`role: words` for ii and cot).

    Raises:
        UsageError: a file that is missing or empty, or a wrong wording; the message names file and line.
    """
    pools: dict[str, dict[str, None]] = {}
    for source in sources:
        task, _, name = ("", "", source) if source.endswith(".jsonl") else source.partition("=")
        if not name:
            raise UsageError(f"'{source}' does not tell what its wordings are for: write TASK=FILE.txt or FILE.jsonl.")
        task = ALIASES.get(task, task)
        for number, line in _lines(Path(name)):
            try:
                if name.endswith(".jsonl"):
                    wording = Wording.model_validate(strict_json.loads(line))
                else:
                    role, _, text = line.partition(": ") if task in MULTI else (None, "", line)
                    wording = Wording.model_validate({"task": task, "text": text, "role": role})
            except ValidationError as error:
                raise UsageError(f"{name}, line {number}: {problems_in(error)[0]}.") from error
            except ValueError as error:
                raise UsageError(f"{name}, line {number}: {error}.") from error
            pools.setdefault(wording.task, {})[wording.line()] = None
    return {task: tuple(wordings) for task, wordings in pools.items()}


def write_pool(path: Path, wordings: Iterable[Wording]) -> None:
    """Write a .jsonl pool, complete or not at all.

    Raises:
        WavLLMError: the file cannot be written.
    """
    write_text(path, "".join(wording.model_dump_json(exclude_none=True) + "\n" for wording in wordings))


def split_pool(pool: Sequence[str], split: Split) -> Sequence[str]:
    """The wordings to train on (`seen`, the first 80 %) or kept back to test robustness (`unseen`, the rest).

    Raises:
        UsageError: an unknown split, or one that this pool is too small for.
    """
    cut = len(pool) * 8 // 10
    parts = {"seen": pool[:cut], "unseen": pool[cut:], "all": pool}
    if split not in parts:
        raise UsageError(f"unknown split of wordings '{split}': use one of {', '.join(parts)}.")
    if not parts[split]:
        raise UsageError(f"A pool of {len(pool)} wordings has none that are '{split}': use 'all', or add wordings.")
    return parts[split]


def pick(pool: Sequence[str], *key: object) -> str:
    """Choose by the key alone: the same key always gets the same wording, in any process and any order of rows."""
    return pool[number_of(*key) % len(pool)]


def number_of(*key: object) -> int:
    """0 to 2^64 - 1, by the key alone."""
    digest = blake2b("\0".join(map(str, key)).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big")


def language_name(code: str | None, row_id: str) -> str:
    """ "de" or "de-DE" -> "German"; a name stays as it is.

    Raises:
        UsageError: the row has no target language or one that is not known; the message names the row.
    """
    if not code:
        raise UsageError(f"Row '{row_id}' is a translation without target_language, which its instruction has to name.")
    name = known_language(code)
    if name is None and not code[0].isupper():
        raise UsageError(f"Row '{row_id}' has the target_language '{code}', which has no known name: write the name.")
    return name or code


def fill(wording: str, row: Utterance) -> str:
    """Put the row's target language into the slot of a translation's wording."""
    if "{language}" not in wording:
        return wording
    return wording.replace("{language}", language_name(row.target_language, row.id))


def attach(
    rows: Iterable[Utterance],
    seed: int,
    split: Split = "seen",
    pools: Mapping[str, Sequence[str]] | None = None,
    tasks: Iterable[str] = UNPROMPTED,
) -> Iterator[Utterance]:
    """Give the rows of some tasks an instruction; all other rows keep theirs.

    A wording replaces the prompt, except that those of sqa and sft are frames around it. A prompt that stands in a
    frame of the pool already, from an earlier run, is taken out of it first.

    Args:
        rows: the manifest.
        seed: with the row's id it decides the wording, whatever the order of the rows.
        split: which part of the pools to draw from.
        pools: task -> wordings to use instead of those that ship with the package.
        tasks: whose rows get an instruction: some of `SINGLE`.

    Raises:
        UsageError: another task, an st row without a known target language, an unknown split.
    """
    tasks = list(tasks)
    for task in tasks:
        if task not in SINGLE:
            raise UsageError(f"'{task}' rows cannot be given a wording: choose among {', '.join(SINGLE)}.")
    whole = {task: (pools or {}).get(task) or load_pool(task) for task in tasks}
    chosen = {task: split_pool(pool, split) for task, pool in whole.items()}
    frames = {
        task: [wording.split("{prompt}") for wording in pool if "{prompt}" in wording] for task, pool in whole.items()
    }

    def attached(row: Utterance) -> Utterance:
        if row.task not in chosen:
            return row
        wording = fill(pick(chosen[row.task], seed, row.id), row)
        prompt = wording.replace("{prompt}", _unframed(row.prompt, frames[row.task]))
        return row.model_copy(update={"prompt": prompt})

    return map(attached, rows)


def _unframed(prompt: str, frames: Iterable[list[str]]) -> str:
    """The prompt without the longest of the frames, as what stands before and after, that it fits."""
    fitting = [f for f in frames if prompt.startswith(f[0]) and prompt.endswith(f[-1])]
    before, *_, after = max(fitting, key=lambda frame: len("".join(frame)), default=("", ""))
    return prompt.removeprefix(before).removesuffix(after)
