import signal
import threading

import pytest

from minikd.interrupts import SIGNALS, stop_requests


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_is_a_request_and_no_exception(number):
    with stop_requests() as asked:
        assert not asked()
        signal.raise_signal(number)
        assert asked()
        assert asked()


def test_a_second_one_stops_at_once():
    with stop_requests():
        signal.raise_signal(signal.SIGTERM)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)


def fail_while_listening(before):
    with stop_requests():
        assert [signal.getsignal(number) for number in SIGNALS] != before
        raise ZeroDivisionError


def test_the_handlers_of_before_are_back_after_an_error_too():
    before = [signal.getsignal(number) for number in SIGNALS]
    with pytest.raises(ZeroDivisionError):
        fail_while_listening(before)
    assert [signal.getsignal(number) for number in SIGNALS] == before


def test_a_request_does_not_last_to_the_next_run():
    with stop_requests():
        signal.raise_signal(signal.SIGINT)
    with stop_requests() as asked:
        assert not asked()


def test_another_thread_cannot_be_asked_and_changes_no_handler():
    found = []

    def run():
        before = signal.getsignal(signal.SIGINT)
        with stop_requests() as asked:
            found.extend([asked(), signal.getsignal(signal.SIGINT) is before])

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert found == [False, True]
