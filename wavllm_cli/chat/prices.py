"""What requests cost: the price table, and estimates from the size of a request."""

import math
import re
from pathlib import Path
from typing import Annotated, Any, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, TypeAdapter, ValidationError

from wavllm_cli.chat.request import Body, Reply, Request, expected_tokens, size
from wavllm_cli.chat.speech import MOST_TOKENS_A_SECOND, audio_seconds
from wavllm_cli.errors import UsageError

SHIPPED = Path(__file__).with_name("prices.yaml")


class Price(BaseModel):
    """US dollars per million tokens, and the Batch API's share of them; `audio`: of audio in the prompt."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    input: float = Field(ge=0, allow_inf_nan=False)
    output: float = Field(ge=0, allow_inf_nan=False)
    batch: float = Field(default=0.5, ge=0, le=1)
    audio: float | None = Field(default=None, ge=0, allow_inf_nan=False)

    def cost(self, prompt_tokens: int, completion_tokens: int, batch: bool, audio_tokens: int = 0) -> float:
        """US dollars; tokens of audio are beside those of the prompt here."""
        audio = audio_tokens * (self.input if self.audio is None else self.audio)
        tokens = prompt_tokens * self.input + completion_tokens * self.output + audio
        return tokens / 1e6 * (self.batch if batch else 1)

    def of_reply(self, reply: Reply) -> float:
        audio = reply.audio_tokens
        return self.cost(max(0, reply.prompt_tokens - audio), reply.completion_tokens, reply.batch, audio)

    def at_most(self, body: Body, batch: bool) -> float:
        """No answer to this request can cost more."""
        audio = math.ceil(audio_seconds(body) * MOST_TOKENS_A_SECOND)
        return self.cost(size(body), body["max_completion_tokens"], batch, audio)


class SpeechPrice(BaseModel):
    """US dollars per million characters of a text that is spoken."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    characters: float = Field(ge=0, allow_inf_nan=False)

    def at_most(self, body: Body, batch: bool = False) -> float:
        """What a request costs, to the cent: its text is known."""
        return len(body["input"]) * self.characters / 1e6

    def of_reply(self, reply: Any) -> float:
        """As `at_most`, for a reply that knows how many `characters` it speaks."""
        return reply.characters * self.characters / 1e6


def _kind(fields: Any) -> str:
    return SPEECH if isinstance(fields, dict) and "characters" in fields else CHAT


CHAT, SPEECH = "chat", "speech"  # the two kinds, as pydantic names them in the place of an error
AnyPrice = Annotated[Annotated[Price, Tag(CHAT)] | Annotated[SpeechPrice, Tag(SPEECH)], Discriminator(_kind)]
Kind = TypeVar("Kind", Price, SpeechPrice)


def expected_usage(request: Request, body: Body) -> tuple[int, int]:
    """Prompt and completion tokens that a request will take, roughly: the answer as long as its example."""
    return expected_tokens(size(body)), expected_tokens(len(request.example.model_dump_json().encode()))


def find_price(model: str, table: Path | None, kind: type[Kind] = Price) -> Kind | None:  # type: ignore[assignment]
    """The price of a model, from the user's table or ours; a dated snapshot costs what its model costs.

    Args:
        kind: of price; a model that has another has none.

    Raises:
        UsageError: the user's table cannot be read.
    """
    prices = _read(SHIPPED) | (_read(table) if table else {})
    price = prices.get(model) or prices.get(re.sub(r"-\d{4}-\d{2}-\d{2}$", "", model))
    return price if isinstance(price, kind) else None


def _read(path: Path) -> dict[str, Price | SpeechPrice]:
    try:
        return TypeAdapter(dict[str, AnyPrice]).validate_python(yaml.safe_load(path.read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise UsageError(f"{path} cannot be read: {' '.join(str(error).split())}.") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(name) for name in first["loc"] if name not in (CHAT, SPEECH)) or "the file"
        raise UsageError(
            f"{path}: {where}: {first['msg']}. A line looks like `gpt-4.1-mini: {{input: 0.40, output: 1.60}}`."
        ) from error
