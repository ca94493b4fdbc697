from collections import Counter
from pathlib import Path

import pytest

from wavllm_cli.corpora.pairs import Spoken, balanced


def said(speaker, sessions, gender, each=4):
    return [
        Spoken(Path(f"{speaker}/{session}/{number}.wav"), speaker, f"{speaker}-{session}", gender)
        for session in range(sessions)
        for number in range(each)
    ]


def is_same(pair):
    first, second = pair
    return first.speaker == second.speaker


# Women have fewer utterances than men; one man has said most of what men say.
MANY = [
    *(one for n in range(9) for one in said(f"w{n}", 3, "f")),
    *(one for n in range(12) for one in said(f"m{n}", 2 + n, "m")),
    *said("m12", 10, "m", each=8),
]


@pytest.mark.parametrize("count", [None, 800, 60])
def test_nothing_but_the_voices_tells_which_pairs_are_of_one_speaker(count):
    pairs = balanced(MANY, count, seed=1)
    same, different = ([pair for pair in pairs if is_same(pair) is answer] for answer in (True, False))
    assert len(same) == len(different) and len(pairs) == pytest.approx(count or len(MANY), rel=0.04)
    assert all(first.session != second.session for first, second in same)
    assert all(first.gender == second.gender for first, second in pairs)
    genders = [Counter(first.gender for first, _ in some) for some in (same, different)]
    assert genders[0] == genders[1]
    assert genders[0]["f"] / len(same) == pytest.approx(9 * 12 / len(MANY), abs=0.03)
    heard = Counter(one for pair in pairs for one in pair)
    assert max(heard.values()) - min(heard[one] for one in MANY) <= (3 if count else 2)
    assert len({frozenset(pair) for pair in pairs}) == len(pairs)


def test_an_utterance_is_heard_in_pairs_of_one_as_often_as_in_pairs_of_two():
    even = [one for n in range(4) for one in said(f"w{n}", 3, "f")]
    pairs = balanced(even, None, seed=1)
    answers = {one: sorted(is_same(pair) for pair in pairs if one in pair) for one in even}
    assert set(map(tuple, answers.values())) == {(False, True)}


def test_the_seed_decides_and_not_the_order_of_the_files():
    assert balanced(MANY, 60, 1) == balanced(MANY[::-1], 60, 1) != balanced(MANY, 60, 2)


def test_little_to_choose_from():
    two = said("a", 1, "f", each=2) + said("b", 1, "f", each=2)  # one session each: better than nothing
    for seed in range(9):
        pairs = balanced(two, None, seed)
        assert len(pairs) == 4 and sum(map(is_same, pairs)) == 2 and all(a.path != b.path for a, b in pairs)
    assert balanced(said("a", 3, "f") + said("b", 3, "m"), None, 1) == []  # nobody of one gender to be told apart
    assert balanced(two[:1], 5, 1) == balanced([], None, 1) == []
    odd = said("a", 1, "f", each=4) + said("b", 1, "f", each=3)
    assert {len(balanced(odd, None, seed)) for seed in range(9)} == {4}
