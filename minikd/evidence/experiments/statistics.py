"""Statistics over several seeds: a mean with its interval, and a paired test against a baseline.

    interval: mean ± t(0.975, n - 1) · s/√n, s the standard deviation of the n seeds' values (n - 1 below)

The interval is valid if values are normally distributed over seeds. It covers the chance in training (weights, batches,
held-out images), not the chance in the test images, which all seeds share. McNemar's test counts the images that only
one of two models of a seed gets wrong, and adds these numbers over the seeds. It counts an image once for each seed, so
if seeds misclassify the same images, p is too small. Read both, and trust a difference only if both show it.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from minikd.errors import ConfigError
from minikd.metrics import McNemar, mcnemar_of_counts


@dataclass(frozen=True)
class Interval:
    """A mean over `count` values, and half the width of its 95 % interval, which is None for a single value."""

    mean: float
    half: float | None
    count: int


def interval(values: Sequence[float], level: float = 0.95) -> Interval:
    """Return the mean of the values and its t interval. Raises ConfigError if there are none."""
    count = len(values)
    if count == 0:
        raise ConfigError("there are no values for a mean; every seed of this row failed")
    mean = math.fsum(values) / count
    if count == 1:
        return Interval(mean, None, 1)
    from scipy.stats import t

    deviation = math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (count - 1))
    return Interval(mean, float(t.ppf((1 + level) / 2, count - 1)) * deviation / math.sqrt(count), count)


def mcnemar_summed(pairs: Iterable[tuple[Iterable[int], Iterable[int]]]) -> McNemar:
    """Return McNemar's exact test over the seeds' pairs of (our wrong images, their wrong images)."""
    both = [(set(ours), set(theirs)) for ours, theirs in pairs]
    return mcnemar_of_counts(
        sum(len(ours - theirs) for ours, theirs in both), sum(len(theirs - ours) for ours, theirs in both)
    )
