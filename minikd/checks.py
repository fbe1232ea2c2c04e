"""Checks of arguments that many functions need: floats of one dtype, whole numbers, generators.

Numbers are returned as Python's numbers. A NumPy scalar would turn float32 arrays into float64, and JSON cannot express
it.
"""

import math
from operator import index
from typing import SupportsFloat, SupportsIndex

import numpy as np

from minikd.backends import module_of
from minikd.errors import ConfigError, DtypeError
from minikd.typing import FLOATS, Array


def check_float(x: Array, what: str) -> None:
    """Refuse whole numbers, because they would wrap around in a sum, and float16, in which small numbers become 0."""
    if x.dtype not in FLOATS:
        raise DtypeError(f"{what} is {x.dtype}, but must be float32 or float64; use x.astype('float32')")


def check_alike(a: Array, b: Array, a_name: str, b_name: str) -> None:
    """Refuse two arrays of different dtypes or array libraries."""
    if module_of(a) is not module_of(b):
        raise DtypeError(
            f"{a_name} is a {module_of(a).__name__} array, but {b_name} is a {module_of(b).__name__} array; "
            "move one of them with backend.put(...)"
        )
    if a.dtype != b.dtype:
        raise DtypeError(
            f"{a_name} is {a.dtype}, but {b_name} is {b.dtype}; use astype({str(a.dtype)!r}) on the latter"
        )


def check_generator(rng: object, what: str) -> None:
    """Refuse anything but a generator, such as a seed, an old RandomState, or None."""
    if not isinstance(rng, np.random.Generator):
        raise ConfigError(f"{what} is {rng!r}, but must be a generator, such as np.random.default_rng(0)")


def whole_number(value: SupportsIndex, what: str, least: int) -> int:
    """Return a whole number, also one of NumPy's, as a Python int.

    Raises ConfigError for anything else, and for less than `least`.
    """
    try:
        found = index(value)
    except TypeError:  # not a whole number
        found = least - 1
    if found < least:
        raise ConfigError(f"{what} is {value!r}, but must be a whole number of at least {least}")
    return found


def number(value: SupportsFloat) -> float:
    """Return a number as a Python float, or NaN for anything else, because NaN is outside all limits."""
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):  # a text, an array, a whole number of 400 digits
        return math.nan
