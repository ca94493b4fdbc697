"""Splits for corpora that have none: speakers, conversations, talks stay together."""

from collections import Counter
from collections.abc import Collection, Hashable, Iterable, Mapping
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


FEW_HELD_OUT = Shares(98, 1, 1)  # for corpora of hundreds of hours


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


def held_out(calls: Mapping[str, Collection[str]], shares: Shares, seed: int) -> tuple[dict[str, str], dict[str, str]]:
    """Splits of conversations whose speakers take part in several, so that no speaker is in two splits.

    Held out are the calls whose speakers make the fewest others, since what these speakers say elsewhere is lost to
    training. A split whose share is less than a call gets one only where nothing is lost by it, train first.

    Args:
        calls: the speakers of each call.
        shares: of the number of calls.
        seed: decides among calls that cost the same.

    Returns:
        the split of each call; and that of each speaker who is heard in dev or test, whose part in the calls of any
        other split is to be left out.
    """
    made = Counter(speaker for speakers in calls.values() for speaker in set(speakers))
    lost = {call: sum(made[speaker] - 1 for speaker in set(speakers)) for call, speakers in calls.items()}
    order = sorted(calls)
    Random(f"calls {seed}").shuffle(order)
    order.sort(key=lost.__getitem__)
    split_of: dict[str, str] = {}
    heard_in: dict[str, str] = {}
    for split, share in ((DEV, shares.dev), (TEST, shares.test)):
        wanted, taken = round(share / 100 * len(calls)), 0
        for call in order:
            if not share or taken >= max(1, wanted) or len(calls) - len(split_of) <= 1:
                break
            is_free = call not in split_of and heard_in.keys().isdisjoint(calls[call])
            if is_free and (taken < wanted or not lost[call]):
                split_of[call], taken = split, taken + 1
                heard_in |= dict.fromkeys(calls[call], split)
    return {call: split_of.get(call, TRAIN) for call in calls}, heard_in
