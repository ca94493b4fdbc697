"""How answers are found: what a command may change of the model's own generation settings."""

from dataclasses import dataclass, replace
from typing import Any, Self

from wavllm_cli.errors import UsageError
from wavllm_cli.recipe import sampling
from wavllm_cli.recipe.ranges import MAX_BEAMS, MAX_NEW_TOKENS, MAX_TEMPERATURE, MIN_TEMPERATURE

NEW_TOKENS = 512  # of an answer at most, where nobody has said how long it may be


@dataclass(frozen=True)
class Decoding:
    """What a command may change of the model's own generation settings; None leaves the model's.

    Raises:
        UsageError: a value with which nothing could be decoded.
    """

    max_new_tokens: int | None = None
    temperature: float | None = None  # 0 is greedy
    num_beams: int | None = None
    seed: int = 0
    logprobs: bool = False  # also return token ids and their log-probabilities

    def __post_init__(self) -> None:
        if self.temperature and not MIN_TEMPERATURE <= self.temperature <= MAX_TEMPERATURE:  # NaN is neither
            raise UsageError(
                f"The temperature cannot be {self.temperature:g}: it must be 0, which is greedy, or lie between "
                f"{MIN_TEMPERATURE:g} and {MAX_TEMPERATURE:g}."
            )
        if self.num_beams is not None and self.num_beams > MAX_BEAMS:
            raise UsageError(f"{self.num_beams:,} beams are too many: {MAX_BEAMS} is the limit.")
        if self.max_new_tokens is not None and self.max_new_tokens > MAX_NEW_TOKENS:
            raise UsageError(f"{self.max_new_tokens:,} new tokens are too many: {MAX_NEW_TOKENS:,} is the limit.")

    def settled(self, new_tokens: int = NEW_TOKENS) -> Self:
        """Greedy, and of so many new tokens at most, where nobody has said otherwise: whatever a model's own are."""
        return replace(self, temperature=self.temperature or 0.0, max_new_tokens=self.max_new_tokens or new_tokens)

    def options(self) -> dict[str, Any]:
        """As keywords of `generate`."""
        given = {"max_new_tokens": self.max_new_tokens, "num_beams": self.num_beams}
        options = {name: value for name, value in given.items() if value is not None}
        return options if self.temperature is None else options | sampling(self.temperature)


def require_room(new_tokens: int, positions: int | None, model: str) -> None:
    """
    Raises:
        UsageError: an answer alone is as long as all that the model can look at.
    """
    if positions is not None and new_tokens >= positions:
        raise UsageError(f"An answer of {new_tokens:,} tokens has no room: {model} has {positions:,} positions.")
