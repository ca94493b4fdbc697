"""Pairs of utterances of one speaker or of two, in which nothing but the voices tells which."""

from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from math import ceil
from operator import attrgetter
from pathlib import Path
from random import Random


@dataclass(frozen=True)
class Spoken:
    """An utterance.

    Args:
        path: its file.
        speaker: who speaks.
        session: where it was recorded: utterances of one video sound alike whoever speaks.
        gender: what it is called does not matter; None where it is not known.
    """

    path: Path
    speaker: str
    session: str
    gender: str | None = None


Pair = tuple[Spoken, Spoken]


def balanced(utterances: Iterable[Spoken], count: int | None, seed: int) -> list[Pair]:
    """Pairs in random order, half of them of one speaker.

    One speaker is heard in two sessions wherever there are two, two speakers are of one gender; and each utterance is
    heard as often in pairs of two speakers as in pairs of one, so that its own sound tells nothing.

    Args:
        utterances: to be paired.
        count: of pairs, about; None takes each utterance twice.
        seed: the same utterances, count and seed give the same pairs.
    """
    rng = Random(f"pairs {seed}")
    everyone = sorted(utterances, key=lambda one: (one.speaker, one.session, str(one.path)))
    pools: dict[str | None, list[Spoken]] = {}
    for one in everyone:
        pools.setdefault(one.gender, []).append(one)
    pairs: list[Pair] = []
    for pool in pools.values():
        share = len(pool) if count is None else count * len(pool) / len(everyone)
        pairs += _of_one_gender(pool, round(share), rng)
    rng.shuffle(pairs)
    return pairs


def _of_one_gender(pool: list[Spoken], count: int, rng: Random) -> list[Pair]:
    """As many pairs of one speaker as of two, about `count` together, of the same utterances."""
    same: list[Pair] = []
    for _ in range(ceil(count / len(pool))):
        again = list(_of_one_speaker(pool, rng))
        rng.shuffle(again)
        same = _distinct(same + again)
    same = same[: round(count / 2)]
    different = _distinct(_matched(chain.from_iterable(same), attrgetter("speaker"), rng))
    number = min(len(same), len(different))
    return rng.sample(same, number) + different[:number]


def _of_one_speaker(pool: Iterable[Spoken], rng: Random) -> Iterator[Pair]:
    """Pairs of one speaker each, an utterance in one of them at most."""
    of_speaker: dict[str, list[Spoken]] = {}
    for one in pool:
        of_speaker.setdefault(one.speaker, []).append(one)
    for mine in of_speaker.values():
        several = len({one.session for one in mine}) > 1
        yield from _matched(mine, attrgetter("session" if several else "path"), rng)


def _matched(some: Iterable[Spoken], key: Callable[[Spoken], Hashable], rng: Random) -> list[Pair]:
    """Pairs of some utterances that differ in a key: as many as there can be.

    Neighbours in a random order are paired; two that do not differ change partners with another pair. Where no pair
    would gain by that, each holds the key in question, and there is no better way to pair them.
    """
    order = list(some)
    rng.shuffle(order)
    if len(order) % 2:  # the one that is left over is of the most frequent key
        frequent, _ = Counter(map(key, order)).most_common(1)[0]
        order.remove(next(one for one in order if key(one) == frequent))
    pairs = [[first, second] for first, second in zip(order[::2], order[1::2], strict=True)]
    for pair in pairs:
        if key(pair[0]) == key(pair[1]):
            begin = rng.randrange(len(pairs))
            for other in chain(pairs[begin:], pairs[:begin]):
                if key(pair[0]) != key(other[1]) and key(other[0]) != key(pair[1]):
                    pair[1], other[1] = other[1], pair[1]
                    break
    return [(first, second) for first, second in pairs if key(first) != key(second)]


def _distinct(pairs: Iterable[Pair]) -> list[Pair]:
    """The pairs without those that are there already, in either order."""
    return list({frozenset(pair): pair for pair in pairs}.values())
