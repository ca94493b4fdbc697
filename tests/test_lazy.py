"""A sequence that makes its items is like a list of them."""

import pytest

from wavllm_cli.data.lazy import Lazy


class Squares(Lazy[int]):
    def __len__(self):
        return 5

    def _made(self, index):
        return index * index


def test_it_is_indexed_and_cut_like_a_list():
    squares, same = Squares(), [0, 1, 4, 9, 16]
    assert list(squares) == same
    assert [squares[i] for i in range(-5, 5)] == [same[i] for i in range(-5, 5)]
    for cut in (slice(None), slice(1, 3), slice(-2, None), slice(None, None, -2), slice(9, 12)):
        assert squares[cut] == same[cut]


@pytest.mark.parametrize("place", [5, -6])
def test_there_is_nothing_beyond_its_end(place):
    with pytest.raises(IndexError):
        Squares()[place]
