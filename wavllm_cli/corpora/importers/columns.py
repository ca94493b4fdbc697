"""Which key of a manifest a column of another table is: by its name, or because the user says so."""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Self

import yaml

from wavllm_cli.errors import UsageError, did_you_mean, listed, shortened

EXTRA = "extra"
TIMES = ("start", "end", "duration")
UNITS = {"s": 1.0, "ms": 1e-3}  # seconds each
CLOCK = re.compile(r"(?:(\d+):)?(\d{1,2}):(\d{1,2}(?:[.,]\d+)?)")


@cache
def names() -> dict[str, Any]:
    """The sections of `names.yaml`."""
    return yaml.safe_load(files(__package__).joinpath("names.yaml").read_text(encoding="utf-8"))


@dataclass(frozen=True)
class Meaning:
    """What a column holds: a field of `names.yaml`, or `extra`; times in a unit."""

    field: str
    unit: str = "s"

    def __str__(self) -> str:
        return f"{self.field} ({self.unit})" if self.field in TIMES else self.field


@dataclass(frozen=True)
class Mapped:
    """What the user says of a column."""

    column: str
    meaning: Meaning

    @classmethod
    def parse(cls, text: str) -> Self:
        """Of `COLUMN=FIELD` or `COLUMN=FIELD:UNIT`.

        Raises:
            UsageError: it is neither.
        """
        column, _, said = text.rpartition("=")
        field, _, unit = said.partition(":")
        known = [*names()["columns"], EXTRA]
        if not column or not field:
            raise UsageError(f"A column is mapped by COLUMN=FIELD, as in audio_nr=id, not {text!r}.")
        if field not in known and column in known:
            raise UsageError(f"{text!r}: the column comes first: {field}={column}.")
        if field not in known:
            raise UsageError(f"{text!r}: there is no field {field!r}{did_you_mean(field, known)}: {', '.join(known)}.")
        if unit and (field not in TIMES or unit not in UNITS):
            raise UsageError(f"{text!r}: only {', '.join(TIMES)} have a unit, and it is one of {', '.join(UNITS)}.")
        return cls(column, Meaning(field, unit or "s"))


def meanings(columns: Sequence[str], told: Iterable[Mapped] = ()) -> dict[str, Meaning]:
    """What each column holds, no two of them the same field.

    Args:
        columns: their names.
        told: by the user; of columns that are not there nothing is said.
    """
    found = {one.column: one.meaning for one in told if one.column in columns}
    taken = {meaning.field for meaning in found.values()}
    plain = {_plain(column): column for column in reversed(columns) if column not in found}
    for field, known in names()["columns"].items():
        for name, unit in map(_with_unit, known):
            if field not in taken and name in plain and plain[name] not in found:
                found[plain[name]] = Meaning(field, unit)
                taken.add(field)
    return {column: found.get(column, Meaning(EXTRA)) for column in columns}


def require_told(told: Iterable[Mapped], columns: Iterable[str]) -> None:
    """
    Raises:
        UsageError: the user speaks of a column that is nowhere.
    """
    there = list(columns)
    for one in told:
        if one.column not in there:
            raise UsageError(
                f"There is no column {one.column!r}{did_you_mean(one.column, there)}: {listed(there, 30)}."
            )


def fields_of(record: Mapping[str, Any], by_column: Mapping[str, Meaning]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The fields of a record that a row is made of, times in seconds, and what else it holds; neither has empty ones.

    Raises:
        ValueError: a time that is none; the message is a part of a sentence.
    """
    fields: dict[str, Any] = {}
    extra: dict[str, Any] = {}
    for column, value in record.items():
        if value is None or (isinstance(value, str | list | dict) and not value):
            continue
        meaning = by_column[column]
        if meaning.field == EXTRA:
            extra[column] = value
        elif meaning.field in TIMES:
            fields[meaning.field] = seconds(value, column, meaning.unit)
        else:
            fields[meaning.field] = value
    return fields, extra


def seconds(value: Any, column: str, unit: str = "s") -> float:
    """A time in seconds: a number of a unit, or HH:MM:SS and MM:SS with a fraction, whatever the unit.

    Raises:
        ValueError: it is none.
    """
    text = str(value).strip()
    if clock := CLOCK.fullmatch(text):
        hours, minutes, rest = clock[1] or 0, clock[2], clock[3].replace(",", ".")
        return int(hours) * 3600 + int(minutes) * 60 + float(rest)
    try:
        number = float(text.replace(",", ".") if text.count(",") == 1 and "." not in text else text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise ValueError(f"{column} {shortened(text)!r} is not a time: a number, or HH:MM:SS")
    return round(number * UNITS[unit], 6)


def _plain(column: str) -> str:
    return re.sub(r"[\s.\-]+", "_", column.strip().casefold())


def _with_unit(name: str) -> tuple[str, str]:
    name, _, unit = name.partition(":")
    return name, unit or "s"
