"""Splits for corpora that have none: speakers, conversations, talks stay together."""

from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass
from random import Random
from typing import Self, TypeVar

from wavllm_cli.errors import UsageError, did_you_mean

TRAIN, DEV, TEST = "train", "dev", "test"
Group = TypeVar("Group", bound=Hashable)


@dataclass(frozen=True)
class Names:
    """Names of splits, languages or the like that an option asks for."""

    names: tuple[str, ...]

    @classmethod
    def parse(cls, text: str) -> Self:
        """Of `train,dev`.

        Raises:
            UsageError: a name is empty.
        """
        names = tuple(name.strip() for name in text.split(","))
        if not all(names):
            raise UsageError(f"Names are separated by single commas, as in train,dev; not {text!r}.")
        return cls(names)

    def __str__(self) -> str:
        return ",".join(self.names)

    def choose(self, there: Iterable[str], what: str) -> list[str]:
        """The names in their order, each once.

        Args:
            there: the names that can be chosen.
            what: they are, in the singular.

        Raises:
            UsageError: one of them is not there.
        """
        there = list(there)
        for name in self.names:
            if name not in there:
                raise UsageError(f"There is no {what} {name}{did_you_mean(name, there)}: there is {', '.join(there)}.")
        return list(dict.fromkeys(self.names))


@dataclass(frozen=True)
class Shares:
    """Shares of train, dev and test in percent."""

    train: float
    dev: float
    test: float

    @classmethod
    def parse(cls, text: str) -> Self:
        """Of `90/5/5`.

        Raises:
            UsageError: it says something else.
        """
        try:
            train, dev, test = (float(part) for part in text.split("/"))
        except ValueError:
            raise UsageError(f"Shares of train, dev and test look like 90/5/5, not {text!r}.") from None
        if min(train, dev, test) < 0 or round(train + dev + test, 6) != 100:
            raise UsageError(f"The shares {text} of train, dev and test must come to 100.")
        return cls(train, dev, test)

    def __str__(self) -> str:
        return f"{self.train:g}/{self.dev:g}/{self.test:g}"


def drawn(sizes: Mapping[Group, float], shares: Shares, seed: int) -> dict[Group, str]:
    """The split of each group, so that what the splits hold comes near to the shares.

    Args:
        sizes: rows or seconds of each group.
        shares: of the sum of them.
        seed: draws the order; the same groups and seed give the same splits.

    Returns:
        `train`, `dev` or `test` by group. A split whose share is not 0 gets a group as long as there are enough of
        them, train first.
    """
    order = sorted(sizes, key=str)
    Random(f"splits {seed}").shuffle(order)
    wanted = {TEST: shares.test, DEV: shares.dev, TRAIN: shares.train}
    left = {split: share / 100 * sum(sizes.values()) for split, share in wanted.items() if share}
    splits: dict[Group, str] = {}
    for at, group in enumerate(order):
        empty = [split for split in (TRAIN, DEV, TEST) if split in left and split not in splits.values()]
        # The groups that are left just suffice for the splits that have none; else what lacks most takes it.
        candidates = empty if len(order) - at <= len(empty) else left
        splits[group] = max(candidates, key=lambda split: left[split])
        left[splits[group]] -= sizes[group]
    return splits
