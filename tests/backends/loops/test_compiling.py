"""What the compiled loops take from Numba's and llvmlite's insides, and what happens where it is not there."""

import io
import subprocess
import sys
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


def test_products_inside_loops_run_on_one_thread_too():
    """Numba calls SciPy's BLAS, which a limit on threads reaches only if it is loaded before."""
    program = (
        "from minikd.training.parallel import workers\n"
        "from threadpoolctl import threadpool_info\n"
        "with workers(1):\n"
        "    before = threadpool_info()\n"
        "    from minikd.backends.host import host_loops; host_loops()\n"
        "    after = threadpool_info()\n"
        "assert len(before) == len(after) > 1, after\n"
        "assert all(one['num_threads'] == 1 for one in after if one['user_api'] == 'blas'), after\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(("kept", "words"), [(True, "this machine, once"), (False, "in every process, as its cache")])
def test_compiling_is_announced_once_also_where_no_code_can_be_kept(kept, words, monkeypatch, tmp_path, capsys):
    from minikd.backends.loops import compiling

    monkeypatch.setattr(compiling, "folder", lambda: tmp_path if kept else None)
    compiling.compile_bar.cache_clear()

    @compiling.kernel
    def double(x):
        return 2 * x

    for number in (np.float64(3), np.float32(3), np.float64(4)):
        assert double(number) == 2 * number
    told = capsys.readouterr().err
    assert told.count("compiling") == 1
    assert words in told
    assert bool(list(tmp_path.rglob("*.nbc"))) == kept


class Screen(io.StringIO):
    """A terminal."""

    def isatty(self):
        return True


def test_a_terminal_shows_a_bar_that_disappears(monkeypatch):
    from minikd.backends.loops.compile_bar import USUAL, CompileBar

    monkeypatch.setattr(sys, "stderr", screen := Screen())
    bar = CompileBar("once")
    bar.begin()
    bar.begin()  # the first loop calls a second one
    bar.end()
    assert "compiling loops, once: 0|" in screen.getvalue()
    assert bar.bar.n == 1
    assert bar.bar.total == USUAL
    bar.end()
    assert screen.getvalue().split("\r")[-2:] == [" " * len(screen.getvalue().split("\r")[-2]), ""]
    bar.begin()
    assert "compiling loops, once: 2|" in screen.getvalue()
    bar.end()
    assert bar.done == 3


def test_a_log_gets_one_line(monkeypatch):
    from minikd.backends.loops.compile_bar import CompileBar

    monkeypatch.setattr(sys, "stderr", log := io.StringIO())
    bar = CompileBar("once")
    for _ in range(3):
        bar.begin()
        bar.end()
    assert log.getvalue() == "compiling loops for this machine, once (up to 20 s) ...\n"
