"""Replies by the content of their request: a file each, complete or not there, found again by any later run."""

from pathlib import Path

from pydantic import BaseModel, ValidationError

from wavllm_cli.chat.request import Body, Reply
from wavllm_cli.data.files import write_text
from wavllm_cli.errors import WavLLMError


class _Entry(BaseModel):
    request: Body | None  # for the reader of the file; None where only the Batch API still knew it
    reply: Reply


class Cache:
    """A folder of replies."""

    def __init__(self, folder: Path):
        self.folder = folder

    def get(self, key: str) -> Reply | None:
        """The reply to a request; a file that is damaged counts as absent.

        Raises:
            WavLLMError: the folder cannot be read.
        """
        try:
            return _Entry.model_validate_json(self._path(key).read_bytes()).reply
        except (FileNotFoundError, ValidationError):
            return None
        except OSError as error:
            raise WavLLMError(f"{self.folder} cannot be used as a cache: {error.strerror}.") from error

    def put(self, key: str, body: Body | None, reply: Reply) -> None:
        """Keep a reply.

        Raises:
            WavLLMError: the folder cannot be written.
        """
        write_text(self._path(key), _Entry(request=body, reply=reply).model_dump_json())

    def _path(self, key: str) -> Path:
        return self.folder / key[:2] / f"{key}.json"
