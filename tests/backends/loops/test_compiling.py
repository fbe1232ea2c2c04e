"""What the compiled loops take from Numba's and llvmlite's insides, and what happens where it is not there."""

from types import SimpleNamespace

import numpy as np
import pytest

from tests.backends.loops.compare import needs_loops

pytestmark = [needs_loops, pytest.mark.numpy_only("the loops are for NumPy's arrays")]

WIDE = '"prefer-vector-width"="512"'


@pytest.mark.parametrize(
    "builder",
    [
        SimpleNamespace(),
        SimpleNamespace(function=None),
        SimpleNamespace(function=SimpleNamespace()),
        SimpleNamespace(function=SimpleNamespace(attributes=["noinline"])),
    ],
)
def test_a_builder_of_another_llvmlite_is_left_as_it_is(builder):
    from minikd.backends.loops.compiling import prefer_wide

    before = repr(builder)
    prefer_wide(builder)
    assert repr(builder) == before


def test_wide_registers_are_asked_for_and_a_kernel_compiles_without_them(monkeypatch):
    import numba

    from minikd.backends.loops import compiling

    def compiled():
        """Return a freshly compiled kernel, and its code for LLVM."""

        @numba.njit
        def double(x):
            compiling.wide()
            return 2 * x

        assert double(np.float64(3)) == 6
        return next(iter(double.inspect_llvm().values()))

    assert WIDE in compiled()
    real = compiling.prefer_wide
    monkeypatch.setattr(compiling, "prefer_wide", lambda builder: real(SimpleNamespace()))
    assert WIDE not in compiled()
