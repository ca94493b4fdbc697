"""The rows of a manifest and of hypotheses: their keys, what is wrong with a row, which key a misspelt one means."""

from collections.abc import Collection
from functools import cache, lru_cache
from typing import Annotated, Any, Self, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    JsonValue,
    SerializerFunctionWrapHandler,
    ValidationError,
    model_serializer,
    model_validator,
)
from pydantic_core import PydanticCustomError, to_jsonable_python

from wavllm_cli import strict_json
from wavllm_cli.errors import nearest, shortened
from wavllm_cli.tasks.registry import SINGLE, TASKS, nearest_task


def _one_of(codes: Collection[str]) -> AfterValidator:
    """A validator of codes of tasks."""

    def check(code: str) -> str:
        if code in codes:
            return code
        *most, last = map(repr, codes)
        meant = nearest_task(code, codes)
        hint = f" (did you mean '{meant}'?)" if meant else ""
        raise PydanticCustomError("task", "Input should be {known}", {"known": f"{', '.join(most)} or {last}{hint}"})

    return AfterValidator(check)


Task = Annotated[str, _one_of(TASKS)]
PartTask = Annotated[str, _one_of(SINGLE)]  # what ii and cot are made of
Seconds = Annotated[float, Field(allow_inf_nan=False)]


def _listed(value: Any) -> Any:
    """One reference may stand without a list; no references are None."""
    return [value] if isinstance(value, str) else value or None


References = Annotated[list[str] | None, BeforeValidator(_listed)]


class Part(BaseModel):
    """One of the instructions of an `ii` or `cot` row."""

    model_config = ConfigDict(frozen=True)

    task: PartTask
    prompt: str
    target: str | None = None
    references: References = None

    @model_validator(mode="before")
    @classmethod
    def _parsed(cls, part: Any) -> Any:
        """In a Parquet file made by `datasets`, objects that do not have the same keys are JSON text."""
        return strict_json.loads(part) if isinstance(part, str) else part

    @model_serializer(mode="wrap")
    def _without_none(self, serialized: SerializerFunctionWrapHandler) -> dict[str, Any]:
        fields: dict[str, Any] = serialized(self)
        if self.references is None:
            del fields["references"]
        return fields


class Utterance(BaseModel):
    """One row: a clip (or none), an instruction, the right answer."""

    model_config = ConfigDict(frozen=True)

    id: str = Field(min_length=1)
    audio: str | None = Field(min_length=1)  # relative to the manifest, or absolute; None for text alone
    channel: int | None = Field(default=None, ge=0)  # of the file, from 0; None: the mean of all
    start: Seconds = Field(default=0.0, ge=0)
    duration: Seconds | None = Field(default=None, gt=0)  # None: to the end of the file
    task: Task
    prompt: str  # empty where the question is in the audio
    target: str | None = None  # None where there is no reference
    references: References = None  # further right answers
    transcript: str | None = None
    language: str | None = None
    target_language: str | None = None
    speaker: str | None = None
    choices: list[str] | None = None
    parts: list[Part] | None = None
    corpus: str | None = None
    split: str | None = None
    extra: dict[str, JsonValue] | None = None  # columns of the user's own, carried along

    @model_validator(mode="before")
    @classmethod
    def _with_own_columns(cls, row: Any) -> Any:
        """Keys that are not ours belong to `extra`; one that looks like a misspelling of ours is an error."""
        if not isinstance(row, dict) or not ("extra" in row or row.keys() - cls.model_fields.keys()):
            return row
        if problem := misspelt_key(row, cls):
            raise ValueError(problem)
        return _gathered(row, cls)

    @model_validator(mode="after")
    def _with_target(self) -> Self:
        if self.references and self.target is None:
            raise ValueError('key "references" holds further right answers and needs a "target", the first one')
        return self

    @property
    def accepted(self) -> list[str]:
        """Every right answer that is not blank, the target first."""
        return [text for text in (self.target, *(self.references or ())) if text and text.strip()]

    def json_line(self) -> str:
        """The row as a line of a manifest: empty optional fields are left out, `audio` and `target` never."""
        empty = {name for name, value in self if value is None and name not in ("audio", "target")}
        return self.model_dump_json(exclude=empty)


class Hypothesis(Utterance):
    """A manifest row and a system's answer to it."""

    text: str
    system: str | None = None
    token_ids: list[int] | None = None
    logprobs: list[float] | None = None
    steps: list[dict[str, Any]] | None = None  # what a system of several steps did on its way
    warnings: list[str] | None = None  # what to know about the answer, such as that it was cut


Row = TypeVar("Row", bound=Utterance)


def _gathered(row: dict[str, Any], model: type[Utterance]) -> dict[str, Any]:
    """The fields of a row, all that the model does not know of them below `extra`."""
    ours = {key: value for key, value in row.items() if key in model.model_fields}
    own = {key: value for key, value in row.items() if key not in model.model_fields}
    extra = ours.get("extra")
    if isinstance(extra, str):  # as Parquet holds it
        try:
            extra = strict_json.loads(extra)
        except ValueError as error:
            raise ValueError(f'key "extra" should be an object: {error}') from None
    if extra is None or isinstance(extra, dict):
        if twice := own.keys() & (extra or {}).keys():
            raise ValueError(f'key "{shortened(min(twice))}" stands in the row and in its "extra"')
        # What Parquet may hold beyond JSON, such as dates, becomes text.
        extra = to_jsonable_python((extra or {}) | own, bytes_mode="base64", inf_nan_mode="constants") or None
    return ours | {"extra": extra}


def misspelt_key(keys: Collection[str], model: type[Utterance]) -> str | None:
    """What to say of a key that is not the model's but looks like one that is lacking."""
    return _misspelt(tuple(keys), model)


@lru_cache(maxsize=256)  # the rows of a file have the same keys
def _misspelt(keys: tuple[str, ...], model: type[Utterance]) -> str | None:
    for key in set(keys) - model.model_fields.keys():
        meant = _similar_key(key, model)
        if meant and meant not in keys:
            return f'unknown key "{key}": did you mean "{meant}"?'
    return None


@cache
def _similar_key(key: str, model: type[Utterance]) -> str | None:
    known = [name for name in model.model_fields if len(name) > 3 and not key.startswith(f"{name}_")]
    return nearest(key.lower(), known, 0.8)


def problems_in(error: ValidationError) -> list[str]:
    """Each thing that is wrong with a row of a JSON Lines file, as a part of a sentence."""
    problems = []
    for e in error.errors():
        key, message = ".".join(map(str, e["loc"])), e["msg"]
        if e["type"] == "model_type":
            message = "Input should be an object"
        if e["type"] == "missing":
            problems.append(f'key "{key}" is missing')
        elif e["type"] == "json_invalid":
            problems.append(f"not valid JSON ({str(e['ctx']['error']).replace('at line 1 column', 'at character')})")
        elif e["type"] == "value_error":
            problems.append(message.removeprefix("Value error, "))
        else:
            shown = repr(e["input"])
            shown = shown if len(shown) <= 40 else shown[:40] + "…"
            subject = f'key "{key}"' if key else "a row"
            problems.append(f"{subject} {message.replace('Input should', 'should')}, not {shown}")
    return problems
