"""Who runs the loops: Numba where it is and fits, else NumPy's lines, and it is said; where the code is kept."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.backends.loops.compare import needs_loops

ADAM = """
import numpy as np
from minikd import optim
from minikd.backends import which_loops
optimizer, w = optim.Adam(), np.ones(3, "f")
state = optimizer.init(w)
optimizer.step(w, w.copy(), state, 0.1)
print(which_loops(), np.round(w, 3))
"""


def run(code, **environment):
    """Run a program in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, **environment}, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return done


def test_a_variable_switches_the_loops_off():
    done = run(ADAM, MINIKD_LOOPS="numpy")
    assert done.stdout == "NumPy: asked for by MINIKD_LOOPS=numpy [0.9 0.9 0.9]\n"
    assert not done.stderr


def test_another_value_is_refused():
    done = subprocess.run(
        [sys.executable, "-m", "minikd", "info"],
        env={**os.environ, "MINIKD_LOOPS": "fast"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert "MINIKD_LOOPS is 'fast', but must be compiled or numpy" in done.stderr


def test_a_numba_that_does_not_fit_is_told_of_once_and_numpy_goes_on(tmp_path):
    (tmp_path / "numba.py").write_text("raise ImportError('Numba needs NumPy 2.2 or less')")
    done = run(ADAM, PYTHONPATH=os.pathsep.join([str(tmp_path), *sys.path]))
    assert done.stdout.startswith("NumPy: Numba is installed but does not fit (ImportError: Numba needs NumPy 2.2")
    assert done.stdout.endswith("[0.9 0.9 0.9]\n")
    assert done.stderr.count("does not fit") == 1


def test_importing_minikd_imports_no_numba():
    assert run("import sys, minikd; print('numba' in sys.modules)").stdout == "False\n"


@needs_loops
def test_the_code_is_kept_in_the_users_cache_and_used_again(tmp_path):
    first, second = (run(ADAM, XDG_CACHE_HOME=str(tmp_path)) for _ in range(2))
    assert first.stdout == second.stdout
    assert "compiling loops" in first.stderr
    assert not second.stderr
    kept = list(Path(tmp_path, "minikd", "loops").rglob("*.nbc"))
    assert kept


@needs_loops
@pytest.mark.skipif(os.name == "nt", reason="Windows has no such permissions")
def test_a_cache_that_cannot_be_written_ends_no_run(tmp_path):
    nowhere = tmp_path / "file"
    nowhere.write_text("a file where the cache's folder should be")
    done = run(ADAM, XDG_CACHE_HOME=str(nowhere))
    assert done.stdout.endswith("[0.9 0.9 0.9]\n")


@needs_loops
def test_two_processes_may_compile_at_once(tmp_path):
    code = ADAM.replace('"f"', "sys.argv[1]").replace("import numpy", "import sys, numpy")
    environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path)}
    started = [
        subprocess.Popen([sys.executable, "-c", code, dtype], env=environment, stdout=subprocess.PIPE, text=True)
        for dtype in ("f", "d")
    ]
    assert [one.communicate(timeout=120)[0].endswith("[0.9 0.9 0.9]\n") for one in started] == [True, True]
    for dtype in ("f", "d"):
        done = subprocess.run([sys.executable, "-c", code, dtype], env=environment, capture_output=True, text=True)
        assert done.stdout.endswith("[0.9 0.9 0.9]\n")
