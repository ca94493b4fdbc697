"""Audio that lies in a tar archive, named by its place there: `shard.tar#512+64000`, 64,000 bytes from byte 512 on.

The archive may lie elsewhere, at any address that fsspec knows (`s3://bucket/shard.tar#512+64000`): of it only a member
is fetched at a time.
"""

import re
import tarfile
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from wavllm_cli.data.files import shown, why_unreadable
from wavllm_cli.errors import AudioError, reason

MEMBER = re.compile(r"(.*\.tar)(#(\d{1,18})\+(\d{1,18}))", re.DOTALL | re.ASCII)

ADDRESS = re.compile(r"([a-z][a-z0-9+.-]+):/+(.*)", re.DOTALL)  # a path has one slash where an address has two


class Member(NamedTuple):
    """A file within an archive: `size` bytes from byte `offset` on."""

    shard: Path
    offset: int
    size: int


def split_place(audio: str) -> tuple[str, str]:
    """The file that an audio path leads to, and the place within it: `("shard.tar", "#512+64000")`, or `(path, "")`."""
    found = MEMBER.fullmatch(audio) if "#" in audio else None
    return (found[1], found[2]) if found else (audio, "")


def member_of(path: Path) -> Member | None:
    """The member that an audio path names, None for a file of its own."""
    found = MEMBER.fullmatch(str(path))
    return Member(Path(found[1]), int(found[3]), int(found[4])) if found else None


def file_of(path: Path) -> Path:
    """The file on the disk in which the audio of a path lies."""
    member = member_of(path)
    return member.shard if member else path


def address_of(path: str | Path) -> str | None:
    """The address that a path stands for, None where it leads to a file of this machine."""
    found = ADDRESS.fullmatch(name) if ":/" in (name := str(path)) else None
    return f"{found[1]}://{found[2]}" if found else None


def why_unheard(path: Path) -> str | None:
    """What is wrong with an audio path, to stand behind its name, as far as shows without opening it; or None."""
    member = member_of(path)
    if address_of(path):
        return None if member else "is an address, of which only members of shards are read: fetch the file first"
    problem = why_unreadable(file_of(path))
    if member is None or problem:
        return problem
    there, end = member.shard.stat().st_size, member.offset + member.size
    return f"ends beyond its archive, at byte {end:,} of {there:,}" if end > there else None


def read_member(path: Path, member: Member) -> bytes:
    """The content of a member.

    Raises:
        AudioError: there is no such member.
    """
    name = shown(path)
    if address := address_of(member.shard):
        return _fetched(address, path, member)
    try:
        with member.shard.open("rb") as file:
            if problem := why_unheard(path):
                raise AudioError(f"{name} {problem}.")
            file.seek(max(0, member.offset - tarfile.BLOCKSIZE))
            header = file.read(min(member.offset, tarfile.BLOCKSIZE))
            if not _heads(header, member.size):
                raise AudioError(_moved(path, member))
            return file.read(member.size)
    except OSError as error:
        raise AudioError(f"{name} cannot be read: {error.strerror}.") from error


def _fetched(address: str, path: Path, member: Member) -> bytes:
    """The content of a member of an archive that lies elsewhere, with its header in one request."""
    import fsspec

    first = max(0, member.offset - tarfile.BLOCKSIZE)
    try:
        system, place = fsspec.core.url_to_fs(address)
        content = system.cat_file(place, start=first, end=member.offset + member.size)
    except ImportError as error:
        raise AudioError(f"{shown(path)} cannot be read: {reason(error).rstrip('.')}.") from error
    except Exception as error:  # each service has errors of its own
        raise AudioError(f"{address} cannot be read: {type(error).__name__}: {reason(error).rstrip('.')}.") from error
    header, content = content[: member.offset - first], content[member.offset - first :]
    if len(content) < member.size or not _heads(header, member.size):
        raise AudioError(_moved(path, member))
    return content


def _moved(path: Path, member: Member) -> str:
    return f"{shown(path)}: no file of {member.size:,} bytes begins there; was the archive made anew?"


def member_name(member: Member) -> str:
    """What a member is called in its archive; "" where that cannot be told, which reading it then tells."""
    with suppress(OSError, tarfile.HeaderError), member.shard.open("rb") as file:
        file.seek(max(0, member.offset - tarfile.BLOCKSIZE))
        return tarfile.TarInfo.frombuf(file.read(tarfile.BLOCKSIZE), "utf-8", "surrogateescape").name
    return ""


def _heads(header: bytes, size: int) -> bool:
    """Whether the block before a member is the header of a file of this size."""
    try:
        info = tarfile.TarInfo.frombuf(header, "utf-8", "surrogateescape")
    except tarfile.HeaderError:
        return False
    return info.isreg() and info.size == size
