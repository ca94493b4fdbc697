"""The sections of a recipe that say how training hears otherwise than was recorded."""

from typing import Annotated

from pydantic import Field, model_validator

from wavllm_cli.recipe.ranges import MAX_FACTORS, Decibels, Factor, Masks, Seconds, Share, Text, Width
from wavllm_cli.recipe.section import Section


class Speed(Section):
    """A clip is played faster and higher, or slower and lower; slower only as far as there is room for it."""

    factors: Annotated[tuple[Factor, ...], Field(min_length=1, max_length=MAX_FACTORS)]
    """One of them by chance; at 1.1 a clip takes 1/1.1 of its time."""


class Noise(Section):
    """A stretch of a recording is added to a clip."""

    source: Text
    """A folder of recordings, or a manifest; a relative one lies in `data`."""
    snr: tuple[Decibels, Decibels]
    """The lowest and the highest ratio of a clip's power to the noise's, in dB; any between them is as likely."""
    probability: Share = 1.0
    """Share of the clips that get some."""

    @model_validator(mode="after")
    def _ordered(self) -> "Noise":
        if self.snr[0] > self.snr[1]:
            raise ValueError(f"`snr` is from {self.snr[0]:g} to {self.snr[1]:g}: the lower one stands first")
        return self


class Reverb(Section):
    """A clip sounds as in the room of an impulse response; its loudness stays."""

    source: Text
    """A folder of impulse responses, or a manifest; a relative one lies in `data`."""
    probability: Share = 1.0
    """Share of the clips that are heard in a room."""


class SpecAugment(Section):
    """Stretches of time and bands of frequency are blanked in what the semantic encoder gets, not in the waveform."""

    time_masks: Masks
    """Of each clip."""
    time_width: Seconds
    """The widest of them; each is as wide as chance will have it."""
    time_share: Share = 0.2
    """Of a clip that one of them may cover."""
    frequency_masks: Masks
    """Of each clip."""
    frequency_width: Width
    """The widest of them, in mel bands."""


class Augmentation(Section):
    """What chance does to the clips of training, anew each time one is drawn: speed, then the room, then noise.

    Validation and all later answers hear clips as they are.
    """

    speed: Speed | None = None
    """Faster and slower."""
    reverb: Reverb | None = None
    """Rooms."""
    noise: Noise | None = None
    """Noise."""
    spec_augment: SpecAugment | None = None
    """Gaps in time and frequency."""

    @property
    def sources(self) -> dict[str, str]:
        """Where what is mixed in comes from, by the key of its section."""
        parts = {"reverb": self.reverb, "noise": self.noise}
        return {key: part.source for key, part in parts.items() if part}

    @model_validator(mode="after")
    def _something(self) -> "Augmentation":
        if not any((self.speed, self.reverb, self.noise, self.spec_augment)):
            raise ValueError("it names nothing to do: give speed, reverb, noise or spec_augment, or leave it out")
        return self
