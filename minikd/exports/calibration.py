"""The scale of a layer's activations: a byte stands for 0 to 255 steps of 2^-m, and m is chosen on training images.

A larger m makes the steps finer and the range, 255·2^-m, smaller. Values beyond the range become 255. There are three
rules:

    maximum         the largest m whose range holds every activation seen: nothing is cut, but an outlier costs a bit
    percentile      the largest m whose range holds 99.99 % of them
    squared error   the m with the smallest mean of (h - h')², where h' is the value that the byte represents
"""

import math
from collections.abc import Callable

import numpy as np

from minikd.typing import Floats

LOWEST, HIGHEST = -32, 32
"""The scales that are tried. No network has activations of 2^-40 or 2^40."""

HELD = 99.99
"""The percentage of the activations that are in the range of the rule `percentile`."""


def by_maximum(h: Floats) -> int:
    """Return m from the largest activation."""
    return largest_exponent(float(h.max(initial=0)))


def by_percentile(h: Floats) -> int:
    """Return m from the 99.99th percentile."""
    return largest_exponent(float(np.percentile(h, HELD)) if h.size else 0.0)


def by_squared_error(h: Floats) -> int:
    """Return the m with the smallest mean squared error."""
    first = by_maximum(h)
    tried = range(first, min(first + 5, HIGHEST + 1))  # each larger m halves the range
    return min(tried, key=lambda m: squared_error(h, m))


def squared_error(h: Floats, m: int) -> float:
    """Return the mean of (h - h')² over all activations."""
    kept = np.minimum(np.rint(h * 2.0**m), 255) * 2.0**-m
    return float(np.mean(np.square(h - kept, dtype=np.float64))) if h.size else 0.0


def largest_exponent(top: float) -> int:
    """Return the largest m with top <= 255·2^-m."""
    if top <= 0:
        return 0  # all activations were 0: any scale is right
    return max(LOWEST, min(HIGHEST, math.floor(math.log2(255 / top))))


RULES: dict[str, Callable[[Floats], int]] = {
    "maximum": by_maximum,
    "percentile": by_percentile,
    "squared_error": by_squared_error,
}
