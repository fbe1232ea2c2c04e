"""Chooses what computes on NumPy's arrays: loops that Numba compiles, if the extra `fast` is installed, else NumPy.

The NumPy code is the reference. The loops compute the same in fewer passes, and the last bits may be rounded
differently. The environment variable MINIKD_LOOPS=numpy switches the loops off.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType

from minikd.console.notices import notice
from minikd.errors import ConfigError, how_to_install

VARIABLE, CHOICES = "MINIKD_LOOPS", ("compiled", "numpy")

_alone = 0
"""How many `numpy_alone` blocks are open.

It is one number for the whole process, because worker threads must see it too.
"""


def host_loops() -> ModuleType | None:
    """Return the compiled loops, `minikd.backends.loops`, or None if NumPy does all the work."""
    return None if _alone else _loops()


@contextmanager
def numpy_alone() -> Iterator[None]:
    """Inside the `with` block, NumPy does all the work of this process, so that the two can be compared."""
    global _alone
    _alone += 1
    try:
        yield
    finally:
        _alone -= 1


def which_loops() -> str:
    """Return what runs the loops, in a few words: "compiled by Numba 0.61.0", or "NumPy: " and the reason."""
    if _loops() is not None and not _alone:
        return f"compiled by Numba {import_module('numba').__version__}"
    return f"NumPy: {_reason_without_loops() or 'asked for by this program'}"


@cache
def _loops() -> ModuleType | None:
    """Import the loops once. If Numba is installed but does not fit, say so."""
    if _reason_without_loops() is None:
        return import_module("minikd.backends.loops")
    if _numba_problem() is not None:
        notice(f"NumPy is used instead of compiled loops: {_reason_without_loops()}")
    return None


@cache
def _reason_without_loops() -> str | None:
    """Return why the loops are not used, or None if they are used."""
    wanted = os.environ.get(VARIABLE, "compiled")
    if wanted not in CHOICES:
        raise ConfigError(f"the environment variable {VARIABLE} is {wanted!r}, but must be {' or '.join(CHOICES)}")
    if wanted == "numpy":
        return f"asked for by {VARIABLE}=numpy"
    if find_spec("numba") is None:
        return f"Numba is not installed; {how_to_install('fast')} makes training faster"
    return _numba_problem()


@cache
def _numba_problem() -> str | None:
    """Return why the installed Numba cannot be used, or None if it can, or if Numba is not installed."""
    if os.environ.get(VARIABLE) == "numpy" or find_spec("numba") is None:
        return None
    try:
        import_module("scipy.linalg.cython_blas")  # before threads are limited: np.dot in a loop uses its BLAS
        import_module("numba")
    except Exception as error:  # built for another NumPy, or a library of LLVM is missing
        return f"Numba is installed but does not fit ({type(error).__name__}: {error}); pip install -U numba"
    return None
