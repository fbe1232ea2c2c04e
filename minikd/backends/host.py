"""What works on NumPy's arrays: loops compiled by Numba where the extra `fast` is installed, else NumPy's own lines.

NumPy's lines are the reference. The loops do the same in fewer passes and may round otherwise in the last bits. The
environment variable MINIKD_LOOPS=numpy switches them off.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType

from minikd.console.notices import notice
from minikd.errors import ConfigError

VARIABLE, CHOICES = "MINIKD_LOOPS", ("compiled", "numpy")

_alone = 0
"""How many `numpy_alone` are open. A number of the process, and no context's: worker threads must see it too."""


def host_loops() -> ModuleType | None:
    """Return the compiled loops, `minikd.backends.loops`, or None where NumPy works alone."""
    return None if _alone else _loops()


@contextmanager
def numpy_alone() -> Iterator[None]:
    """Have NumPy's lines do all the work of this process until the end: for comparing the two."""
    global _alone
    _alone += 1
    try:
        yield
    finally:
        _alone -= 1


def which_loops() -> str:
    """Return who runs the loops, in a few words: "compiled by Numba 0.61.0", or "NumPy: " and why."""
    if _loops() is not None and not _alone:
        return f"compiled by Numba {import_module('numba').__version__}"
    return f"NumPy: {_obstacle() or 'asked for by this program'}"


@cache
def _loops() -> ModuleType | None:
    """Import the loops once. Says so where Numba is there and does not fit."""
    if _obstacle() is None:
        return import_module("minikd.backends.loops")
    if _unfit() is not None:
        notice(f"NumPy is used instead of compiled loops: {_obstacle()}")
    return None


@cache
def _obstacle() -> str | None:
    """Say why the loops are not used; None where they are."""
    wanted = os.environ.get(VARIABLE, "compiled")
    if wanted not in CHOICES:
        raise ConfigError(f"the environment variable {VARIABLE} is {wanted!r}, but must be {' or '.join(CHOICES)}")
    if wanted == "numpy":
        return f"asked for by {VARIABLE}=numpy"
    if find_spec("numba") is None:
        return "Numba is not installed; pip install 'minikd[fast]' makes training faster"
    return _unfit()


@cache
def _unfit() -> str | None:
    """Say why a Numba that is installed cannot be used; None where it can, or is not there."""
    if os.environ.get(VARIABLE) == "numpy" or find_spec("numba") is None:
        return None
    try:
        import_module("scipy.linalg.cython_blas")  # before threads are limited: np.dot in a loop uses its BLAS
        import_module("numba")
    except Exception as error:  # another NumPy than it is built for, a missing library of LLVM's
        return f"Numba is installed but does not fit ({type(error).__name__}: {error}); pip install -U numba"
    return None
