"""Each compiled loop beside NumPy's lines: the same call, with the loops and without."""

import numpy as np
import pytest

from minikd.backends.host import host_loops, numpy_alone, which_loops

needs_loops = pytest.mark.skipif(host_loops() is None, reason=f"needs the extra `fast`: {which_loops()}")
TOLERANCE = {np.dtype("float32"): 2e-6, np.dtype("float64"): 4e-15}
DTYPES = ("float32", "float64")


def both(function, *arguments, **named):
    """Return what the function answers with the compiled loops, and with NumPy's lines alone."""
    with np.errstate(all="ignore"):
        found = function(*arguments, **named)
        with numpy_alone():
            return found, function(*arguments, **named)


def assert_close(found, wanted, scale=1.0):
    """Demand the same shapes, dtypes, NaN and infinities, and values that differ by rounding alone."""
    if isinstance(wanted, tuple | list):
        assert len(found) == len(wanted)
        for one, other in zip(found, wanted, strict=True):
            assert_close(one, other, scale)
    elif isinstance(wanted, np.ndarray | np.generic):
        assert found.shape == wanted.shape
        assert found.dtype == wanted.dtype
        bound = scale * TOLERANCE[wanted.dtype] if wanted.dtype.kind == "f" else 0
        finite = np.abs(wanted[np.isfinite(wanted)])
        largest = finite.max() if finite.size else 0.0
        np.testing.assert_allclose(found, wanted, rtol=bound, atol=bound * max(1.0, largest))
