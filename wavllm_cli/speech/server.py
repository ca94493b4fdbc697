"""Voices behind an OpenAI-compatible server: OpenAI's own, or one of yours.

Recordings are kept by the content of their request, so that none is paid twice, and `--max-usd` holds over all runs of
an output.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlsplit

from wavllm_cli.chat import live
from wavllm_cli.chat.budget import Budget
from wavllm_cli.chat.live import Endpoint, Tally
from wavllm_cli.chat.masking import without_user
from wavllm_cli.chat.prices import SpeechPrice, find_price
from wavllm_cli.chat.request import Body, key
from wavllm_cli.chat.settings import Settings
from wavllm_cli.data.audio import decode_audio
from wavllm_cli.data.files import replacing
from wavllm_cli.errors import AudioError, UsageError, WavLLMError
from wavllm_cli.speech.engine import Engine, Line, Options, Unspoken, wanted

if TYPE_CHECKING:
    import numpy as np
    from openai import AsyncOpenAI

OPENAI = "api.openai.com"
VOICES = ("alloy", "ash", "coral", "echo", "fable", "nova", "onyx", "sage", "shimmer")  # of all models of OpenAI's
AHEAD = 4  # times as many requests together as are under way at once: few wait for the last one


class Server(Engine):
    """A voice is a name that the server knows; OpenAI's speak any language.

    Args:
        settings: server, model and money.
        output: the manifest that the clips are for; what they cost is kept beside it.
        voices: none: OpenAI's.

    Raises:
        UsageError: a budget without a price, or a server of one's own without names of voices.
    """

    name = "openai"

    def __init__(self, settings: Settings, output: Path, voices: Sequence[str], speed: float):
        price = find_price(settings.model, settings.prices, SpeechPrice)
        if settings.max_usd is not None and price is None:
            raise UsageError(
                f"--max-usd needs what a million characters cost of '{settings.model}': give it with --prices FILE, as "
                f"`{settings.model}: {{characters: 15}}`."
            )
        self.known = VOICES if urlsplit(settings.url).hostname == OPENAI else voices
        if not self.known:
            raise UsageError(f"Nobody knows the voices of {settings.address} here: name them with --voices.")
        self.server, self.speed, self.patterns = settings, speed, tuple(voices)
        self.at_once = AHEAD * settings.concurrency
        self.recordings = Recordings(settings.cache / "speech")
        self.budget = Budget(settings.max_usd, price, output.with_name(f"{output.name}.costs.jsonl"))

    @classmethod
    def open(cls, options: Options) -> Self:
        if options.server is None or options.output is None:
            raise UsageError("--engine openai needs a server and an output.")
        options.server.api_key()
        return cls(options.server, options.output, options.voices, options.speed)

    def voices(self, language: str) -> list[str]:
        return wanted(self.known, self.patterns, language)

    def settings(self, voice: str) -> dict[str, Any]:
        return {"server": self.server.address, "model": self.server.model, "speed": self.speed}

    def speak(self, lines: Sequence[Line]) -> "list[np.ndarray | Unspoken]":
        address = without_user(self.server.url)
        bodies = {key(address, body): body for body in map(self._body, lines)}
        missing = {k: body for k, body in bodies.items() if self.recordings.get(k) is None}
        reasons = self._fetch(missing) if missing else {}
        return [self._samples(key(address, self._body(line)), reasons) for line in lines]

    def _fetch(self, bodies: dict[str, Body]) -> dict[str, str]:
        return live.fetch(bodies, self.server, self.recordings, self.budget, Tally(), SPEECH)

    def _samples(self, name: str, reasons: dict[str, str]) -> "np.ndarray | Unspoken":
        data = self.recordings.get(name)
        if data is None:
            return Unspoken(f"{reasons.get(name, 'no reply')}.")
        try:
            return decode_audio(data, "what the server sent")
        except AudioError as error:
            return Unspoken(str(error))

    def _body(self, line: Line) -> Body:
        body = {"model": self.server.model, "voice": line.voice, "input": line.text, "response_format": "wav"}
        return body if self.speed == 1 else body | {"speed": self.speed}


@dataclass(frozen=True)
class Recording:
    """What a server sent, and how many characters it is paid for."""

    data: bytes
    characters: int


class Recordings:
    """A folder of recordings by the content of their requests, as they came; its owner alone reads them."""

    def __init__(self, folder: Path):
        self.folder = folder

    def get(self, key: str) -> bytes | None:
        try:
            return self._path(key).read_bytes() or None
        except FileNotFoundError:
            return None
        except OSError as error:
            raise WavLLMError(f"{self.folder} cannot be used as a cache: {error.strerror}.") from error

    def put(self, key: str, body: Body, reply: Recording) -> None:
        with replacing(self._path(key), private=True) as draft:
            draft.write_bytes(reply.data)

    def _path(self, key: str) -> Path:
        return self.folder / key[:2] / f"{key}.wav"


async def _record(client: "AsyncOpenAI", body: Body) -> Recording:
    response = await client.audio.speech.with_raw_response.create(**body)
    data = response.http_response.content
    try:
        decode_audio(data, "the reply")
    except AudioError as error:
        raise ValueError from error
    return Recording(data, len(body["input"]))


SPEECH = Endpoint("a recording", _record)
