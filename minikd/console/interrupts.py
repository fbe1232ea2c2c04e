"""Ctrl-C, SIGTERM and a closed terminal's SIGHUP: what they do while a model trains, and to the command as a whole."""

import atexit
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType

SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))
"""The signals that ask for a stop. Windows has no SIGHUP."""

Handler = Callable[[int, FrameType | None], object]

_received: list[int] = []
"""The signals of this process that have asked for a stop."""
_advice: list[Callable[[], str]] = []
"""Functions that return how to continue the running command after a stop."""


@contextmanager
def stop_requests() -> Iterator[Callable[[], bool]]:
    """Yield a function that returns True after a request to stop, so that no incomplete step is saved.

    A second signal stops at once, by KeyboardInterrupt. Only a program's main thread can receive signals. In other
    threads, the function always returns False.
    """
    asked = threading.Event()
    _received.clear()

    def on_signal(number: int, frame: FrameType | None) -> None:
        _received.append(number)
        if asked.is_set():
            raise KeyboardInterrupt
        asked.set()

    before = handle(on_signal)
    try:
        yield asked.is_set
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def stop_by_exception() -> None:
    """Let the first signal of this process end the command by KeyboardInterrupt, and the second one at once.

    No traceback is shown, even if an interrupted import or a library's clean-up turns that exception into another.
    """
    hook = sys.unraisablehook

    def on_signal(number: int, frame: FrameType | None) -> None:
        _received.append(number)
        if len(_received) > 1:
            leave()
        raise KeyboardInterrupt

    def unraisable(lost: "sys.UnraisableHookArgs") -> None:
        if not _received:
            hook(lost)
        elif issubclass(lost.exc_type, KeyboardInterrupt):  # Python cannot pass it on from there
            leave()

    sys.unraisablehook = unraisable
    handle(on_signal)


def stop_at_once() -> None:
    """Let every signal from now on end this process at once, because only Python's clean-up is left."""

    def on_signal(number: int, frame: FrameType | None) -> None:
        _received.append(number)
        leave()

    handle(on_signal)


def handle(handler: Handler) -> dict[int, Handler | int | None]:
    """Set a handler for the signals, and return the earlier handlers. Outside the main thread, do nothing.

    A signal that is ignored stays ignored, such as SIGHUP under nohup. SIGINT is the exception, because a shell lets
    background processes ignore it.
    """
    if threading.current_thread() is not threading.main_thread():
        return {}
    return {
        number: signal.signal(number, handler)
        for number in SIGNALS
        if number == signal.SIGINT or signal.getsignal(number) != signal.SIG_IGN
    }


@contextmanager
def advising(how: Callable[[], str]) -> Iterator[None]:
    """If the command is stopped in this block, print the result of `how`: how to continue, or "" for nothing."""
    _advice[:] = [how]
    try:
        yield
    except Exception:
        _advice.clear()
        raise
    else:
        _advice.clear()


def exit_status() -> int:
    """Return 128 plus the number of the first signal, as shells do: 130 for Ctrl-C."""
    return 128 + (_received[0] if _received else signal.SIGINT)


def asked_to_stop() -> bool:
    """True once a signal has asked this process for a stop."""
    return bool(_received)


def say_stopped() -> None:
    """Print on standard error that the command was stopped, and how to continue. A closed terminal is no error."""
    lines = [text for how in _advice if (text := how())]
    _advice.clear()
    with suppress(OSError, ValueError, AttributeError, RuntimeError):  # RuntimeError: during another print
        print("", *lines, "minikd: stopped", sep="\n", file=sys.stderr, flush=True)


@contextmanager
def children_ignore_ctrl_c() -> Iterator[None]:
    """Let processes that start in this block ignore Ctrl-C, which a terminal also sends to them.

    They end with this process. One that receives Ctrl-C during its imports would print a traceback. Windows has no
    such mask.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    from multiprocessing import resource_tracker

    resource_tracker.ensure_running()  # if it started later, it would end the mask
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)  # signals that were held back come now


def kill_children() -> None:
    """Kill the processes that multiprocessing has started. Otherwise it would wait for them forever."""
    if "multiprocessing" in sys.modules:
        from multiprocessing import active_children

        for child in active_children():
            if child.pid:
                with suppress(OSError):
                    os.kill(child.pid, getattr(signal, "SIGKILL", signal.SIGTERM))


def leave() -> None:
    """End this process at once. Each file that it was writing is complete or missing, as after every end."""
    say_stopped()
    os._exit(exit_status())


def end_stopped() -> None:
    """End this process with its status, after the clean-up of the libraries.

    On the usual way out, Python would end by SIGINT itself if the exception came from code that it compiled from a
    text.
    """
    kill_children()
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError, AttributeError):
            stream.flush()
    os._exit(exit_status())
