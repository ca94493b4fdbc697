import threading
import time

import pytest

from wavllm_cli.data.parallel import AHEAD, in_order


@pytest.mark.parametrize("workers", [1, 3])
def test_results_come_in_order_and_few_items_ahead_of_their_turn(workers):
    drawn = []

    def items():
        for number in range(200):
            drawn.append(number)
            yield number

    def work(number):
        time.sleep(0.001 * (number % 3 == 0))
        return number**2

    for place, (number, square) in enumerate(in_order(work, items(), workers)):
        assert (number, square) == (place, place**2) and len(drawn) - place <= max(1, AHEAD * workers)
    assert len(drawn) == 200


@pytest.mark.parametrize("workers", [1, 3])
def test_an_error_is_the_callers_and_ends_the_work(workers):
    done = []

    def work(number):
        done.append(number)
        if number == 5:
            raise ValueError("five")

    with pytest.raises(ValueError, match="five"):
        for _ in in_order(work, range(10_000), workers):
            pass
    assert len(done) < 5 + 2 * AHEAD * workers


def test_items_are_worked_on_side_by_side():
    meeting = threading.Barrier(3, timeout=5)
    assert len([*in_order(lambda _: meeting.wait(), range(3), 3)]) == 3
