"""A user's own data, as people and other toolkits keep it, turned into manifests.

An importer is a corpus (see `corpora`). It finds `Record`s; `columns` knows what people call what a row needs, `places`
where its audio lies, and `rows` makes utterances of records, in splits.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Self

from wavllm_cli.corpora import Seed
from wavllm_cli.corpora.splits import Shares

MOST = Shares(90, 5, 5)


@dataclass(frozen=True)
class Own:
    """Options of all importers: what rows do not say themselves."""

    task: Annotated[
        str | None, "Of rows that do not say it. Without it: sqa for a question and an answer, else asr."
    ] = None
    prompt: Annotated[str | None, "Instruction of rows without one, instead of the wordings that come along."] = None
    language: Annotated[str | None, "Spoken in rows that do not say it: en, de, pt-BR, …"] = None
    target_language: Annotated[str | None, "Of translations that do not say it."] = None
    split: Annotated[Shares, "Shares of train, dev, test where rows have no split; a speaker or group is in one."] = (
        MOST
    )
    seed: Seed = 0


@dataclass(frozen=True)
class Record:
    """A row to be, as it was found.

    Args:
        place: where, for messages.
        name: the row's id where `fields` has none; that of a segment says its times too.
        audio: what is heard, one after the other; nothing where there is only text.
        fields: by the names of `names.yaml`: keys of a manifest, and `text`, `translation` and others that become its
            target or transcript.
        extra: what else is known.
        start, end: seconds of a segment; None: from the beginning, to the end of the file.
        length: seconds that the whole file is said to have.
    """

    place: str
    name: str
    audio: tuple[Path, ...]
    fields: Mapping[str, Any]
    extra: Mapping[str, Any] = field(default_factory=dict)
    start: float | None = None
    end: float | None = None
    length: float | None = None

    @classmethod
    def of(cls, place: str, name: str, audio: tuple[Path, ...], fields: dict[str, Any], extra: dict[str, Any]) -> Self:
        """Of fields among which are times: a duration without a start or an end is that of the whole file."""
        fields = dict(fields)
        start, end, duration = (fields.pop(key, None) for key in ("start", "end", "duration"))
        if start is None and end is None:
            return cls(place, name, audio, fields, extra, length=duration)
        if end is None and duration is not None:
            end = start + duration
        return cls(place, name, audio, fields, extra, start, end)
