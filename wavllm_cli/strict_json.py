"""JSON that every reader takes: no NaN when it is written; no key twice and no bottomless nesting when it is read."""

import json
import math
import re
from collections.abc import Mapping
from typing import Any

import jiter

from wavllm_cli.errors import shortened

DUPLICATE = re.compile('Detected duplicate key "(.*)" (at .*)', re.DOTALL)


def dumps(value: Any, indent: int | None = None, ascii: bool = False) -> str:
    """JSON text; numbers that JSON does not have become null."""
    try:
        return json.dumps(value, indent=indent, ensure_ascii=ascii, allow_nan=False)
    except ValueError:
        return json.dumps(finite(value), indent=indent, ensure_ascii=ascii, allow_nan=False)


def loads(content: bytes | str) -> Any:
    """The value of a JSON text.

    Raises:
        ValueError: it is not valid, an object has a key twice, or it is nested more than 200 levels deep; the message
            is a part of a sentence.
    """
    try:
        return jiter.from_json(content.encode() if isinstance(content, str) else content, catch_duplicate_keys=True)
    except ValueError as error:
        said = str(error).replace("at line 1 column", "at character")
        twice = DUPLICATE.fullmatch(said)
        if twice:
            raise ValueError(f'key "{shortened(twice[1])}" occurs twice in an object ({twice[2]})') from None
        if said.startswith("recursion limit exceeded"):
            raise ValueError(
                f"nested more than 200 levels deep {said.removeprefix('recursion limit exceeded ')}"
            ) from None
        raise ValueError(f"not valid JSON ({said})") from None


def readable(content: bytes) -> Any:
    """What can be read of a JSON text that is not as it should be, for a message; None where that is nothing."""
    try:
        return jiter.from_json(content, partial_mode=True)
    except ValueError:
        return None


def finite(value: Any) -> Any:
    """The same for JSON, which has no infinity: every number in it that is not finite, however deep, becomes None."""
    if isinstance(value, Mapping):
        return {key: finite(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [finite(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
