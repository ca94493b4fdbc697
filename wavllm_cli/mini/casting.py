"""Who says what in the miniature, and how it sounds. Chance decides by seed and name alone, in any order of clips."""

from collections.abc import Mapping, Sequence
from functools import cache
from itertools import cycle
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import yaml

from wavllm_cli.data.schema import Utterance
from wavllm_cli.mini.acoustics import NOISES
from wavllm_cli.mini.takes import Take
from wavllm_cli.prompts.pools import number_of

SPLITS = ("train", "dev", "test")
CASTING = Path(__file__).with_name("casting.yaml")
NATURAL = 0.05  # of the clips of train that one of Piper's voices says, where it may: it costs forty times as much

ACCENTS_EACH = {"female": 4, "male": 2}  # espeak-ng has few women; who had more would be as many, and sound as one
RATES = (120, 165)  # words a minute, of a voice when it is neutral
PITCHES = (38, 62)
SPEEDS = (0.9, 1.1)  # of the tape, of a voice in train: so that there are more of them
NATURAL_SPEEDS = (0.84, 1.16)  # one voice has to be many
LEVELS = (-30.0, -18.0)  # dB of full scale
ROOMS = (0.1, 0.35)  # seconds of reverberation
SNRS = (12.0, 32.0)  # dB
IN_ROOM = {"train": 0.3, "dev": 0.25, "test": 0.25}  # share of clips
IN_NOISE = {"train": 0.4, "dev": 0.25, "test": 0.25}


class Mood(NamedTuple):
    """What a mood does to a voice: see casting.yaml."""

    rate: float
    pitch: float
    variation: float
    level: float
    harshness: float


def share_of(*content: object) -> float:
    """0 to 1, by content alone: what decides whether something is used."""
    return number_of(*content) / 2**64


def drawn(rows: Sequence[Utterance], count: int) -> list[Utterance]:
    """So many rows, or all, in their order: their ids decide, so that nothing that takes turns among them is missed."""
    first = sorted(range(len(rows)), key=lambda i: share_of(rows[i].id))[:count]
    return [rows[i] for i in sorted(first)]


@cache
def _casting() -> dict[str, Any]:
    return yaml.safe_load(CASTING.read_text(encoding="utf-8"))


@cache
def voices(split: str) -> tuple[str, ...]:
    """espeak-ng's voices of a split: its speakers in `ACCENTS_EACH` of its accents, which take turns."""
    cast = _casting()["voices"][split]
    accents = cycle(cast["accents"])
    of_sexes = ACCENTS_EACH.items()
    return tuple(f"{next(accents)}+{one}" for sex, each in of_sexes for one in cast[sex] for _ in range(each))


def timbre(voice: str) -> str:
    """A voice without its accent."""
    return voice.partition("+")[2]


def sex(voice: str) -> str | None:
    """ "female" or "male"; None for voices that are not espeak-ng's."""
    casts = _casting()["voices"].values()
    return next((sex for cast in casts for sex in ("female", "male") if timbre(voice) in cast[sex]), None)


def moods() -> Mapping[str, Mood]:
    """By the words that name them."""
    return {name: Mood(**mood) for name, mood in _casting()["moods"].items()}


class Casting:
    """Gives takes of a split to voices.

    Args:
        natural: the voices of Piper; they speak in train alone, since test is for voices that were never heard.
        seed: the same seed and names give the same takes.
    """

    def __init__(self, split: str, natural: Sequence[str], seed: int):
        self.split, self.seed = split, seed
        self.natural = tuple(natural) if split == "train" else ()

    def said(self, name: str, text: str, natural: bool = True) -> Take:
        """A text in some voice.

        Args:
            name: of the clip, which decides.
            natural: whether it may be a voice of Piper.
        """
        rng = Random(f"{self.seed} {name}")
        if natural and self.natural and rng.random() < NATURAL:
            return self._by(rng.choice(self.natural), text, rng, speed=rng.uniform(*NATURAL_SPEEDS))
        return self._by(rng.choice(voices(self.split)), text, rng)

    def pair(self, name: str, texts: Sequence[str], same: bool) -> tuple[Take, Take]:
        """Two texts, both said by one voice, or by two of one sex that differ in more than their accent."""
        rng = Random(f"{self.seed} {name}")
        first = rng.choice(voices(self.split))
        others = [v for v in voices(self.split) if sex(v) == sex(first) and timbre(v) != timbre(first)]
        second = first if same else rng.choice(others)
        return self._by(first, texts[0], rng), self._by(second, texts[1], rng)

    def felt(self, name: str, text: str, mood: str) -> Take:
        """A text in some voice and mood: the voice's own manner, changed by the mood, and by chance."""
        rng = Random(f"{self.seed} {name}")
        voice = rng.choice(voices(self.split))
        rate, pitch, speed = self._manner(voice)
        change, jitter = moods()[mood], Mood(**_casting()["jitter"])
        moved = Mood(*(rng.uniform(-by, by) for by in jitter))
        take: dict[str, Any] = {
            "rate": round(rate * change.rate * (1 + moved.rate)),
            "pitch": _within(pitch + change.pitch + moved.pitch),
            "variation": _within(50 + change.variation + moved.variation),
            "level": round(-24 + change.level + moved.level, 1),
            "harshness": round(max(0.0, change.harshness + moved.harshness), 2) if change.harshness else 0.0,
        }
        return Take(text, voice, speed=speed, **take, **self._place(rng))

    def _by(self, voice: str, text: str, rng: Random, speed: float | None = None) -> Take:
        rate, pitch, own_speed = self._manner(voice)
        take: dict[str, Any] = {
            "rate": round(rate * rng.uniform(0.9, 1.1)),
            "pitch": pitch + rng.randint(-5, 5),
            "variation": rng.randint(35, 65),
            "level": round(rng.uniform(*LEVELS), 1),
        }
        return Take(text, voice, speed=round(speed or own_speed, 3), **take, **self._place(rng))

    def _manner(self, voice: str) -> tuple[int, int, float]:
        """A voice's own rate, pitch and speed of the tape: no absolute value tells a mood."""
        rng = Random(f"manner {voice}")
        rate, pitch, speed = rng.randint(*RATES), rng.randint(*PITCHES), rng.uniform(*SPEEDS)
        return rate, pitch, round(speed, 3) if self.split == "train" else 1.0

    def _place(self, rng: Random) -> dict[str, Any]:
        """The room and the noise of a clip; both draws are made whatever comes of them."""
        seconds, kind, snr = round(rng.uniform(*ROOMS), 2), rng.choice(NOISES), round(rng.uniform(*SNRS), 1)
        in_room, in_noise = rng.random() < IN_ROOM[self.split], rng.random() < IN_NOISE[self.split]
        return {
            "room": seconds if in_room else 0.0,
            "noise": kind if in_noise else None,
            "snr": snr if in_noise else 0.0,
            "seed": rng.randrange(2**32),
        }


def conditions(take: Take) -> dict[str, Any]:
    """What a row tells of the sound of its clip, below `extra`."""
    heard: dict[str, Any] = {"sound": "noisy" if take.noise else "reverberant" if take.room else "clean"}
    if take.noise:
        heard |= {"noise": take.noise, "snr": take.snr}
    return heard | ({"room": take.room} if take.room else {})


def _within(value: float) -> int:
    return round(min(max(value, 0), 99))
