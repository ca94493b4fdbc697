"""What other toolkits' files are, where a manifest of ours was expected, and the way in."""

from collections.abc import Iterator
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from wavllm_cli import strict_json
from wavllm_cli.data.files import shown
from wavllm_cli.data.text_file import head
from wavllm_cli.errors import ManifestError

OURS = ("task", "prompt")  # keys that every row of a manifest has, and no other table both of
HEAD = 1 << 16  # bytes that are looked at
PARQUET = b"PAR1"


def refuse_foreign(path: Path) -> None:
    """
    Raises:
        ManifestError: the file or folder is of another kind that `wavllm prep` makes a manifest of.
    """
    found = _folder(path) if path.is_dir() else _file(path) if path.is_file() else None
    if found:
        what, command = found
        raise ManifestError(
            f"{shown(path)} is {what}, not a wavllm manifest: make one of it by `wavllm prep {command} {shown(path)}`."
        )


def _folder(path: Path) -> tuple[str, str] | None:
    for one in _known()["folders"]:
        if any((path / name).exists() for name in one["holds"]):
            return one["is"], one["prep"]
    return None


def _file(path: Path) -> tuple[str, str] | None:
    start = head(path, HEAD).lstrip()
    if start.startswith(PARQUET):
        return _parquet(path)
    if start.startswith(b"["):
        what = next(_kinds(strict_json.readable(start)), None)
        inside = f" ({what[0]})" if what else ""
        return f"a JSON array{inside}", what[1] if what else "table"
    if start.startswith(b"{"):
        first = start.split(b"\n", 1)[0]
        return next(_kinds([strict_json.readable(first)]), None)
    suffix = Path(path.name.removesuffix(".gz")).suffix.lower()
    if suffix == ".csv" and start:
        return "a table", "table"
    return None


def _kinds(rows: Any) -> Iterator[tuple[str, str]]:
    """What the first of some objects is by its keys."""
    first = rows[0] if isinstance(rows, list) and rows else None
    if isinstance(first, dict) and not all(key in first for key in OURS):
        for one in _known()["objects"]:
            if any(first.keys() >= set(keys) for keys in one["keys"]):
                yield one["is"], one["prep"]


def _parquet(path: Path) -> tuple[str, str] | None:
    from pyarrow import ArrowException
    from pyarrow.parquet import read_schema
    from pyarrow.types import is_struct

    try:
        schema = read_schema(path)
    except (OSError, ArrowException):
        return None  # whoever reads it says what is wrong
    if all(key in schema.names for key in OURS):
        has_audio_inside = "audio" in schema.names and is_struct(schema.field("audio").type)
        return ("a Parquet file with the audio inside", "hf") if has_audio_inside else None
    return "a Parquet file of another kind, such as a Hugging Face dataset's", "hf"


@cache
def _known() -> dict[str, Any]:
    import yaml

    return yaml.safe_load(files("wavllm_cli.data").joinpath("foreign.yaml").read_text(encoding="utf-8"))
