"""The original project's table of utterances: `id audio n_frames prompt tgt_text with_speech`, tabs between them.

Columns come in any order; optional are start_frame and end_frame, which cut a segment out of the file. There is no
quoting. n_frames is often a dummy (111111) and never used. Further columns are those of our manifests (`speaker`), or
the user's own.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from wavllm_cli import strict_json
from wavllm_cli.errors import ManifestError, counted
from wavllm_cli.tasks.registry import ALIASES

FRAME_RATE = 16_000  # Hz, of start_frame and end_frame

COLUMNS = ("id", "audio", "n_frames", "prompt", "tgt_text", "with_speech", "start_frame", "end_frame")
LISTS = ("references", "choices", "parts", "turns")  # of our columns


def rows(
    lines: Iterator[tuple[int, bytes]], path: Path, default_task: str
) -> Iterator[tuple[int, dict[str, Any] | str]]:
    """Yield (line number, the fields of an utterance), or what is wrong with the line, from ` (id …)` on.

    Args:
        lines: numbered, as read from the file.
        path: the file; its name tells the task.
        default_task: the task where the name does not.

    Raises:
        ManifestError: the header lacks a column.
    """
    table = ((number, text.decode("utf-8", "replace").rstrip("\r\n").split("\t")) for number, text in lines)
    _, header = next(table, (0, []))
    if not header:
        return
    if not {"id", "audio", "prompt"} <= set(header):
        raise ManifestError(
            f"{path}, line 1: the header of a .tsv manifest must name id, audio and prompt (tab between them), "
            f"not {' '.join(header)!r}: of any other table `wavllm prep table` makes a manifest."
        )
    from_name = _task_of_name(path.stem) or {"task": default_task}
    for number, values in table:
        if len(values) != len(header):
            yield number, f" (id {values[0]}): {counted(len(values), 'field')} where the header has {len(header)}."
            continue
        row = dict(zip(header, values, strict=True))
        try:
            segment = _segment(row)
        except ValueError:
            yield number, f" (id {row['id']}): start_frame and end_frame must be whole numbers."
            continue
        has_speech = row.get("with_speech", "True").strip().lower() not in ("false", "0")
        columns = {"audio": row["audio"] if has_speech else None, "target": row.get("tgt_text") or None}
        further = {name: _value(name, value) for name, value in row.items() if value and name not in COLUMNS}
        yield number, {"id": row["id"], "prompt": row["prompt"]} | columns | segment | from_name | further


def _value(name: str, text: str) -> Any:
    """What a further column says; lists are JSON, and what is not stays text."""
    if name not in LISTS:
        return text
    try:
        return strict_json.loads(text)
    except ValueError:
        return text


def _segment(row: dict[str, str]) -> dict[str, float]:
    start = int(row.get("start_frame") or 0)
    end = int(row.get("end_frame") or 0)
    segment = {"start": start / FRAME_RATE}
    return segment | {"duration": (end - start) / FRAME_RATE} if end else segment


def _task_of_name(stem: str) -> dict[str, str] | None:
    """`en2de` -> task st from en to de; `CoT-task-story` -> cot; a name without a task's word -> None."""
    for word in re.split(r"[^a-z0-9]+", stem.lower()):
        if word in ALIASES:
            return {"task": ALIASES[word]}
        if languages := re.fullmatch(r"([a-z]{2})2([a-z]{2})", word):
            return {"task": "st", "language": languages[1], "target_language": languages[2]}
    return None
