"""Secrets that must not be shown: the API key, in whatever form a server repeats it, and passwords in addresses."""

import base64
import binascii
import os
import re
from urllib.parse import unquote

KEY_VARIABLE = "OPENAI_API_KEY"
MASK = "(the key)"
SECRET = 8  # characters that a key has at least; shorter ones are what servers get that need none
FRAGMENT = 6  # characters of a key in a row that are no coincidence
SHOWN = 2  # characters of a key's beginning or end that are none beside a mask

_ENCODED = re.compile(r"[A-Za-z0-9+/_-]{8,}={0,2}")
_MASKED = re.compile(r"([\w-]*)(?:\*+|…|\.{3,}|•+|●+|[xX#]{4,}|<[^<>\s]*>|\[[^\[\]\s]*\])+([\w-]*)")
_WORD = re.compile(r"[\w-]{4,}")
_OPENAI = re.compile(r"\bsk-[\w*.-]+")


def without_key(text: str) -> str:
    """A server's words without the key: whole or in pieces, encoded, or with a mask between its beginning and end."""
    key = os.environ.get(KEY_VARIABLE, "").strip()
    if len(key) >= SECRET:
        text = text.replace(key, MASK)
        text = _ENCODED.sub(lambda run: MASK if _holds(run[0], key) else run[0], text)
        text = _MASKED.sub(lambda run: MASK if _frames(run[1], run[2], key) else run[0], text)
        text = _without_fragments(text, key)
        text = _WORD.sub(lambda word: MASK if _is_end(word[0], key) else word[0], text)
    return _OPENAI.sub(MASK, text)


def without_user(address: str) -> str:
    """An address without the user and password before its host."""
    return re.sub(r"^([\w+.-]+://)?.*@", lambda match: match[1] or "", address)


def without_password(address: str) -> str:
    """An address that can be shown: without user, password and the values of its query."""
    return re.sub(r"\?.*", "?…", without_user(address))


def _holds(run: str, key: str) -> bool:
    """Whether a run of letters is the key, or has it in it, in base64 or hexadecimal digits."""
    padded = run.rstrip("=").replace("-", "+").replace("_", "/")
    decodings = [lambda: bytes.fromhex(run)]
    for start in range(4):  # the run may begin with what is no part of it
        part = padded[start:]
        part = part[: len(part) - (len(part) % 4 == 1)]
        decodings.append(lambda part=part: base64.b64decode(part + "=" * (-len(part) % 4)))  # type: ignore[misc]
    for decode in decodings:
        try:
            if key[:FRAGMENT].encode() in (found := decode()) or key[-FRAGMENT:].encode() in found:
                return True
        except (ValueError, binascii.Error):
            continue
    return False


def _frames(before: str, after: str, key: str) -> bool:
    """Whether the visible ends beside a mask are those of the key."""
    begins = len(before) >= SHOWN and key.startswith(before)
    ends = len(after) >= SHOWN and key.endswith(after)
    return begins or ends


def _is_end(word: str, key: str) -> bool:
    """Whether a word that is none of a language is the beginning or the end of the key."""
    return (key.startswith(word) or key.endswith(word)) and not word.islower()


def _without_fragments(text: str, key: str) -> str:
    """Every stretch of the text that is a piece of the key, also percent-encoded, masked."""
    if unquote(text) != text and key in unquote(text):
        text = unquote(text).replace(key, MASK)
    pieces = {key[i : i + FRAGMENT] for i in range(len(key) - FRAGMENT + 1)}
    hidden = [False] * len(text)
    for i in range(len(text) - FRAGMENT + 1):
        if text[i : i + FRAGMENT] in pieces:
            hidden[i : i + FRAGMENT] = [True] * FRAGMENT
    shown = ""
    for i, character in enumerate(text):
        if not hidden[i]:
            shown += character
        elif not i or not hidden[i - 1]:
            shown += MASK
    return shown
