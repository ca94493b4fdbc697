"""Audio put into a few large files, which a disk and a network read faster than many small ones.

A shard is a tar as WebDataset has it: of each recording `KEY.flac` (or what it is), its bytes as they are, and
`KEY.json`, the row about it, or a list of the rows. The manifest beside the shards names the place of each recording,
by which training and inference read it.
"""

import glob
import hashlib
import io
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from wavllm_cli import console
from wavllm_cli.data.audio_paths import AudioFiles, with_audio
from wavllm_cli.data.files import owned, replacing, require_output, require_space, shown, write_text
from wavllm_cli.data.manifest import read_manifest, require_writable, write_manifest
from wavllm_cli.data.rows import Rows
from wavllm_cli.data.schema import Utterance
from wavllm_cli.data.shards import address_of, file_of, member_name, member_of, read_member, why_unheard
from wavllm_cli.data.unchanged import holds
from wavllm_cli.errors import UsageError, WavLLMError, counted, listed, shortened

MEGABYTE = 1_000_000
DIGITS = 6  # of a shard's number
NAMED = 3  # recordings that cannot be read


@dataclass(frozen=True)
class Sharded:
    """What was written; `kept` are shards of an earlier run that was stopped."""

    manifest: str
    rows: int
    recordings: int
    shards: int
    kept: int
    bytes: int

    def show(self) -> None:
        kept = f" ({self.kept} of them earlier)" if self.kept else ""
        console.info(
            f"{counted(self.recordings, 'recording')} in {counted(self.shards, 'shard')}{kept}, "
            f"{self.bytes / MEGABYTE:,.1f} MB; {counted(self.rows, 'row')} → {self.manifest}"
        )

    def data(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Sample:
    """A recording on its way into a shard.

    Attributes:
        name: of the member that it becomes.
        size: in bytes.
        rows: the numbers of those about it.
    """

    name: str
    size: int
    rows: list[int]


def write_shards(manifest: Path, out: Path, megabytes: int, address: str | None = None) -> Sharded:
    """Write the shards of a manifest and the manifest of the shards; a stopped run is continued by the same call.

    What a finished run has left is compared with what would be written, and stays as it is.

    Args:
        out: a folder; the new manifest has the name of the old one, and the shards begin with it.
        megabytes: of a shard at most, unless one recording is larger.
        address: of a folder elsewhere to which the shards will be brought, under which the manifest then names them.

    Raises:
        UsageError: audio is missing, or other shards of that name are in the folder, or of what was another manifest.
        ManifestError: the manifest cannot be read.
        WavLLMError: nothing can be written there, or audio has changed meanwhile.
    """
    target = out / manifest.name
    require_writable(target)
    require_output(target, [manifest])
    if address is not None and not address_of(address):
        raise UsageError(f"--address {address} is none: it is like s3://bucket/folder.")
    rows = read_manifest(manifest)
    audio = AudioFiles(rows, manifest)
    samples = _samples(rows, audio)
    with owned(target):
        return _Writer(rows, audio, samples, target, megabytes * MEGABYTE, address).write()


def _samples(rows: Rows[Utterance], audio: AudioFiles) -> dict[str, Sample]:
    """The recordings by their paths, in the order in which rows name them first.

    Raises:
        UsageError: some of them cannot be read.
    """
    found: dict[str, Sample] = {}
    wrong: dict[str, str] = {}
    for number, row in enumerate(console.track(rows, "looking at audio", len(rows))):
        for path in dict.fromkeys(audio.paths(row)):
            if sample := found.get(str(path)):
                sample.rows.append(number)
            elif problem := why_unheard(path):
                wrong[str(path)] = problem
            else:
                found[str(path)] = _sample(path, len(found), number)
    if wrong:
        named = listed([f"{shown(path)} {problem}" for path, problem in wrong.items()], NAMED)
        raise UsageError(
            f"{len(wrong)} recordings cannot be put into shards: {named}. `wavllm prep check --fix` writes a manifest "
            "without the rows about them."
        )
    if not found:
        raise UsageError(f"{rows.name} has no audio to put into shards.")
    return found


def _sample(path: Path, key: int, row: int) -> Sample:
    member = member_of(path)
    suffix = Path(member_name(member) if member else path).suffix.lower() or ".audio"
    return Sample(f"{key:09d}{suffix}", member.size if member else path.stat().st_size, [row])


class _Writer:
    """Where everything goes is known before anything is written, and is the same whenever it is found out.

    Args:
        rows: of the manifest.
        audio: where theirs lies.
        samples: the recordings by their paths.
        target: the new manifest.
        limit: bytes of a shard.
        address: of the folder in which the manifest looks for them; None for its own.
    """

    def __init__(
        self,
        rows: Rows[Utterance],
        audio: AudioFiles,
        samples: dict[str, Sample],
        target: Path,
        limit: int,
        address: str | None,
    ):
        self.rows, self.audio, self.samples, self.target = rows, audio, samples, target
        self.record = target.with_name(f"{target.name}.unfinished")  # by which a stopped run is known again
        self.shards: list[list[str]] = []
        self.places: dict[str, str] = {}
        self.bytes = end = 0
        base = f"{address.rstrip('/')}/" if address else ""
        plan = hashlib.sha256(str(limit).encode())
        for path, sample in samples.items():
            text = self._json(sample)
            whole = _blocks(sample.size) + _blocks(len(text))
            if not self.shards or end + whole > limit:
                self.shards.append([])
                end = 0
            self.shards[-1].append(path)
            self.places[path] = f"{base}{self._name(len(self.shards) - 1)}#{end + tarfile.BLOCKSIZE}+{sample.size}"
            end += whole
            self.bytes += whole
            plan.update(f"{path} {sample.size} {_written(Path(path))} ".encode() + text)
        self.plan = plan.hexdigest()

    def write(self) -> Sharded:
        if self._is_finished():
            console.info(f"{shown(self.target)} is finished, and nothing has changed since.")
            return self._sharded(len(self.shards))
        kept = self._kept()
        require_space(self.target, self.bytes * (len(self.shards) - len(kept)) // len(self.shards))
        for number, paths in enumerate(console.track(self.shards, "writing shards")):
            if number not in kept:
                self._write_shard(self.target.with_name(self._name(number)), paths)
        write_manifest(self.target, (self._called(row, self.places) for row in self.rows))
        self.record.unlink(missing_ok=True)
        return self._sharded(len(kept))

    def _sharded(self, kept: int) -> Sharded:
        return Sharded(str(self.target), len(self.rows), len(self.samples), len(self.shards), kept, self.bytes)

    def _is_finished(self) -> bool:
        """
        Raises:
            UsageError: a run is finished, but of other rows or audio.
        """
        if self.record.exists() or not self.target.exists() or not self._there():
            return False
        if difference := self._difference():
            raise UsageError(
                f"{shown(self.target)} is finished, but {difference}: delete it and the shards of its name, or choose "
                "another --out."
            )
        return True

    def _difference(self) -> str | None:
        """What is not as it would be written now."""
        earlier = read_manifest(self.target)
        if len(earlier) != len(self.rows):
            return f"has {counted(len(earlier), 'row')}, where there are {len(self.rows):,} now"
        for then, row in zip(earlier, self.rows, strict=True):
            if then != self._called(row, self.places):
                return f"its row {shortened(then.id)!r} would be another now"
        names = [self._name(number) for number in range(len(self.shards))]
        if [path.name for path in self._there()] != names:
            return f"has not the {counted(len(names), 'shard')} that it should have"
        for name, paths in zip(names, console.track(self.shards, "comparing shards"), strict=True):
            if not holds(self.target.with_name(name), partial(self._pack, paths=paths)):
                return f"{name} would hold something else now"
        return None

    def _there(self) -> list[Path]:
        """Shards of this name."""
        return sorted(self.target.parent.glob(f"{glob.escape(self._stem)}-{'[0-9]' * DIGITS}.tar"))

    def _kept(self) -> set[int]:
        """The shards that a stopped run has written: of the very same recordings and rows.

        Raises:
            UsageError: there are shards of this name that no stopped run has left.
        """
        there = self._there()
        earlier = self.record.read_text() if self.record.is_file() else None
        if there and earlier is None:
            raise UsageError(
                f"{shown(there[0])} is there already: delete the shards of this name, or choose another --out."
            )
        if earlier != self.plan:
            for path in there:
                path.unlink()
            write_text(self.record, self.plan)
            return set()
        names = {path.name for path in there}
        return {number for number in range(len(self.shards)) if self._name(number) in names}

    def _write_shard(self, shard: Path, paths: Sequence[str]) -> None:
        with replacing(shard) as draft, draft.open("wb") as file:
            self._pack(file, paths)

    def _pack(self, file: Any, paths: Sequence[str]) -> None:
        with tarfile.open(fileobj=file, mode="w", format=tarfile.GNU_FORMAT) as archive:
            for path in paths:
                sample = self.samples[path]
                _add(archive, sample.name, _content(Path(path), sample.size))
                text = self._json(sample)
                _add(archive, f"{Path(sample.name).stem}.json", text)

    def _json(self, sample: Sample) -> bytes:
        """The row about a recording, or the list of the rows; their audio is called as in the shard."""
        names = {path: self.samples[path].name for number in sample.rows for path in self._paths(self.rows[number])}
        lines = [self._called(self.rows[number], names).json_line() for number in sample.rows]
        return (lines[0] if len(lines) == 1 else f"[{','.join(lines)}]").encode()

    def _called(self, row: Utterance, names: Mapping[str, str]) -> Utterance:
        return with_audio(row, [names[path] for path in self._paths(row)])

    def _paths(self, row: Utterance) -> list[str]:
        return [str(path) for path in self.audio.paths(row)]

    def _name(self, number: int) -> str:
        return f"{self._stem}-{number:0{DIGITS}d}.tar"

    @property
    def _stem(self) -> str:
        return self.target.name.removesuffix(".gz").rpartition(".")[0]


def _written(path: Path) -> int | None:
    """When a recording was written, None where it lies elsewhere."""
    return None if address_of(path) else file_of(path).stat().st_mtime_ns


def _blocks(size: int) -> int:
    """Bytes of a member with its header, both in whole blocks."""
    return tarfile.BLOCKSIZE * (1 + -(-size // tarfile.BLOCKSIZE))


def _content(path: Path, size: int) -> bytes:
    """A recording as it was when the plan was made.

    Raises:
        WavLLMError: it cannot be read, or has another size by now.
    """
    member = member_of(path)
    try:
        content = read_member(path, member) if member else path.read_bytes()
    except OSError as error:
        raise WavLLMError(f"{shown(path)} cannot be read: {error.strerror}.") from error
    if len(content) != size:
        raise WavLLMError(f"{shown(path)} has changed while shards were written: start again.")
    return content


def _add(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    """Add a member; nothing in its header depends on who writes it, and when."""
    info = tarfile.TarInfo(name)
    info.size = len(content)
    archive.addfile(info, io.BytesIO(content))
