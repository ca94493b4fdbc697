"""A recording from the web, into a file: bounded in bytes and in time, and a sentence where it is none."""

import http.client
import time
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

from wavllm_cli import __version__
from wavllm_cli.errors import AudioError, UsageError, shortened

SCHEMES = ("http://", "https://")
MOST = 2 * 10**9  # bytes: three hours of CD quality
LONGEST = 1800.0  # seconds for all of it …
PATIENCE = 30.0  # … and for the next bytes
BLOCK = 2**18
TEXT = ("text/", "application/json", "application/xhtml")  # content types that hold no sound


def is_address(word: str) -> bool:
    """Whether a word is the address of something on the web."""
    return word.lower().startswith(SCHEMES)


def download(address: str, path: Path, most: int = MOST, longest: float = LONGEST) -> None:
    """Write what is found at an address to a file.

    Args:
        most: bytes.
        longest: seconds.

    Raises:
        UsageError: this is no address.
        AudioError: nothing is there, it is no recording, or it is too much.
    """
    name, host = shown_address(address), urlsplit(address).hostname
    started = time.monotonic()
    request = Request(address, headers={"User-Agent": f"wavllm/{__version__}"})
    try:
        with urlopen(request, timeout=PATIENCE) as reply, path.open("wb") as file:
            kind = reply.headers.get_content_type()
            if kind.startswith(TEXT):
                raise AudioError(f"{name} is no recording but {kind}: give the address of the audio file itself.")
            size = int(reply.headers.get("Content-Length") or 0)
            while block := reply.read(BLOCK):
                file.write(block)
                if max(size, file.tell()) > most:
                    raise AudioError(f"{name} is larger than {most / 1e9:g} GB: download it, and cut it.")
                if time.monotonic() - started > longest:
                    raise AudioError(f"{name} takes more than {longest / 60:g} minutes to download: do that first.")
            if file.tell() < size:
                raise AudioError(f"{name}: the connection broke off after {file.tell():,} of {size:,} bytes.")
    except HTTPError as error:
        raise AudioError(f"{name} cannot be had: {host} answers {error.code} ({error.reason}).") from error
    except (URLError, OSError, http.client.HTTPException, ValueError) as error:
        raise AudioError(f"{name} cannot be had: {_why(error)}.") from error


def shown_address(address: str) -> str:
    """An address for messages: without a password, and without what stands behind `?`, which may be a key.

    Raises:
        UsageError: this is none.
    """
    try:
        parts = urlsplit(address)
        named = bool(parts.hostname) and parts.port != 0
    except ValueError:
        named = False
    if not named:
        harmless = address.rpartition("@")[2].partition("?")[0]
        raise UsageError(f"{shortened(harmless)} is no address: it should look like https://server/talk.mp3.")
    return shortened(f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}", 200)


def _why(error: Exception) -> str:
    cause = error.reason if isinstance(error, URLError) else error
    if isinstance(cause, TimeoutError):
        return f"the server has been silent for {PATIENCE:g} s"
    return str(getattr(cause, "strerror", None) or cause or type(cause).__name__).rstrip(".")
