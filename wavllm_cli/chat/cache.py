"""Replies by the content of their request: a file each, complete or not there, found again by any later run."""

import json
from pathlib import Path

from pydantic import BaseModel, ValidationError

from wavllm_cli import console
from wavllm_cli.chat.request import Body, Reply
from wavllm_cli.chat.speech import without_audio
from wavllm_cli.data.files import write_text
from wavllm_cli.errors import WavLLMError


class _Entry(BaseModel):
    request: Body | None  # for the reader of the file; None where only the Batch API still knew it
    reply: Reply


class Cache:
    """A folder of replies, which may quote transcripts: its owner alone reads them."""

    def __init__(self, folder: Path):
        self.folder = folder
        self._mistaken: set[str] = set()

    def get(self, key: str, body: Body) -> Reply | None:
        """The reply to a request; a file that is damaged, or holds the reply to another request, counts as absent.

        Raises:
            WavLLMError: the folder cannot be read.
        """
        try:
            entry = _Entry.model_validate_json(self._path(key).read_bytes())
        except (FileNotFoundError, ValidationError):
            return None
        except OSError as error:
            raise WavLLMError(f"{self.folder} cannot be used as a cache: {error.strerror}.") from error
        if entry.request is None or _same(entry.request, without_audio(body)):
            return entry.reply
        if key not in self._mistaken:
            self._mistaken.add(key)
            console.warn(f"{self._path(key)} holds the reply to another request than its name says: it is not used.")
        return None

    def put(self, key: str, body: Body | None, reply: Reply) -> None:
        """Keep a reply.

        Raises:
            WavLLMError: the folder cannot be written.
        """
        request = None if body is None else without_audio(body)
        write_text(self._path(key), _Entry(request=request, reply=reply).model_dump_json(), private=True)

    def _path(self, key: str) -> Path:
        return self.folder / key[:2] / f"{key}.json"


def _same(kept: Body, asked: Body) -> bool:
    """Whether two requests are one as JSON."""
    return json.dumps(kept, sort_keys=True) == json.dumps(asked, sort_keys=True)
