"""What stands within a row: the pieces that a clip is joined from, who speaks in it, and the turns of those."""

from typing import Annotated, Any

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    SerializerFunctionWrapHandler,
    Tag,
    model_serializer,
    model_validator,
)

from wavllm_cli import strict_json
from wavllm_cli.errors import nearest, shortened

Seconds = Annotated[float, Field(allow_inf_nan=False)]
Decibels = Annotated[float, Field(allow_inf_nan=False)]
ONE, SEVERAL = "(one)", "(several)"  # forms of audio and speaker, as pydantic names them in the place of an error


class Nested(BaseModel):
    """An object within a row, which has no keys of the user's own. Keys without a value are left out."""

    model_config = ConfigDict(frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _parsed(cls, value: Any) -> Any:
        """In a Parquet file made by `datasets`, objects are JSON text, or have null where they lack a key."""
        fields = strict_json.loads(value) if isinstance(value, str) and value.startswith("{") else value
        if not isinstance(fields, dict):
            return fields
        for key in fields.keys() - cls.model_fields.keys():
            meant = nearest(key, cls.model_fields)
            hint = f'did you mean "{meant}"?' if meant else f"there are {', '.join(cls.model_fields)}"
            raise ValueError(f'unknown key "{shortened(key)}": {hint}')
        return {key: given for key, given in fields.items() if given is not None}

    @model_serializer(mode="wrap")
    def _without_none(self, serialized: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {key: value for key, value in serialized(self).items() if value is not None}


class Piece(Nested):
    """A part of a file, or all of it."""

    audio: str = Field(min_length=1)  # relative to the manifest, or absolute
    start: Seconds = Field(default=0.0, ge=0)
    duration: Seconds | None = Field(default=None, gt=0)  # None: to the end of the file
    channel: int | None = Field(default=None, ge=0)  # of the file, from 0; None: the mean of all
    level: Decibels | None = Field(default=None, ge=-100, le=0)  # RMS it is brought to, of full scale; None: as it is


class Turn(Nested):
    """What one speaker says at a stretch; seconds are those of the row's clip."""

    start: Seconds = Field(ge=0)
    duration: Seconds = Field(ge=0)
    speaker: str
    channel: int | None = Field(default=None, ge=0)
    text: str


def _parsed_list(value: Any) -> Any:
    """A table whose other rows have one text holds the lists of a row as JSON text."""
    if isinstance(value, str) and value.startswith(("[{", '["')):
        try:
            return strict_json.loads(value)
        except ValueError:
            return value  # a name after all
    return value


def _form(value: Any) -> str:
    return SEVERAL if isinstance(value, list | tuple) else ONE


_OneOrSeveral = (Discriminator(_form), BeforeValidator(_parsed_list))
Audio = Annotated[
    Annotated[str, Field(min_length=1), Tag(ONE)] | Annotated[tuple[Piece, ...], Tag(SEVERAL)], *_OneOrSeveral
]
Speaker = Annotated[Annotated[str, Tag(ONE)] | Annotated[tuple[str, ...], Tag(SEVERAL)], *_OneOrSeveral]
