"""What functions ask of their arguments, whichever they are: floats of one kind, whole numbers, generators.

Numbers come back as Python's own: a NumPy scalar would turn float32 arrays into float64, and no JSON text can hold one.
"""

import math
from operator import index
from typing import SupportsFloat, SupportsIndex

import numpy as np

from minikd.backends import module_of
from minikd.errors import ConfigError, DtypeError
from minikd.typing import FLOATS, Array


def check_float(x: Array, what: str) -> None:
    """Refuse whole numbers, which would wrap around in a sum, and float16, in which small numbers are 0, silently."""
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
    """Refuse what is no generator: a seed, an old RandomState, None."""
    if not isinstance(rng, np.random.Generator):
        raise ConfigError(f"{what} is {rng!r}, but must be a generator, such as np.random.default_rng(0)")


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
