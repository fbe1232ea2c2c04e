import signal
import sys
import threading

import pytest

from minikd.console import interrupts
from minikd.console.interrupts import SIGNALS, advising, exit_status, say_stopped, stop_requests


@pytest.fixture(autouse=True)
def forget(monkeypatch):
    """The signals of these tests are not those of the process."""
    monkeypatch.setattr(interrupts, "_received", [])


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_is_a_request_and_no_exception(number):
    with stop_requests() as asked:
        assert not asked()
        signal.raise_signal(number)
        assert asked()
        assert asked()
    assert exit_status() == 128 + number


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


def test_an_ignored_sigterm_stays_ignored_and_ctrl_c_does_not(monkeypatch):
    """A shell lets what runs behind it ignore Ctrl-C; nohup lets it ignore SIGHUP."""
    for number in (signal.SIGTERM, signal.SIGINT):
        before = signal.signal(number, signal.SIG_IGN)
        try:
            with stop_requests() as asked:
                signal.raise_signal(number)
                assert asked() == (number == signal.SIGINT)
            assert signal.getsignal(number) == signal.SIG_IGN
        finally:
            signal.signal(number, before)


def stop_amid(texts):
    for text in texts:
        with advising(lambda text=text: text):
            pass
    with advising(lambda: "go on with: this"):
        raise KeyboardInterrupt


def test_how_to_go_on_is_said_once_and_only_for_what_is_under_way(capsys):
    with pytest.raises(KeyboardInterrupt):
        stop_amid(["go on with: that"])
    say_stopped()
    say_stopped()
    assert capsys.readouterr().err == "\ngo on with: this\nminikd: stopped\n\nminikd: stopped\n"


def fail_amid():
    with advising(lambda: "go on with: this"):
        raise ZeroDivisionError


def test_what_failed_is_not_gone_on_with(capsys):
    with pytest.raises(ZeroDivisionError):
        fail_amid()
    say_stopped()
    assert "go on" not in capsys.readouterr().err


def test_without_standard_error_nothing_is_said(monkeypatch):
    for stream in (None, object()):
        monkeypatch.setattr("sys.stderr", stream)
        say_stopped()
        assert sys.stderr is stream  # nothing raised, and nothing put in its place
