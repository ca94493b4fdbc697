import random

from wavllm_cli.data.ids import Ids


def ids_of(names, first=1):
    ids = Ids()
    for number, name in enumerate(names, start=first):
        ids.add(name, number)
    return ids


def test_an_id_that_occurs_again_is_named_with_both_rows():
    assert list(ids_of(["a", "ü", "b", "ü", "c", "a", "ü"], first=3).repeated()) == [
        (6, "ü", 4),
        (8, "a", 3),
        (9, "ü", 4),
    ]


def test_rows_keep_their_numbers_where_lines_between_them_are_blank():
    ids = Ids()
    for number in (2, 5, 11):
        ids.add("same", number)
    assert list(ids.repeated()) == [(5, "same", 2), (11, "same", 2)]


def test_nothing_occurs_twice_among_none_one_or_many():
    for count in (0, 1, 1000):
        assert not list(ids_of(f"u{i}" for i in range(count)).repeated())


def test_many_ids_are_compared_as_a_dictionary_would():
    rng = random.Random(0)
    names = [f"clip-{rng.randrange(3000)}" for _ in range(4000)]
    first = {}
    expected = [(n, name, first[name]) for n, name in enumerate(names, 1) if first.setdefault(name, n) != n]
    assert list(ids_of(names).repeated()) == expected


def test_different_ids_of_one_hash_are_no_repetition(monkeypatch):
    monkeypatch.setattr("wavllm_cli.data.ids.hash", lambda id: 7, raising=False)
    assert list(ids_of(["a", "b", "c", "b"]).repeated()) == [(4, "b", 2)]
