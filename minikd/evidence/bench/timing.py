"""Fair clocks: the sides of a race take turns in short bursts, and the medians of many turns are compared.

A machine that other people use is now fast, now slow. Turns of a tenth of a second put every side through the same
weather, the order is drawn again for every round, and a median does not mind a burst that was disturbed. Before a burst
all is still for a moment: a library's threads go on spinning for a while after their work, and would take a core from
the next side.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median, quantiles
from typing import Protocol

import numpy as np

from minikd.typing import Floats

SETTLE = 0.02
"""Seconds of rest before a burst; the threads of PyTorch's OpenMP spin for some milliseconds."""


class Side(Protocol):
    """One way to do a piece of work."""

    @property
    def name(self) -> str:
        """Who does it, and how: "minikd", "PyTorch, fused Adam"."""
        ...

    def run(self, numbers: range) -> None:
        """Do it once for each number; a number says on which batch."""
        ...

    def proof(self) -> Mapping[str, Floats]:
        """Do it from the start and return what must agree between the sides, by name."""
        ...


@dataclass(frozen=True)
class Times:
    """The milliseconds that a side takes to do its work once, as each of its bursts measured it."""

    bursts: tuple[float, ...]

    @property
    def median(self) -> float:
        """The middle burst."""
        return median(self.bursts)

    @property
    def quartiles(self) -> tuple[float, float]:
        """Half of the bursts lie between these two."""
        if len(self.bursts) == 1:
            return self.bursts[0], self.bursts[0]
        low, _, high = quantiles(self.bursts, n=4, method="inclusive")
        return low, high


def race(sides: Sequence[Side], repeats: int, burst: float, rng: np.random.Generator) -> dict[str, Times]:
    """Let every side do its work in a burst of about so many seconds, `repeats` times, and return the times by name.

    A burst is the same time for every side, and not the same number of batches, which are all alike.
    """
    counts = {side.name: steps_in(side, burst) for side in sides}
    bursts: dict[str, list[float]] = {side.name: [] for side in sides}
    for repeat in range(repeats):
        for place in rng.permutation(len(sides)):
            side = sides[place]
            count = counts[side.name]
            numbers = range(repeat * count, (repeat + 1) * count)
            time.sleep(SETTLE)
            side.run(numbers[: max(1, count // 4)])  # fills the caches with what this side needs
            bursts[side.name].append(1000 * seconds(side, numbers) / count)
    return {name: Times(tuple(found)) for name, found in bursts.items()}


def steps_in(side: Side, burst: float) -> int:
    """Return how often a side does its work in a burst, at least once; its first steps, which prepare, do not count."""
    seconds(side, range(2))
    count = 1
    while (spent := seconds(side, range(count))) < burst / 10:
        count *= 2
    return max(1, round(count * burst / spent))


def seconds(side: Side, numbers: range) -> float:
    """Return how long a side takes for these batches."""
    start = time.perf_counter()
    side.run(numbers)
    return time.perf_counter() - start
