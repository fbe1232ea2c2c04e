"""Single numbers that a caller passes: made Python's own, or refused.

A NumPy scalar would turn float32 arrays into float64, and no JSON text can hold one.
"""

import math
from operator import index
from typing import SupportsFloat, SupportsIndex

from minikd.errors import ConfigError


def whole(value: SupportsIndex, what: str, least: int) -> int:
    """Return a whole number, NumPy's too, as a Python int. Raises ConfigError for anything else and for less."""
    try:
        found = index(value)
    except TypeError:  # no whole number
        found = least - 1
    if found < least:
        raise ConfigError(f"{what} is {value!r}, but must be a whole number of at least {least}")
    return found


def number(value: SupportsFloat) -> float:
    """Return a number as a Python float; NaN for what is no number, since no limit lets that pass."""
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):  # a text, an array, a whole number of 400 digits
        return math.nan
