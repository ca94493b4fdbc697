"""The ranges of a recipe's numbers and names.

The upper bounds lie far above what anybody trains with: beyond them is a slip of the keyboard that would cost a night,
a machine or the memory of one.
"""

from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field

MAX_WIDTH = 2**17
MAX_RANK = 2**12
MAX_ALPHA = 10_000
MIN_VOCABULARY = 256 + 3  # a token for each byte, and <unk>, <s>, </s>
MAX_VOCABULARY = 2**20
MAX_STAGES = 16
MAX_STEPS = 10**8
MAX_ACCUMULATE = 2**12
MAX_UTTERANCES = 2**16
MAX_TOKENS = 2**24
MAX_SECONDS = 86_400
MAX_WINDOW = 600  # s
MAX_RATE = 1.0
MAX_WEIGHT = 10**6
MAX_WORKERS = 256
MAX_SAMPLES = 256
MAX_NEW_TOKENS = 2**17
MAX_BEAMS = 64
MAX_FACTORS = 100
MIN_SPEED, MAX_SPEED = 0.5, 2.0
MIN_SNR, MAX_SNR = -30, 100  # dB
MAX_MASKS = 100
MIN_TEMPERATURE, MAX_TEMPERATURE = 0.01, 100.0  # logits divided by less overflow in float16
MAX_NAME, MAX_PATH = 100, 4096  # characters


@dataclass(frozen=True)
class AtMost:
    """An upper bound that says its reason."""

    limit: float
    why: str

    def __call__(self, value: float) -> float:
        if value > self.limit:
            raise ValueError(f"it may be at most {self.limit:,}, {self.why}")
        return value


@dataclass(frozen=True)
class AtLeast:
    """A lower bound that says its reason."""

    limit: float
    why: str

    def __call__(self, value: float) -> float:
        if value < self.limit:
            raise ValueError(f"it must be at least {self.limit:,}, {self.why}")
        return value


def at_most(limit: float, why: str) -> AfterValidator:
    return AfterValidator(AtMost(limit, why))


def at_least(limit: float, why: str) -> AfterValidator:
    return AfterValidator(AtLeast(limit, why))


def _number(value: Any) -> Any:
    """YAML's `yes` and `true` are no numbers, although they are to Python."""
    if isinstance(value, bool):
        raise ValueError("it must be a number, not yes or no")
    return value


Whole = Annotated[int, BeforeValidator(_number)]
Real = Annotated[float, BeforeValidator(_number), Field(allow_inf_nan=False)]
Count = Annotated[Whole, Field(gt=0)]
Amount = Annotated[Real, Field(gt=0)]

Width = Annotated[Count, at_most(MAX_WIDTH, "wider than the widest published layers")]
Steps = Annotated[Count, at_most(MAX_STEPS, "months at ten steps a second")]
Seconds = Annotated[Amount, at_most(MAX_SECONDS, "a day of audio")]
SemanticWindow = Annotated[Count, at_most(MAX_WINDOW, "since no Whisper hears ten minutes at a time")]
AcousticWindow = Annotated[Seconds, at_least(20, "of which 5 s on either side are only heard along")]
Weight = Annotated[Amount, at_most(MAX_WEIGHT, "since weights are relative")]
Factor = Annotated[Real, Field(ge=MIN_SPEED, le=MAX_SPEED)]
Decibels = Annotated[Real, Field(ge=MIN_SNR, le=MAX_SNR)]
Share = Annotated[Real, Field(gt=0, le=1)]
Masks = Annotated[Whole, Field(ge=0), at_most(MAX_MASKS, "more than leave anything to hear")]
Text = Annotated[str, Field(min_length=1, max_length=MAX_PATH)]


def _even(value: int) -> int:
    if value % 2:
        raise ValueError("it must be even: the gated linear unit halves the channels")
    return value


Channels = Annotated[Width, AfterValidator(_even)]
