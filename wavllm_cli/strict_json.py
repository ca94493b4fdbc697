"""JSON that every reader takes: no NaN when it is written; no key twice and no bottomless nesting when it is read."""

import json
import math
from collections.abc import Mapping
from typing import Any


def dumps(value: Any, indent: int | None = None, ascii: bool = False) -> str:
    """JSON text; numbers that JSON does not have become null."""
    try:
        return json.dumps(value, indent=indent, ensure_ascii=ascii, allow_nan=False)
    except ValueError:
        return json.dumps(finite(value), indent=indent, ensure_ascii=ascii, allow_nan=False)


def loads(content: bytes | str) -> Any:
    """The value of a JSON text.

    Raises:
        ValueError: it is not valid, an object has a key twice, or it is nested more than 200 levels deep.
    """
    import jiter

    return jiter.from_json(content.encode() if isinstance(content, str) else content, catch_duplicate_keys=True)


def finite(value: Any) -> Any:
    """The same for JSON, which has no infinity: every number in it that is not finite, however deep, becomes None."""
    if isinstance(value, Mapping):
        return {key: finite(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [finite(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
