"""The recordings that rows are about, each under a name of its own."""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from wavllm_cli.corpora import Skipped
from wavllm_cli.corpora.exporters import IN_ARCHIVE, NO_AUDIO, PIECES
from wavllm_cli.corpora.lengths import measured
from wavllm_cli.data.audio import AudioInfo, audio_info
from wavllm_cli.data.batch import Clip
from wavllm_cli.data.shards import member_of


class Recordings:
    """Names for files: their stems, numbered where several share one."""

    def __init__(self) -> None:
        self.names: dict[Path, str] = {}
        self._infos: dict[Path, AudioInfo] = {}
        self._taken: set[str] = set()

    def name(self, path: Path) -> str:
        if path not in self.names:
            stem = "_".join(path.stem.split()) or "audio"
            name, number = stem, 1
            while name in self._taken:
                number += 1
                name = f"{stem}-{number}"
            self._taken.add(name)
            self.names[path] = name
        return self.names[path]

    def segments(
        self, clips: Iterable[Clip], why_not: Callable[[Clip], str | None]
    ) -> Iterator[tuple[Clip, str | None]]:
        """Each clip, and why it is left out; of the others many files are looked at together.

        Raises:
            WavLLMError: a file cannot be read.
        """
        files = ((Skipped(clip.row.id, why, "") if (why := why_not(clip)) else clip.paths[0], clip) for clip in clips)
        for clip, info in measured(files, audio_info):
            if isinstance(info, Skipped):
                yield clip, info.reason
            else:
                self._infos[clip.paths[0]] = info
                yield clip, None

    def info(self, path: Path) -> AudioInfo:
        """Of a file of one of the segments."""
        return self._infos[path]


def why_no_segment(clip: Clip) -> str | None:
    """Why a clip is no stretch of one file; None where it is."""
    if not clip.paths:
        return NO_AUDIO
    if not isinstance(clip.row.audio, str):
        return PIECES
    return IN_ARCHIVE if member_of(clip.paths[0]) else None
