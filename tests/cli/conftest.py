"""One finished run for all tests that only look at it."""

from pathlib import Path

import pytest

from minikd.cli import main
from tests.cli.makers import QUICK, write_data


@pytest.fixture(scope="session")
def data(tmp_path_factory):
    return write_data(tmp_path_factory.mktemp("data") / "squares.npz")


@pytest.fixture(scope="session")
def finished(tmp_path_factory, data) -> Path:
    """The folder of a finished run."""
    runs = tmp_path_factory.mktemp("runs")
    assert main(["distill", "--data", str(data), "--runs", str(runs), "--name", "done", "--quiet", *QUICK]) == 0
    return runs / "done"
