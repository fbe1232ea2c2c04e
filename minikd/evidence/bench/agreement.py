"""Checks before any timing that all sides compute the same results."""

from collections.abc import Sequence

from minikd.errors import BenchError
from minikd.evidence.bench.timing import Side
from minikd.evidence.differences import relative_distance

BOUND = 1e-3
"""The largest relative difference of two sides in float32.

Rounding alone gives 1e-6. But if two pixels of a pooling window differ only in the last bit, another order of adding
can make the other one the maximum. For this reason PyTorch's two memory orders differ by 6e-4 in the teacher's
gradient.
"""

DEEP_BOUND = 2e-2
"""The same for a network with batch norm. There one rounding decides about the sign of many values before a ReLU, and
PyTorch's two memory orders differ by 7e-3."""


def check_agreement(work: str, sides: Sequence[Side], bound: float = BOUND) -> float:
    """Return the largest difference of any side from the first. Raises `BenchError` if one exceeds the bound."""
    first, *others = sides
    wanted = first.proof()
    largest = 0.0
    for side in others:
        found = side.proof()
        for what, value in found.items():
            gap = relative_distance(value, wanted[what])
            if not gap <= bound:  # also true for NaN
                raise BenchError(
                    f"{work}: {what} of {side.name} and of {first.name} differ by {gap:.1e} (relative; bound "
                    f"{bound:.0e}), so they do not do the same work and are not timed; please report it with the "
                    "output of minikd info and minikd compare"
                )
            largest = max(largest, gap)
    return largest
