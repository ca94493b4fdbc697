"""What is said in a split of the miniature, and by whom: all that is decided before anybody speaks."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import TypeVar

from wavllm_cli.mini.casting import Casting, moods
from wavllm_cli.mini.exchanges import Exchange, exchanges
from wavllm_cli.mini.takes import Take
from wavllm_cli.mini.world import Scene, scenes

Item = TypeVar("Item")


@dataclass(frozen=True)
class Script:
    """Contents and takes by the names of clips.

    Attributes:
        world: scenes of the closed world.
        felt: such scenes, said in a mood.
        pairs: two takes, of one voice or of two.
        aloud: questions that are asked in the recording, and their answers.
        open: sentences of open English.
    """

    world: Mapping[str, tuple[Scene, Take]]
    felt: Mapping[str, tuple[Scene, str, Take]]
    pairs: Mapping[str, tuple[Take, Take]]
    aloud: Mapping[str, tuple[Exchange, Take]]
    open: Mapping[str, Take]

    def takes(self) -> Iterator[Take]:
        for said in (self.world, self.felt, self.aloud):
            yield from (take for *_, take in said.values())
        for first, second in self.pairs.values():
            yield from (first, second)
        yield from self.open.values()


def write(counts: Mapping[str, int], sentences: Sequence[str], cast: Casting) -> Script:
    """The script of a split.

    Args:
        counts: of clips, by kind.
        sentences: of open English, of this split.
        cast: gives them to voices.
    """
    split, seed = cast.split, cast.seed
    drawn = scenes(split, counts["world"] + counts["er"], seed)
    world, felt = drawn[: counts["world"]], drawn[counts["world"] :]
    asked = exchanges(split, counts["sqqa"], seed, spoken=True)
    texts = [scene.text for scene in world]
    return Script(
        {n: (one, cast.said(n, one.text)) for n, one in _named(split, "world", world)},
        {n: (one, mood, cast.felt(n, one.text, mood)) for n, (one, mood) in _named(split, "er", _in_moods(felt))},
        {
            name: cast.pair(name, Random(f"{seed} texts {name}").sample(texts, 2), same)
            for name, same in _named(split, "sv", [i % 2 == 0 for i in range(counts["sv"])])
        },
        {n: (one, cast.said(n, one.prompt, natural=False)) for n, one in _named(split, "sqqa", asked)},
        {n: cast.said(n, one) for n, one in _named(split, "spoken", sentences[: counts["spoken"]])},
    )


def _in_moods(said: Sequence[Scene]) -> list[tuple[Scene, str]]:
    """Every mood as often as any other."""
    names = list(moods())
    return [(scene, names[i % len(names)]) for i, scene in enumerate(said)]


def _named(split: str, kind: str, items: Sequence[Item]) -> Iterator[tuple[str, Item]]:
    return ((f"mini-{split}-{kind}-{number:05d}", item) for number, item in enumerate(items))
