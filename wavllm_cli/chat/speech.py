"""Audio in a chat request: how it is sent, how much of it there is, and how it is kept without being kept twice."""

import base64
from collections.abc import Iterator
from hashlib import sha256
from io import BytesIO
from typing import TYPE_CHECKING, Any

from wavllm_cli.data import SAMPLE_RATE

if TYPE_CHECKING:
    import numpy as np

SAMPLE = 2  # bytes
HEADER = 44  # bytes of a wav
MOST_TOKENS_A_SECOND = 100  # a token for every 10 ms, finer than any published model hears; OpenAI counts 10, Qwen 25

Body = dict[str, Any]


def audio_part(samples: "np.ndarray") -> dict[str, Any]:
    """(samples,) float32 at 16 kHz as a part of a message: a wav of 16 bits, clipped to [-1, 1]."""
    import soundfile

    wav = BytesIO()
    soundfile.write(wav, samples, SAMPLE_RATE, format="WAV", subtype="PCM_16")
    data = base64.b64encode(wav.getbuffer()).decode()
    return {"type": "input_audio", "input_audio": {"data": data, "format": "wav"}}


def audio_seconds(body: Body) -> float:
    """Seconds of audio in a request."""
    return sum(max(0, len(data) * 3 // 4 - HEADER) for data in _audio(body)) / (SAMPLE_RATE * SAMPLE)


def without_audio(body: Body) -> Body:
    """The request with a fingerprint in the place of its audio, which makes it as short as its text."""
    if not any(True for _ in _audio(body)):
        return body
    return body | {"messages": [_without_audio(message) for message in body["messages"]]}


def _without_audio(message: dict[str, Any]) -> dict[str, Any]:
    if not isinstance(message["content"], list):
        return message
    parts = [
        part | {"input_audio": {"sha256": sha256(part["input_audio"]["data"].encode()).hexdigest()}}
        if part["type"] == "input_audio"
        else part
        for part in message["content"]
    ]
    return message | {"content": parts}


def _audio(body: Body) -> Iterator[str]:
    for message in body.get("messages", ()):  # of a batch that another run began, nothing is known
        for part in message["content"] if isinstance(message["content"], list) else ():
            if part["type"] == "input_audio":
                yield part["input_audio"]["data"]
