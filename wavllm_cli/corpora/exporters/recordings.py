"""The recordings that rows are about, each under a name of its own."""

from pathlib import Path

from wavllm_cli.corpora.exporters import IN_ARCHIVE, NO_AUDIO, PIECES
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

    def info(self, path: Path) -> AudioInfo:
        """
        Raises:
            WavLLMError: the file cannot be read.
        """
        if path not in self._infos:
            self._infos[path] = audio_info(path)
        return self._infos[path]


def why_no_segment(clip: Clip) -> str | None:
    """Why a clip is no stretch of one file; None where it is."""
    if not clip.paths:
        return NO_AUDIO
    if not isinstance(clip.row.audio, str):
        return PIECES
    return IN_ARCHIVE if member_of(clip.paths[0]) else None
