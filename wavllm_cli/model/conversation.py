"""Chat messages, as transformers writes them, read as what a WavLLM answers: one instruction about at most one clip."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from wavllm_cli.data.audio import read_audio
from wavllm_cli.errors import UsageError

SPEECH_OPEN, SPEECH_CLOSE = "<SPEECH>", " </SPEECH> "  # around a clip; the instruction follows
ROLES = "one message of the user; the system prompt is the template's own, and there are no earlier turns"


def instruction(messages: Sequence[Mapping[str, Any]]) -> tuple[str, np.ndarray | None]:
    """The text and the clip, (samples,) float32 at 16 kHz, of one conversation.

    Its content is a text, or parts: `{"type": "text", "text": …}`, `{"type": "audio", "audio": path or samples}`.

    Raises:
        UsageError: there is another message than the user's one, a part of another type, or a second clip.
        AudioError: the clip cannot be read.
    """
    roles = [message.get("role") for message in messages]
    if roles != ["user"]:
        raise UsageError(f"A WavLLM answers {ROLES}, not messages of {', '.join(map(str, roles)) or 'nobody'}.")
    content = messages[0].get("content")
    if isinstance(content, str):
        return content, None
    texts, clips = [], []
    for part in content or ():
        kind = part.get("type")
        if kind == "text":
            texts.append(part["text"])
        elif kind == "audio":
            clips.append(_samples(next((part[key] for key in ("audio", "path", "url") if key in part), None)))
        else:
            raise UsageError(f"A part of a message is text or audio, not {kind!r}.")
    if len(clips) > 1:
        raise UsageError(f"A WavLLM hears one clip at a time, not {len(clips)}.")
    return "\n".join(texts), clips[0] if clips else None


def _samples(audio: Any) -> Any:
    if audio is None:
        raise UsageError("A part of type audio needs `audio`: a file's path, or samples at 16 kHz.")
    return read_audio(Path(audio)) if isinstance(audio, str | Path) else audio
