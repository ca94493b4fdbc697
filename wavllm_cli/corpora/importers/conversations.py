"""What ms-swift, LLaMA-Factory, sharegpt and chat models' own formats hold, as a question and its answer."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from wavllm_cli import strict_json
from wavllm_cli.corpora.importers.columns import names

TAG = re.compile(r"<\|?(?:audio|sound|speech)(?:_bos|_eos|_start|_end)?\|?>", re.IGNORECASE)  # where the audio is heard
NAMED_INSIDE = re.compile(r"<audio>([^<>]+)</audio>")  # ms-swift's older form
AUDIO_PARTS = ("audio", "audio_url", "input_audio")  # of a content that is a list
SEEN = ("image", "video")  # what cannot be heard


def exchange(fields: dict[str, Any]) -> tuple[dict[str, Any], int]:
    """Fields with `prompt`, `target` and `audio` in the place of a conversation, and how many more answers it has.

    Fields without one only lose the tags in their prompt.

    Args:
        fields: by the names of `names.yaml`.

    Raises:
        ValueError: it is not one that can be a row; the message is a part of a sentence.
    """
    fields = dict(fields)
    if (given := fields.pop("input", None)) and isinstance(given, str):  # Alpaca's
        fields["prompt"] = f"{fields.get('prompt', '')}\n\n{given}".strip()
    more = 0
    if "messages" in fields:
        fields, more = _first_exchange(fields)
    if isinstance(prompt := fields.get("prompt"), str):
        inside = NAMED_INSIDE.findall(prompt)
        if inside and "audio" not in fields:
            fields["audio"] = inside
        fields["prompt"] = TAG.sub("", NAMED_INSIDE.sub("", prompt)).strip()
        if not fields["prompt"]:
            del fields["prompt"]
    return fields, more


def _first_exchange(fields: dict[str, Any]) -> tuple[dict[str, Any], int]:
    said = fields.pop("messages")
    turns = list(_turns(strict_json.loads(said) if isinstance(said, str) else said))
    systems = [text for role, text, _ in turns if role == "system"]
    turns = [turn for turn in turns if turn[0] != "system"]
    if not turns or turns[0][0] != "user":
        raise ValueError("a conversation that does not begin with the user's question")
    answers = [number for number, turn in enumerate(turns) if turn[0] == "assistant"]
    asked = turns[: answers[0]] if answers else turns
    found: dict[str, Any] = {"prompt": "\n\n".join(text for _, text, _ in asked if text)}
    if answers:
        found["target"] = turns[answers[0]][1]
    if systems:
        found["system"] = "\n\n".join(systems)
    if heard := [name for _, _, audio in asked for name in audio]:
        found["audio"] = heard
    return fields | found, max(0, len(answers) - 1)


def _turns(messages: Any) -> Iterator[tuple[str, str, list[str]]]:
    """Who speaks, what, and what is to be heard with it."""
    roles = {word: role for role, words in names()["roles"].items() for word in words}
    if not isinstance(messages, list):
        raise ValueError("its conversation is no list of messages")
    for message in messages:
        said = message if isinstance(message, Mapping) else {}
        role = roles.get(str(said.get("role") or said.get("from")).lower())
        content = said.get("content", said.get("value"))
        if role is None or not isinstance(content, str | list):
            raise ValueError("a message that says not who speaks (role, from) and what (content, value)")
        yield role, *_content(content)


def _content(content: str | list[Any]) -> tuple[str, list[str]]:
    if isinstance(content, str):
        return content.strip(), []
    texts, heard = [], []
    for part in content:
        kind = part.get("type") if isinstance(part, Mapping) else None
        if kind == "text":
            texts.append(str(part.get("text", "")).strip())
        elif kind in AUDIO_PARTS:
            value = next((part[key] for key in (*AUDIO_PARTS, "path", "url") if part.get(key)), None)
            value = value.get("url") or value.get("data") if isinstance(value, Mapping) else value
            heard.append(str(value))
        else:
            raise ValueError(f"a message with {kind or 'something'}, which is neither text nor audio")
    return "\n\n".join(texts), heard
