"""The demo clips that come with the package: a dozen test rows of the miniature's data, real and synthetic.

Chance picks them, by the digests of their ids, and not what a model makes of them: it has never heard them, and may
well fail.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import soundfile
import yaml

from wavllm_cli.data.audio import SAMPLE_RATE
from wavllm_cli.data.audio_paths import audio_paths
from wavllm_cli.data.batch import Clip
from wavllm_cli.data.files import replacing
from wavllm_cli.data.manifest import read_manifest, write_manifest
from wavllm_cli.data.schema import Utterance
from wavllm_cli.errors import WavLLMError

CLIPS = Path(__file__).with_name("clips")
MANIFEST = "demo.jsonl"
LONGEST = 8.0  # seconds of a clip
LARGEST = 150_000  # bytes of a clip
LARGEST_OF_ALL = 2_000_000  # bytes of all clips


@dataclass(frozen=True)
class Source:
    """Where recordings come from, and the attribution that their licence asks for."""

    title: str
    by: str
    licence: str
    url: str | None


@dataclass(frozen=True)
class Pick:
    """Rows of a test manifest, each with another right answer.

    Attributes:
        corpus: the only one they may be of; None: any that may be given on.
        parts: tasks of the parts that they must have.
    """

    manifest: str
    count: int
    corpus: str | None = None
    parts: tuple[str, ...] = ()

    def wants(self, row: Utterance) -> bool:
        return (
            row.corpus in sources()
            and (self.corpus in (None, row.corpus))
            and (not self.parts or [part.task for part in row.parts or ()] == list(self.parts))
            and bool(row.target)
            and 0 < (row.known_duration or 0) <= LONGEST
        )


@cache
def _plan() -> dict[str, Any]:
    return yaml.safe_load(Path(__file__).with_name("showcase.yaml").read_text(encoding="utf-8"))


def sources() -> Mapping[str, Source]:
    """Whose recordings may be given on, by the corpus of their rows."""
    return {corpus: Source(**fields) for corpus, fields in _plan()["sources"].items()}


def picks() -> list[Pick]:
    return [Pick(**fields | {"parts": tuple(fields.get("parts", ()))}) for fields in _plan()["picks"]]


def write_showcase(data: Path, folder: Path) -> list[Utterance]:
    """Write the clips as FLAC files, and a manifest of them.

    Args:
        data: what `wavllm prep mini` wrote.
        folder: must not exist yet.

    Raises:
        WavLLMError: there are no rows of a kind, or the clips are larger than all may be.
    """
    with replacing(folder) as draft:
        draft.mkdir()
        rows = [row for pick in picks() for row in _written(pick, data, draft)]
        if (size := sum(file.stat().st_size for file in draft.iterdir())) > LARGEST_OF_ALL:
            raise WavLLMError(f"The demo clips have {size:,} bytes, more than {LARGEST_OF_ALL:,}: pick fewer of them.")
        write_manifest(draft / MANIFEST, rows)
    return rows


def _written(pick: Pick, data: Path, folder: Path) -> Iterator[Utterance]:
    """The rows of a pick, whose clips have been written.

    Raises:
        WavLLMError: there are not so many.
    """
    manifest = data / f"test-{pick.manifest}.jsonl"
    answers: set[str | None] = set()
    for clip in _by_chance(pick, manifest):
        if clip.row.target in answers:
            continue
        file = folder / f"{pick.manifest}-{len(answers) + 1}.flac"
        samples = clip.read()
        assert samples is not None
        soundfile.write(file, samples, SAMPLE_RATE)
        if file.stat().st_size > LARGEST:
            file.unlink()
            continue
        answers.add(clip.row.target)
        yield _alone(clip.row, file.name, len(samples) / SAMPLE_RATE)
        if len(answers) == pick.count:
            return
    raise WavLLMError(f"{manifest} has only {len(answers)} of {pick.count} rows for the demo, see showcase.yaml.")


def _by_chance(pick: Pick, manifest: Path) -> Iterable[Clip]:
    rows = read_manifest(manifest)
    clips = [Clip(row, paths) for row, paths in zip(rows, audio_paths(rows, manifest), strict=True) if pick.wants(row)]
    return sorted(clips, key=lambda clip: hashlib.sha256(clip.row.id.encode()).hexdigest())


def _alone(row: Utterance, audio: str, seconds: float) -> Utterance:
    """The row about a file that holds just its clip, with whose recording it is."""
    source = sources()[row.corpus or ""]
    place = {"audio": audio, "start": 0.0, "channel": None, "gap": None, "duration": round(seconds, 6)}
    return row.model_copy(update=place | {"extra": {"source": source.title, "licence": source.licence}})
