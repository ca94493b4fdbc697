"""Recordings that lie within other files, given a file of their own."""

import re
from pathlib import Path

from wavllm_cli.data.files import replacing

FOLDER = "audio"  # in the folder of the manifests
FORMS = {
    b"RIFF": ".wav",
    b"RF64": ".wav",
    b"fLaC": ".flac",
    b"OggS": ".ogg",
    b"ID3": ".mp3",
    b"NIST": ".sph",
    b"FORM": ".aiff",
}
FRAME = re.compile(rb"\xff[\xe2-\xff]")  # of an mp3 without tags


class Store:
    """Writes recordings into `OUT/audio`, each once: the same content under the same name is left as it is."""

    def __init__(self, out: Path):
        self._folder = out / FOLDER
        self._taken: set[str] = set()

    def put(self, name: str, data: bytes) -> Path:
        """Where a recording lies now.

        Args:
            name: what it is called, to become the name of a file.
            data: the whole of it, in any format.

        Raises:
            WavLLMError: it cannot be written.
        """
        plain = re.sub(r"[^\w.+=-]+", "_", name).strip("._")[:120] or "clip"
        stem, number = plain, 1
        while stem.casefold() in self._taken:
            number += 1
            stem = f"{plain}-{number}"
        self._taken.add(stem.casefold())
        path = self._folder / f"{stem}{_suffix(data)}"
        if not (path.is_file() and path.stat().st_size == len(data) and path.read_bytes() == data):
            with replacing(path, durable=False) as draft:
                draft.write_bytes(data)
        return path


def _suffix(data: bytes) -> str:
    for start, suffix in FORMS.items():
        if data.startswith(start):
            return suffix
    if data[4:8] == b"ftyp":
        return ".m4a"
    return ".mp3" if FRAME.match(data) else ".audio"
