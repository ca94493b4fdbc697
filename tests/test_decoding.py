"""Decoding options: what reaches `generate`, what is refused."""

import pytest

from wavllm_cli.errors import UsageError
from wavllm_cli.systems.decoding import Decoding


def test_options_that_are_not_given_are_the_models():
    assert Decoding().options() == {}
    assert Decoding(max_new_tokens=5, num_beams=2).options() == {"max_new_tokens": 5, "num_beams": 2}
    assert Decoding(temperature=0.5).options() == {"do_sample": True, "temperature": 0.5, "top_k": 0}
    assert Decoding(temperature=0).options()["do_sample"] is False


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"temperature": 1e-300}, "temperature cannot be 1e-300: it must be 0, which is greedy, or lie between 0.01"),
        ({"temperature": float("nan")}, "temperature cannot be nan"),
        ({"temperature": float("inf")}, "temperature cannot be inf"),
        ({"temperature": -1.0}, "temperature cannot be -1"),
        ({"num_beams": 10**6}, "1,000,000 beams are too many: 64 is the limit"),
        ({"max_new_tokens": 10**20}, "100,000,000,000,000,000,000 new tokens are too many: 131,072 is the limit"),
    ],
)
def test_options_with_which_nothing_can_be_decoded(options, message):
    with pytest.raises(UsageError, match=message):
        Decoding(**options)
