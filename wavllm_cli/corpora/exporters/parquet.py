"""Parquet as the Hugging Face hub has it: a row is a clip, its audio inside (`audio: {bytes, path}`)."""

import json
from collections.abc import Iterable, Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

from wavllm_cli import strict_json
from wavllm_cli.data.audio import SAMPLE_RATE, audio_info
from wavllm_cli.data.batch import Clip
from wavllm_cli.data.files import shown
from wavllm_cli.data.schema import Utterance
from wavllm_cli.data.shards import member_of, read_member
from wavllm_cli.errors import WavLLMError

MEGABYTES = 500  # of audio in a file
GROUP = 100  # rows that are written, and read, at a time
ROUNDING = 0.02  # seconds by which the duration of a row that is a whole file may differ from the file's
WITHIN = {"audio", "gap", "channel", "start"}  # where a clip lies, which its own audio does not ask for
NUMBERS, LISTS, OBJECTS = {"duration"}, {"references", "choices"}, {"turns", "parts"}


def write(clips: Iterable[Clip], folder: Path) -> Iterator[str]:
    """Write Parquet files into a folder. Rows of text alone have no audio; none is left out."""
    import pyarrow as pa
    from pyarrow.parquet import ParquetWriter

    schema = _schema()
    number, size, rows, writer = 0, 0, [], None
    for clip in clips:
        rows.append(_fields(clip))
        size += len((rows[-1]["audio"] or {}).get("bytes", b""))
        is_full = size >= MEGABYTES * 1_000_000
        if is_full or len(rows) == GROUP:
            writer = writer or ParquetWriter(folder / f"{number:05d}.parquet", schema)
            writer.write_table(pa.Table.from_pylist(rows, schema))
            rows = []
        if is_full and writer:
            writer.close()
            number, size, writer = number + 1, 0, None
    if rows:
        writer = writer or ParquetWriter(folder / f"{number:05d}.parquet", schema)
        writer.write_table(pa.Table.from_pylist(rows, schema))
    if writer:
        writer.close()
    yield from ()


def _schema() -> Any:
    """The keys of a manifest, and what `datasets` reads of a column that is audio."""
    import pyarrow as pa

    text = pa.string()
    fields = {"id": text, "audio": pa.struct({"bytes": pa.binary(), "path": text})}
    features: dict[str, Any] = {"id": _value("string"), "audio": {"_type": "Audio", "decode": True}}
    for name in Utterance.model_fields:
        if name in WITHIN or name in fields:
            continue
        many = name in LISTS | OBJECTS
        fields[name] = pa.float64() if name in NUMBERS else pa.list_(text) if many else text
        kind = _value("float64" if name in NUMBERS else "string")
        features[name] = {"feature": kind, "_type": "List"} if many else kind
    told = json.dumps({"info": {"features": features}})
    return pa.schema(fields, {"huggingface": told})


def _value(kind: str) -> dict[str, str]:
    return {"dtype": kind, "_type": "Value"}


def _fields(clip: Clip) -> dict[str, Any]:
    row = clip.row
    fields = row.model_dump(exclude=WITHIN, mode="json")
    for name in OBJECTS & fields.keys():
        if fields[name] is not None:
            fields[name] = [strict_json.dumps(one) for one in fields[name]]
    fields["extra"] = None if row.extra is None else strict_json.dumps(row.extra)
    if isinstance(row.speaker, tuple):
        fields["speaker"] = strict_json.dumps(row.speaker)
    return fields | {"audio": _audio(clip)}


def _audio(clip: Clip) -> dict[str, Any] | None:
    """The file as it is where the clip is all of it, else the clip in FLAC, at 16 kHz."""
    if not clip.paths:
        return None
    path, row = clip.paths[0], clip.row
    try:
        if isinstance(row.audio, str) and row.channel is None and not row.start and _is_whole(path, row.duration):
            member = member_of(path)
            content = read_member(path, member) if member else path.read_bytes()
            return {"bytes": content, "path": None if member else path.name}
        return {"bytes": _flac(clip), "path": f"{path.stem.partition('#')[0]}.flac"}
    except (WavLLMError, OSError) as error:
        raise WavLLMError(f"{row.id}: {shown(path)} cannot be exported: {str(error).rstrip('.')}.") from error


def _is_whole(path: Path, seconds: float | None) -> bool:
    return seconds is None or abs(audio_info(path).duration - seconds) <= ROUNDING


def _flac(clip: Clip) -> bytes:
    import soundfile

    packed = BytesIO()
    samples = clip.read()
    assert samples is not None
    soundfile.write(packed, np.clip(samples, -1, 1), SAMPLE_RATE, format="FLAC", subtype="PCM_16")
    return packed.getvalue()
