"""A run and an experiment that are killed, and then go on, end with the bits of undisturbed ones.

MINIKD_ALL_KILLS=1 tries every point and many random moments, which takes half an hour; otherwise a few are tried.
"""

import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.makers import QUICK, write_data

EVERY = os.environ.get("MINIKD_ALL_KILLS") == "1"

ROOT = Path(__file__).parents[1]

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="the tries are forks"),
    pytest.mark.numpy_only("killed processes run on NumPy"),
]


@pytest.mark.parametrize("kind", ["distill", "experiment"])
def test_killed_before_and_after_each_call_that_changes_the_disk(kind, tmp_path):
    command = [sys.executable, "-m", "tests.killing", kind, str(tmp_path), "1" if EVERY else "0.05"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout.splitlines()[-1]) >= 8


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_data(tmp_path_factory.mktemp("data") / "squares.npz")


@pytest.fixture(scope="module")
def whole(tmp_path_factory, data):
    runs = tmp_path_factory.mktemp("whole")
    assert subprocess.run(command_of(data, runs), cwd=ROOT, stdout=subprocess.DEVNULL).returncode == 0
    return weights(runs / "x")


def command_of(data, runs):
    """`minikd distill` of a run of a second or two, begun, or gone on with where it has begun."""
    begin = ["--data", str(data), "--runs", str(runs), "--name", "x", *QUICK, "--teacher-epochs", "40"]
    flags = ["--resume", str(runs / "x")] if (runs / "x").exists() else begin
    return [sys.executable, "-m", "minikd", "distill", "--quiet", "--json", *flags]


def weights(run):
    return {path.name: path.read_bytes() for path in run.glob("*.safetensors")}


@pytest.mark.parametrize("seed", range(40 if EVERY else 2))
def test_killed_at_random_moments(seed, whole, data, tmp_path):
    """Each process is killed after a time of its own, until one comes to its end."""
    chance, status, kills = random.Random(seed), None, 0
    while status != 0:
        process = subprocess.Popen(command_of(data, tmp_path), cwd=ROOT, stdout=subprocess.DEVNULL)
        try:
            status = process.wait(timeout=chance.uniform(0.3, 3) if kills < 3 else 60)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            status, kills = process.wait(), kills + 1
        assert status in (0, -signal.SIGKILL)
    assert kills
    assert weights(tmp_path / "x") == whole
    assert not list(tmp_path.rglob(".*.tmp"))
