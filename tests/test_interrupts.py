import signal
import threading

import pytest

from wavllm_cli.data.interrupts import interrupts_deferred


def test_an_interrupt_waits_for_the_end_of_the_context():
    steps = []
    with pytest.raises(KeyboardInterrupt), interrupts_deferred() as deferred:
        signal.raise_signal(signal.SIGINT)
        steps.append(list(deferred.arrived))
    assert steps == [[signal.SIGINT]]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_it_is_not_lost_beside_an_error():
    with pytest.raises(KeyboardInterrupt), interrupts_deferred():
        signal.raise_signal(signal.SIGINT)
        raise ValueError


def test_other_threads_leave_signals_alone():
    seen = []

    def work():
        with interrupts_deferred():
            seen.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [signal.default_int_handler]
