"""Fair timing: the sides take turns in short bursts, and the medians of many bursts are compared.

The speed of a machine that other people use changes. With bursts of a tenth of a second, every side runs under the same
conditions. The order is random in every round, and single disturbed bursts hardly change a median. There is a pause
before each burst, because the threads of a library keep spinning for a while after their work, and would take a core
from the next side.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median, quantiles
from typing import Protocol

import numpy as np

from minikd.typing import Floats

SETTLE = 0.02
"""Seconds of the pause before a burst. The threads of PyTorch's OpenMP spin for some milliseconds."""


class Side(Protocol):
    """One implementation of a work."""

    @property
    def name(self) -> str:
        """The library and its settings: "minikd", "PyTorch, fused Adam"."""
        ...

    def run(self, numbers: range) -> None:
        """Do the work once for each number, which is the number of a batch."""
        ...

    def proof(self) -> Mapping[str, Floats]:
        """Do the work from the start, and return the arrays that must agree between the sides, by name."""
        ...


@dataclass(frozen=True)
class Times:
    """The milliseconds for which a side does its work once, from each burst."""

    bursts: tuple[float, ...]

    @property
    def median(self) -> float:
        """The median of the bursts."""
        return median(self.bursts)

    @property
    def quartiles(self) -> tuple[float, float]:
        """The quartiles: half of the bursts are between them."""
        if len(self.bursts) == 1:
            return self.bursts[0], self.bursts[0]
        low, _, high = quantiles(self.bursts, n=4, method="inclusive")
        return low, high


def race(sides: Sequence[Side], repeats: int, burst: float, rng: np.random.Generator) -> dict[str, Times]:
    """Let every side work in `repeats` bursts of about `burst` seconds, and return the times by name.

    A burst has the same duration for every side, not the same number of batches. All batches are alike.
    """
    counts = {side.name: steps_in(side, burst) for side in sides}
    bursts: dict[str, list[float]] = {side.name: [] for side in sides}
    for repeat in range(repeats):
        for place in rng.permutation(len(sides)):
            side = sides[place]
            count = counts[side.name]
            numbers = range(repeat * count, (repeat + 1) * count)
            time.sleep(SETTLE)
            side.run(numbers[: max(1, count // 4)])  # fills the caches with this side's data
            bursts[side.name].append(1000 * seconds(side, numbers) / count)
    return {name: Times(tuple(found)) for name, found in bursts.items()}


def steps_in(side: Side, burst: float) -> int:
    """Return how often a side does its work in a burst, at least once.

    Its first steps, which prepare, are not counted.
    """
    seconds(side, range(2))
    count = 1
    while (spent := seconds(side, range(count))) < burst / 10:
        count *= 2
    return max(1, round(count * burst / spent))


def seconds(side: Side, numbers: range) -> float:
    """Return the seconds of a side for these batches."""
    start = time.perf_counter()
    side.run(numbers)
    return time.perf_counter() - start
