"""`pytest --backend cupy` runs the suite on CuPy: on a GPU where there is one, else on the stand-in of cupy_on_cpu."""

import ctypes
import os
import sys
from pathlib import Path

if "PYTEST_XDIST_WORKER" in os.environ:  # each core has a worker already; read when NumPy is imported
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
import pytest

from tests import cupy_on_cpu

launched = {"tests": 0, "kernels": 0}

ON_THE_HOST = ("docs/", "report/", "own_data/", "evidence/check_loss/", "data/test_bounds.py")
"""Tests in which nothing meets a device's array: documents, drawings, and NumPy's own numbers."""


def pytest_addoption(parser):
    parser.addoption("--backend", choices=("numpy", "cupy"), default="numpy", help="what the engine's arrays are")


def pytest_configure(config):
    config.addinivalue_line("markers", "numpy_only(reason): skipped under --backend cupy")
    if config.getoption("--backend") == "numpy":
        os.environ["CUDA_VISIBLE_DEVICES"] = ""  # so that "auto" is NumPy, here and in the processes that tests start
    else:
        if not a_driver_answers():
            if not cupy_on_cpu.build.is_built(cupy_on_cpu.build.home()):
                raise pytest.UsageError("there is no GPU; build the stand-in: python tests/cupy_on_cpu/build.py")
            cupy_on_cpu.install()
        from tests import border

        border.open_border()


def a_driver_answers():
    """True where NVIDIA's driver is there and works; a CUDA toolkit brings a library of the same name that does not."""
    try:
        return ctypes.CDLL("libcuda.so.1").cuInit(0) == 0
    except (OSError, AttributeError):
        return False


def pytest_collection_modifyitems(config, items):
    if config.getoption("--backend") == "cupy":
        for item in items:
            if item.path.relative_to(Path(__file__).parent).as_posix().startswith(ON_THE_HOST):
                item.add_marker(pytest.mark.skip(reason="NumPy only: what is tested never meets a device's array"))
            for mark in item.iter_markers("numpy_only"):
                item.add_marker(pytest.mark.skip(reason=f"NumPy only: {mark.args[0]}"))


@pytest.fixture(scope="session")
def backend(request):
    """The backend under test."""
    from minikd.backends import Backend

    return Backend(request.config.getoption("--backend"), "the tests run on it")


@pytest.fixture
def counters(backend):
    """A function that returns the stand-in's counters; skips where nothing counts."""
    if not cupy_on_cpu.installed():
        pytest.skip("only the stand-in device counts copies and launches: pytest --backend cupy")
    return cupy_on_cpu.counters


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item):
    if not cupy_on_cpu.installed():
        return (yield)
    before = cupy_on_cpu.counters()["launches"]
    try:
        return (yield)
    finally:
        kernels = cupy_on_cpu.counters()["launches"] - before
        launched["tests"] += kernels > 0
        launched["kernels"] += kernels


def pytest_report_header(config):
    if config.getoption("--backend") == "cupy":
        where = "the stand-in device, no GPU" if cupy_on_cpu.installed() else "a GPU"
        return f"backend: CuPy {sys.modules['cupy'].__version__} on {where}"
    from minikd.backends import which_loops

    return f"backend: NumPy {np.__version__}; loops: {which_loops()}"


def pytest_terminal_summary(terminalreporter):
    if launched["tests"]:
        checked = len(cupy_on_cpu.compiler.checked)
        nvrtc = f"; NVIDIA's compiler accepted all {checked} different ones that are not CuPy's" if checked else ""
        terminalreporter.write_line(f"{launched['tests']} tests launched {launched['kernels']:,} kernels{nvrtc}")
