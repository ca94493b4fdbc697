"""Instruction wordings: the pools that ship with the package, their seen/unseen split, and attaching them to rows."""

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from hashlib import blake2b
from pathlib import Path
from typing import Literal

from wavllm_cli.data.manifest import Utterance
from wavllm_cli.errors import UsageError

Split = Literal["seen", "unseen", "all"]

POOLS = Path(__file__).parent / "pools"
POOL_TASKS = ("asr", "st", "sv", "er")  # the rows of all other tasks bring the instruction of their own

# The target languages of CoVoST 2 and MuST-C, and English.
LANGUAGES = {
    "ar": "Arabic",
    "ca": "Catalan",
    "cs": "Czech",
    "cy": "Welsh",
    "de": "German",
    "en": "English",
    "es": "Spanish",
    "et": "Estonian",
    "fa": "Persian",
    "fr": "French",
    "id": "Indonesian",
    "it": "Italian",
    "ja": "Japanese",
    "lv": "Latvian",
    "mn": "Mongolian",
    "nl": "Dutch",
    "pt": "Portuguese",
    "ro": "Romanian",
    "ru": "Russian",
    "sl": "Slovenian",
    "sv": "Swedish",
    "ta": "Tamil",
    "tr": "Turkish",
    "vi": "Vietnamese",
    "zh": "Chinese",
}


@cache
def load_pool(task_or_path: str | Path) -> tuple[str, ...]:
    """Read a pool of wordings: one a line, blank lines and `#` comments skipped.

    Args:
        task_or_path: a task whose pool ships with the package ("asr"), or a text file.

    Raises:
        UsageError: no such pool or file, or nothing in it.
    """
    bundled = POOLS / f"{task_or_path}.txt"
    path = bundled if bundled.is_file() else Path(task_or_path)
    if not path.is_file():
        known = ", ".join(sorted(p.stem for p in POOLS.glob("*.txt")))
        raise UsageError(f"There is no pool of wordings '{task_or_path}': give a text file or one of {known}.")
    lines = (line.strip() for line in path.read_text(encoding="utf-8").splitlines())
    pool = tuple(line for line in lines if line and not line.startswith("#"))
    if not pool:
        raise UsageError(f"The pool of wordings {path} is empty: it needs one wording a line.")
    return pool


@cache
def load_roles(kind: str) -> dict[str, tuple[str, ...]]:
    """A pool of `role: words` lines (ii, cot) as role -> wordings."""
    roles: dict[str, list[str]] = {}
    for line in load_pool(kind):
        role, _, words = line.partition(": ")
        roles.setdefault(role, []).append(words)
    return {role: tuple(words) for role, words in roles.items()}


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
    digest = blake2b("\0".join(map(str, key)).encode(), digest_size=8).digest()
    return pool[int.from_bytes(digest, "big") % len(pool)]


def language_name(code: str | None, row_id: str) -> str:
    """ "de" or "de-DE" -> "German"; a name stays as it is.

    Raises:
        UsageError: the row has no target language or one that is not known; the message names the row.
    """
    if not code:
        raise UsageError(f"Row '{row_id}' is a translation without target_language, which its instruction has to name.")
    name = LANGUAGES.get(code.replace("_", "-").split("-")[0].lower())
    if name is None and not code[0].isupper():
        raise UsageError(f"Row '{row_id}' has the target_language '{code}', which has no known name: write the name.")
    return name or code


def fill(wording: str, row: Utterance) -> str:
    """Put the row's target language into the slot of a translation's wording."""
    if "{language}" not in wording:
        return wording
    return wording.replace("{language}", language_name(row.target_language, row.id))


def attach(
    rows: Iterable[Utterance], seed: int, split: Split = "seen", pools: Mapping[str, Sequence[str]] | None = None
) -> list[Utterance]:
    """Give every asr, st, sv and er row an instruction; the rows of other tasks keep theirs.

    Args:
        rows: the manifest.
        seed: with the row's id it decides the wording, whatever the order of the rows.
        split: which part of the pools to draw from.
        pools: task -> wordings to use instead of those that ship with the package.

    Raises:
        UsageError: an st row without a known target language, an unknown split.
    """
    chosen = {task: split_pool((pools or {}).get(task) or load_pool(task), split) for task in POOL_TASKS}
    return [
        row.model_copy(update={"prompt": fill(pick(chosen[row.task], seed, row.id), row)})
        if row.task in chosen
        else row
        for row in rows
    ]
