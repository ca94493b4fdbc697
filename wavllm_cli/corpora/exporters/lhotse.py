"""Lhotse: a manifest of recordings and one of supervisions, whose `custom` holds what Lhotse has no key for."""

import gzip
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from wavllm_cli import strict_json
from wavllm_cli.corpora.exporters.recordings import Recordings, why_no_segment
from wavllm_cli.data.batch import Clip

OWN = ("id", "audio", "start", "duration", "channel", "language")  # keys that Lhotse has a place for


def write(clips: Iterable[Clip], folder: Path) -> Iterator[str]:
    """Write both manifests into a folder."""
    recordings = Recordings()
    with _packed(folder / "supervisions.jsonl.gz") as file:
        for clip, why in recordings.segments(clips, why_no_segment):
            if why:
                yield why
            else:
                file.write(_line(_supervision(clip, recordings)))
    with _packed(folder / "recordings.jsonl.gz") as file:
        for path in recordings.names:
            file.write(_line(_recording(path, recordings)))


def _packed(path: Path) -> gzip.GzipFile:
    return gzip.GzipFile(path, "wb", mtime=0)


def _line(value: dict[str, Any]) -> bytes:
    return f"{strict_json.dumps(value)}\n".encode()


def _recording(path: Path, recordings: Recordings) -> dict[str, Any]:
    info, channels = recordings.info(path), list(range(recordings.info(path).channels))
    return {
        "id": recordings.name(path),
        "sources": [{"type": "file", "channels": channels, "source": str(path.absolute())}],
        "sampling_rate": info.sample_rate,
        "num_samples": round(info.duration * info.sample_rate),
        "duration": info.duration,
        "channel_ids": channels,
    }


def _supervision(clip: Clip, recordings: Recordings) -> dict[str, Any]:
    row, (path,) = clip.row, clip.paths
    info = recordings.info(path)
    fields = {key: value for key, value in row.model_dump(exclude={*OWN}).items() if value is not None}
    said = row.target if row.task == "asr" else row.transcript
    found = {
        "id": row.id,
        "recording_id": recordings.name(path),
        "start": row.start,
        "duration": row.duration or info.duration - row.start,
        "channel": row.channel if row.channel is not None else 0 if info.channels == 1 else list(range(info.channels)),
        "text": said,
        "language": row.language,
        "speaker": row.speaker if isinstance(row.speaker, str) else None,
        "custom": fields,
    }
    return {key: value for key, value in found.items() if value is not None}
