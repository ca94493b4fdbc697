"""Which server and model are asked, how fast, and for how much; and what may go wrong between here and there."""

import json
import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from wavllm_cli.chat.masking import KEY_VARIABLE, without_key, without_password
from wavllm_cli.data.known_models import cache_folder
from wavllm_cli.errors import UsageError, WavLLMError, reason, shortened

LONGEST_SAYING = 200  # characters of a server that are shown


def default_cache() -> Path:
    return cache_folder() / "chat"


@dataclass(frozen=True)
class Settings:
    """Attributes:
    model: as the server calls it.
    base_url: of an OpenAI-compatible server; None: OPENAI_BASE_URL, else OpenAI itself.
    concurrency: most requests under way at once.
    timeout: seconds until an answer counts as lost.
    max_usd: what the whole output may cost, over all runs.
    prices: a price table of the user's.
    batch: by the Batch API, at half the price, within a day.
    wait: for a batch; otherwise submit it and leave.
    dry_run: ask nothing, estimate everything.
    cache: folder of replies.
    reasoning_tokens: room for a reasoning model's thoughts, beside each answer.
    patience: seconds; the first pause before a failed request is tried again, and between looks at a batch.
    """

    model: str = "gpt-4.1-mini"
    base_url: str | None = None
    concurrency: int = 8
    timeout: float = 60.0
    max_usd: float | None = None
    prices: Path | None = None
    batch: bool = False
    wait: bool = True
    dry_run: bool = False
    cache: Path = field(default_factory=default_cache)
    reasoning_tokens: int = 0
    patience: float = 1.0

    def __post_init__(self) -> None:
        try:
            parts = urlsplit(self.url)
            usable = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
        except ValueError:  # a port that is no number, or too large
            usable = False
        if not usable:
            raise UsageError(f"'{self.address}' is no address of a server: it looks like https://api.openai.com/v1.")
        for flag, number in (("--max-usd", self.max_usd), ("--timeout", self.timeout)):
            if number is not None and not math.isfinite(number):
                raise UsageError(f"{flag} {number} is no amount: give a number.")

    @property
    def url(self) -> str:
        return (self.base_url or os.environ.get("OPENAI_BASE_URL") or "https://api.openai.com/v1").rstrip("/")

    @property
    def address(self) -> str:
        """The server for everything that is shown or kept: without a password, should the URL hold one."""
        return without_password(self.url)

    def api_key(self) -> str:
        """Raises UsageError where the environment has none."""
        key = os.environ.get(KEY_VARIABLE, "").strip()
        if not key:
            raise UsageError(
                f"There is no API key: set the environment variable {KEY_VARIABLE} "
                "(to any text for a server of your own that needs none)."
            )
        if not (key.isascii() and key.isprintable()):
            raise UsageError(f"The API key in {KEY_VARIABLE} is none: it holds characters that no key has.")
        return key


@contextmanager
def usable_proxy() -> Iterator[None]:
    """Where a client of the network is made, which reads from the environment how to get out.

    Raises:
        UsageError: by a proxy that cannot be used.
    """
    try:
        yield
    except (ImportError, ValueError) as error:
        raise UsageError(
            f"The environment names a proxy that cannot be used: {quoted(reason(error))}. Look at ALL_PROXY, "
            "HTTPS_PROXY and HTTP_PROXY, or name the server in NO_PROXY."
        ) from error


def message_of(error: Exception) -> str:
    """What a server said about a request, in one line and without any key that it quotes."""
    body: Any = getattr(error, "body", None)
    said = body.get("message", json.dumps(body, ensure_ascii=False)) if isinstance(body, dict) else None
    return quoted(reason(Exception(said)) if isinstance(said, str) and said else reason(error))


def quoted(said: object) -> str:
    """Words of a server or a model for a message of ours."""
    return shortened(without_key(" ".join(str(said)[:5000].split())), LONGEST_SAYING).rstrip(".")


def hopeless(error: Exception, settings: Settings) -> WavLLMError | None:
    """The sentence that ends a run, where no other request would fare better; None where one might."""
    status = getattr(error, "status_code", None)
    code = getattr(error, "code", None)
    said = message_of(error)
    if status == 401:
        return UsageError(f"{settings.address} does not accept the key in {KEY_VARIABLE}: {said}.")
    if status == 403:
        return WavLLMError(f"{settings.address} does not allow this key to use {settings.model}: {said}.")
    if status == 404:
        return UsageError(f"{settings.address} knows no model '{settings.model}', or is no such server: {said}.")
    if code == "insufficient_quota":
        return WavLLMError(f"The account at {settings.address} has no money or quota left: {said}.")
    return None


def unreachable(error: BaseException | None, settings: Settings) -> WavLLMError:
    """The sentence for a connection error of openai, whose cause knows more than it."""
    why = f" ({quoted(reason(error.__cause__ or error))})" if error else ""
    return WavLLMError(
        f"{settings.address} cannot be reached{why}: check the network, or --base-url; the same command continues."
    )


def may_pass(status: int) -> bool:
    """Whether a request that met this HTTP status may fare better later."""
    return status >= 500 or status in (408, 409, 429)


def never_connected(error: Exception) -> bool:
    """Whether the request did not even leave (as opposed to: its answer did not arrive, though it may be charged)."""
    # By name: openai has changed the HTTP library whose exceptions these are.
    return type(error.__cause__).__name__ in ("ConnectError", "ConnectTimeout", "UnsupportedProtocol", "InvalidURL")
