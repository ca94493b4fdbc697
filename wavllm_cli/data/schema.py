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
    ValidationError,
    model_validator,
)
from pydantic_core import PydanticCustomError, to_jsonable_python

from wavllm_cli import strict_json
from wavllm_cli.data.pieces import ONE, SEVERAL, Audio, Nested, Piece, Seconds, Speaker, Turn
from wavllm_cli.errors import nearest, shortened
from wavllm_cli.tasks.answers.choice import listed_choices
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
ROUNDED = 0.1  # seconds by which a clip's duration may differ from what its pieces come to


def _listed(value: Any) -> Any:
    """One reference may stand without a list; no references are None."""
    return [value] if isinstance(value, str) else value or None


References = Annotated[list[str] | None, BeforeValidator(_listed)]


class Part(Nested):
    """One of the instructions of an `ii` or `cot` row."""

    task: PartTask
    prompt: str
    target: str | None = None
    references: References = None


class Utterance(BaseModel):
    """One row: a clip (or none), an instruction, the right answer."""

    model_config = ConfigDict(frozen=True)

    id: str = Field(min_length=1)
    audio: Audio | None  # relative to the manifest, or absolute; pieces joined in order; None for text alone
    gap: Seconds | None = Field(default=None, ge=0)  # of silence between pieces
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
    speaker: Speaker | None = None  # several: one for each piece, or those who are heard
    group: str | None = None  # conversation, session, talk: in one split only
    turns: list[Turn] | None = None  # who says what
    speech_text: str | None = None  # what is to be said in the audio, or what a voice has been made to say
    choices: Annotated[list[str] | None, BeforeValidator(listed_choices)] = None
    parts: list[Part] | None = None
    corpus: str | None = None
    split: str | None = None
    extra: dict[str, JsonValue] | None = None  # columns of the user's own, carried along

    @model_validator(mode="before")
    @classmethod
    def _with_own_columns(cls, row: Any) -> Any:
        """Keys that are not ours belong to `extra`; one that looks like a misspelling of ours is an error."""
        if not isinstance(row, dict) or _ours(cls).issuperset(row):
            return row
        if problem := misspelt_key(row, cls):
            raise ValueError(problem)
        return _gathered(row, cls)

    @model_validator(mode="after")
    def _with_target(self) -> Self:
        if self.references and self.target is None:
            raise ValueError('key "references" holds further right answers and needs a "target", the first one')
        return self

    @model_validator(mode="after")
    def _joined(self) -> Self:
        """Where the audio is pieces they alone say where they start and which channel is heard."""
        if not isinstance(self.audio, tuple):
            if self.gap is not None:
                raise ValueError('key "gap" is the silence between pieces, but "audio" is not a list of them')
            return self
        if not self.audio:
            raise ValueError('key "audio" lists no pieces: it is null where there is nothing to hear')
        for name in ("channel", "start"):
            if getattr(self, name):
                raise ValueError(f'key "{name}" belongs into each of the pieces that "audio" lists')
        if isinstance(self.speaker, tuple) and len(self.speaker) != len(self.audio):
            lists = f"it lists {len(self.speaker)}, there are {len(self.audio)} pieces"
            raise ValueError(f'key "speaker" is one name, or one for each piece of "audio": {lists}')
        joined = self._joined_seconds()
        if self.duration is not None and joined is not None and abs(self.duration - joined) > ROUNDED:
            raise ValueError(f'key "duration" says {self.duration:g} s, but the pieces and gaps are {joined:g} s')
        return self

    def _joined_seconds(self) -> float | None:
        durations = [piece.duration for piece in self.pieces]
        silence = (self.gap or 0.0) * (len(durations) - 1)
        return None if None in durations else sum(filter(None, durations)) + silence

    @property
    def pieces(self) -> tuple[Piece, ...]:
        """What is heard, in order: one piece where the audio is a path, none for text."""
        if isinstance(self.audio, str):
            return (Piece(audio=self.audio, start=self.start, duration=self.duration, channel=self.channel),)
        return self.audio or ()

    @property
    def speakers(self) -> tuple[str, ...]:
        """Who is heard, as far as that is known."""
        return (self.speaker,) if isinstance(self.speaker, str) else self.speaker or ()

    @property
    def files(self) -> tuple[str, ...]:
        """The audio of each piece: what it is called in the row."""
        return (self.audio,) if isinstance(self.audio, str) else tuple(piece.audio for piece in self.audio or ())

    @property
    def known_duration(self) -> float | None:
        """Seconds of the clip, None where only its files tell."""
        return self._joined_seconds() if isinstance(self.audio, tuple) and self.duration is None else self.duration

    @property
    def awaits_speech(self) -> bool:
        """Whether this is no row of text alone: its text is still to be spoken."""
        return self.audio is None and self.speech_text is not None

    @property
    def is_transcribed(self) -> bool:
        """Whether the right answer is what is said in the clip."""
        return self.task == "asr" and self.audio is not None

    @property
    def accepted(self) -> list[str]:
        """Every right answer that is not blank, the target first."""
        return [text for text in (self.target, *(self.references or ())) if text and text.strip()]

    def json_line(self) -> str:
        """The row as a line of a manifest: empty optional fields are left out, `audio` and `target` never."""
        empty = {name for name, value in self.__dict__.items() if value is None}
        return self.model_dump_json(exclude=empty - {"audio", "target"})


class Hypothesis(Utterance):
    """A manifest row and a system's answer to it."""

    text: str
    system: str | None = None
    token_ids: list[int] | None = None
    logprobs: list[float | None] | None = None  # null where it is no number
    steps: list[dict[str, Any]] | None = None  # what a system of several steps did on its way
    warnings: list[str] | None = None  # what to know about the answer, such as that it was cut


Row = TypeVar("Row", bound=Utterance)


@cache
def _ours(model: type[Utterance]) -> frozenset[str]:
    """The keys of a row that nobody need look at together."""
    return frozenset(model.model_fields) - {"extra"}


def _gathered(row: dict[str, Any], model: type[Utterance]) -> dict[str, Any]:
    """The fields of a row, all that the model does not know of them below `extra`."""
    known = _ours(model)
    ours = {key: value for key, value in row.items() if key in known}
    own = {key: value for key, value in row.items() if key not in known}
    extra = own.pop("extra", None)
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
        key = ".".join(str(name) for name in e["loc"] if name not in (ONE, SEVERAL))
        message = e["msg"]
        if e["type"] == "model_type":
            message = "Input should be an object"
        if e["type"] == "missing":
            problems.append(f'key "{key}" is missing')
        elif e["type"] == "json_invalid":
            problems.append(f"not valid JSON ({str(e['ctx']['error']).replace('at line 1 column', 'at character')})")
        elif e["type"] == "value_error":
            problems.append((f'key "{key}": ' if key else "") + message.removeprefix("Value error, "))
        else:
            shown = repr(e["input"])
            shown = shown if len(shown) <= 40 else shown[:40] + "…"
            subject = f'key "{key}"' if key else "a row"
            problems.append(f"{subject} {message.replace('Input should', 'should')}, not {shown}")
    return problems
