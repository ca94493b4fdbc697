"""`skipped.jsonl` beside manifests: what is in none of them, and why, a row for each item.

Several commands write manifests into one folder: each replaces its own rows and leaves those of the others.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from wavllm_cli import strict_json
from wavllm_cli.data.files import shown, write_text
from wavllm_cli.errors import UsageError, reason

SKIPPED = "skipped.jsonl"

Row = dict[str, Any]


def skipped_row(corpus: str, split: str, item: str, reason: str, detail: str) -> Row:
    """A row of the list.

    Args:
        corpus: from which the item comes, or the command that could not use it.
        split: of its manifest.
        item: its name.
        reason: for programs.
        detail: for people.
    """
    return {"corpus": corpus, "split": split, "item": item, "reason": reason, "detail": detail}


def skipped_earlier(folder: Path) -> list[Row]:
    """What earlier commands skipped on the way to manifests in a folder.

    Raises:
        UsageError: another file has taken the name.
    """
    path = folder / SKIPPED
    try:
        lines = path.read_bytes().split(b"\n") if path.exists() else []
        rows = [strict_json.loads(line) for line in lines if line]
        if all(isinstance(row, dict) and {"corpus", "split"} <= row.keys() for row in rows):
            return rows
    except (OSError, ValueError) as error:
        raise UsageError(f"{shown(path)} is not a list of skipped items: {reason(error)}.") from error
    raise UsageError(f"{shown(path)} is not a list of skipped items: every row has a corpus and a split.")


def list_skipped(
    folder: Path, earlier: Sequence[Row], is_replaced: Callable[[Row], bool], own: Sequence[Row]
) -> Path | None:
    """Write the list: earlier rows that are not replaced, and a command's own.

    Returns:
        Its path; None where the command has skipped nothing.
    """
    path = folder / SKIPPED
    rows = [*(row for row in earlier if not is_replaced(row)), *own]
    if rows or earlier:
        write_text(path, "".join(f"{strict_json.dumps(row)}\n" for row in rows))
    return path if own else None
