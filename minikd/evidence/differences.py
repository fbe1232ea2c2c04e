"""Measures of the difference between two arrays."""

import numpy as np

from minikd.typing import Array, Floats


def largest_difference(found: Array, wanted: Array, floor: float = 0.0) -> float:
    """Return the largest difference of two arrays, relative to the largest element of `wanted`.

    So rounding in an element near zero is measured on the scale of its array. If the largest element is at most
    `floor`, or infinite, the difference is absolute. The difference is infinite if the shapes differ, or if only one of
    the arrays has a NaN or an infinity at some index.
    """
    one, other = np.asarray(found, np.float64), np.asarray(wanted, np.float64)
    if one.shape != other.shape:
        return float("inf")
    if not one.size:
        return 0.0
    with np.errstate(invalid="ignore"):  # inf - inf is NaN
        apart = float(np.max(np.where(one == other, 0.0, np.abs(one - other))))
    scale = float(np.max(np.abs(other)))
    return float("inf") if np.isnan(apart) else apart / scale if floor < scale < float("inf") else apart


def relative_distance(found: Floats, wanted: Floats) -> float:
    """Return the norm of the difference, relative to the larger of both norms; infinite if the shapes differ."""
    if found.shape != wanted.shape:
        return float("inf")
    longest = max(float(np.linalg.norm(found)), float(np.linalg.norm(wanted)), 1e-300)
    return float(np.linalg.norm(found - wanted)) / longest
