"""Constraints on the form of an answer that a program can check, under the ids of IFEval (Zhou et al., 2023).

Speech-IFEval (Lu et al., 2025) shares the ids and reads some of them more widely; a row says whose reading holds.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from inspect import Parameter, signature
from typing import Any

from wavllm_cli import strict_json
from wavllm_cli.data.schema import Hypothesis
from wavllm_cli.errors import ManifestError, shortened
from wavllm_cli.scoring.following.constraint_checks import CHECKS, RELATIONS, WIDER, Check

IFEVAL, SPEECH_IFEVAL = "ifeval", "speech-ifeval"
READINGS = (IFEVAL, SPEECH_IFEVAL)
IDS, KWARGS, READING = COLUMNS = ("instruction_id_list", "kwargs", "instruction_reading")  # of rows, below `extra`


@dataclass(frozen=True)
class Constraint:
    """One constraint.

    Attributes:
        id: as in `instruction_id_list`: "startend:end_checker".
        arguments: its entry of `kwargs`: {"end_phrase": "The end."}.
        reading: whose reading of the id holds, of `READINGS`.
    """

    id: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    reading: str = IFEVAL

    @property
    def unknown(self) -> str | None:
        """Why nobody can say whether it is met: its id, or what it asks for, is not known."""
        check = _check(self)
        if check is None:
            return f"unknown constraint {self.id}"
        for parameter in _asked(check):
            value = self.arguments.get(parameter.name)
            if value is None:
                return f"{self.id} without {parameter.name}"
            if not _fits(value, parameter):
                return f"{self.id} with {parameter.name} {shortened(value)!r}"
        return None


def constraints_of(row: Hypothesis) -> list[Constraint]:
    """The constraints that a row's own columns name: `instruction_id_list` and `kwargs`, and in `instruction_reading`
    whose reading of them holds.

    Raises:
        ManifestError: the columns are not what they are in files of IFEval.
    """
    own = row.extra or {}
    if not own.get(IDS):
        return []
    ids, kwargs = _listed(own[IDS]), _listed(own.get(KWARGS))
    kwargs = kwargs or [{} for _ in ids]
    sound = all(isinstance(id, str) for id in ids) and all(isinstance(given, dict) for given in kwargs)
    if not sound or len(ids) != len(kwargs):
        raise ManifestError(
            f'row {shortened(row.id)}: "{IDS}" should be a list of names and "{KWARGS}" a list with an object for each.'
        )
    reading = str(own.get(READING) or IFEVAL)
    if reading not in READINGS:
        raise ManifestError(f'row {shortened(row.id)}: "{READING}" is {reading!r}; there are {", ".join(READINGS)}.')
    return [Constraint(id, given, reading) for id, given in zip(ids, kwargs, strict=True)]


def _listed(value: Any) -> list[Any]:
    """A list, or the JSON text of one; its entries may be such texts too, as Parquet holds objects."""
    value = _parsed(value)
    return [_parsed(entry) for entry in value] if isinstance(value, list) else [value] if value else []


def _parsed(value: Any) -> Any:
    if not isinstance(value, str) or not value.lstrip().startswith(("[", "{")):
        return value
    try:
        return strict_json.loads(value)
    except ValueError:
        return value


def _asked(check: Check) -> list[Parameter]:
    """What a constraint has to say, beside the answer."""
    return list(signature(check).parameters.values())[1:]


def _fits(value: Any, parameter: Parameter) -> bool:
    if parameter.name.endswith("relation"):
        return value in RELATIONS
    if parameter.annotation is int:
        return isinstance(value, int | float) and not isinstance(value, bool)
    if parameter.annotation is str:
        return isinstance(value, str) and bool(value.strip())
    return isinstance(value, list) and all(isinstance(word, str) for word in value)


def is_met(answer: str, constraint: Constraint) -> bool | None:
    """Whether an answer meets a constraint; None where that cannot be known. An empty answer meets none."""
    check = _check(constraint)
    if check is None or constraint.unknown:
        return None
    asked = {parameter.name: constraint.arguments[parameter.name] for parameter in _asked(check)}
    return bool(answer.strip()) and check(answer, **asked)


def is_met_loosely(answer: str, constraint: Constraint) -> bool | None:
    """As `is_met`, by any of the answer, the answer without its first or last line or both, and these without "*"."""
    lines = answer.split("\n")
    cut = [answer, *("\n".join(part).strip() for part in (lines[1:], lines[:-1], lines[1:-1]))]
    found = [is_met(text, constraint) for text in (*cut, *(text.replace("*", "") for text in cut))]
    return None if None in found else any(found)


def _check(constraint: Constraint) -> Check | None:
    if constraint.reading == SPEECH_IFEVAL and constraint.id in WIDER:
        return WIDER[constraint.id]
    return CHECKS.get(constraint.id)
