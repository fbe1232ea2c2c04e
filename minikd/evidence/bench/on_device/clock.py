"""Timing on a device: the host's time to launch a piece of work, and the device's time to do it."""

import time
from collections.abc import Callable
from statistics import median
from typing import NamedTuple

BURSTS = 5


class Microseconds(NamedTuple):
    """The times of one piece of work: on the host until it is launched, on the device from one piece to the next."""

    host: float
    device: float


class Event(NamedTuple):
    """A framework's functions for timing: mark the device's queue, and read the time between two marks."""

    mark: Callable[[], object]
    milliseconds: Callable[[object, object], float]
    """Waits for the second mark."""


def timed(work: Callable[[], object], count: int, event: Event, before: Callable[[], object]) -> Microseconds:
    """Return the medians of a few bursts of `count` pieces of work; `before` is called before each burst."""
    hosts, devices = [], []
    for _ in range(BURSTS):
        before()
        first = event.mark()
        start = time.perf_counter()
        for _ in range(count):
            work()
        hosts.append(1e6 * (time.perf_counter() - start) / count)
        devices.append(1e3 * event.milliseconds(first, event.mark()) / count)
    return Microseconds(median(hosts), median(devices))
