import pytest

from wavllm_cli.corpora.splits import Names, Shares, drawn, held_out
from wavllm_cli.errors import UsageError

MOST = Shares(90, 5, 5)


def held(sizes, splits):
    return {
        split: sum(sizes[group] for group in splits if splits[group] == split) for split in ("train", "dev", "test")
    }


def test_equal_groups_come_to_the_shares():
    sizes = {f"s{i}": 1.0 for i in range(100)}
    assert held(sizes, drawn(sizes, MOST, 0)) == {"train": 90, "dev": 5, "test": 5}


def test_uneven_groups_come_near_to_the_shares():
    sizes = {f"s{i}": float(1 + i % 17) for i in range(300)}
    part = held(sizes, drawn(sizes, MOST, 3))
    assert part["dev"] / sum(sizes.values()) == pytest.approx(0.05, abs=0.01)
    assert part["test"] / sum(sizes.values()) == pytest.approx(0.05, abs=0.01)


@pytest.mark.parametrize("groups, splits", [(1, {"train"}), (2, {"train", "dev"}), (3, {"train", "dev", "test"})])
def test_few_groups_fill_train_first(groups, splits):
    assert set(drawn(dict.fromkeys(range(groups), 1.0), MOST, 1).values()) == splits


def test_a_split_without_a_share_stays_empty():
    assert set(drawn(dict.fromkeys(range(9), 1.0), Shares(80, 20, 0), 1).values()) == {"train", "dev"}


def test_the_seed_alone_decides_not_the_order():
    sizes = {f"s{i}": 1.0 for i in range(50)}
    assert drawn(sizes, MOST, 7) == drawn(dict(reversed(sizes.items())), MOST, 7)
    assert drawn(sizes, MOST, 7) != drawn(sizes, MOST, 8)


def test_shares_read_what_they_write():
    assert str(Shares.parse("90/5/5")) == "90/5/5"
    for text in ("90/5", "90/5/6", "a/b/c", "110/-5/-5"):
        with pytest.raises(UsageError):
            Shares.parse(text)


def test_names_are_chosen_in_their_order():
    names = Names.parse("dev, train,dev")
    assert names.choose(["train", "dev", "test"], "split") == ["dev", "train"] and str(names) == "dev,train,dev"
    with pytest.raises(UsageError, match=r"no split tset \(did you mean test\?\): there is train, test"):
        Names.parse("tset").choose(["train", "test"], "split")
    with pytest.raises(UsageError, match="single commas"):
        Names.parse("a,,b")


def test_calls_that_share_nobody_are_held_out_first():
    """Pairs who call nobody else beside a crowd in which everybody has called many."""
    calls = {f"alone{i}": (f"x{i}", f"y{i}") for i in range(5)}
    calls |= {f"crowd{i}": (f"s{i % 9}", f"s{(i * 2 + 1) % 9}") for i in range(95)}
    split_of, heard_in = held_out(calls, Shares(96, 2, 2), 0)
    held = [call for call, split in split_of.items() if split != "train"]
    assert len(held) == 4 and all(call.startswith("alone") for call in held) and len(heard_in) == 8
    assert held_out(dict(reversed(calls.items())), Shares(96, 2, 2), 0) == (split_of, heard_in)
    assert held_out(calls, Shares(96, 2, 2), 1)[0] != split_of


def test_a_crowd_is_held_out_of_too():
    calls = {f"c{i:02d}": (f"s{i % 20}", f"s{(i * 7 + i // 20 + 1) % 20}") for i in range(100)}
    split_of, heard_in = held_out(calls, Shares(98, 1, 1), 3)
    assert sorted(split_of.values()).count("dev") == sorted(split_of.values()).count("test") == 1
    for call, split in split_of.items():
        assert split == "train" or {heard_in[speaker] for speaker in calls[call]} == {split}


@pytest.mark.parametrize(
    "calls, splits",
    [
        ({"a": "AB"}, ["train"]),
        ({"a": "AB", "b": "BC", "c": "CD"}, ["train"] * 3),  # what is held out would cost more than it is worth
        ({"a": "AB", "b": "CD"}, ["dev", "train"]),
        ({"a": "AB", "b": "CD", "c": "EF", "d": "EG"}, ["dev", "test", "train", "train"]),
    ],
)
def test_few_calls_are_held_out_only_where_nothing_is_lost(calls, splits):
    assert sorted(held_out(calls, Shares(98, 1, 1), 0)[0].values()) == splits
