"""The script for owners of a GPU, from its start to its end, on the stand-in device at small sizes."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests import cupy_on_cpu

HERE = Path(__file__).parent


@pytest.fixture
def stand_in(backend):
    if backend.name == "numpy" or not cupy_on_cpu.installed():
        pytest.skip("on the stand-in device alone: pytest --backend cupy")


@pytest.fixture
def folder(stand_in, tmp_path):
    out = tmp_path / "out"
    path = os.pathsep.join([str(HERE / "stand_in"), str(HERE.parents[1])])
    environment = os.environ | {"OUT": str(out), "PY": sys.executable, "DRY": "4", "PYTHONPATH": path}
    subprocess.run(["bash", HERE / "run.sh"], env=environment, capture_output=True, text=True)
    again = subprocess.run(
        ["bash", HERE / "run.sh"], env=environment | {"ONLY": "env job"}, capture_output=True, text=True
    )
    assert again.stdout.count("done before") == 2, again.stdout
    return out


def test_every_step_runs_to_its_end_and_the_page_holds_what_was_found(folder):
    page, log = (folder / "summary.md").read_text(), (folder / "run.log").read_text()
    for name in ("env", "device", "check", "bench", "job", "suite"):
        assert f"| {name} | ok |" in page, log[-4000:]
    # Then the lesson stops on the stand-in: a clock that does not wait is right where nothing runs beside the host.
    assert "GPU: every layer, loss and model agrees with NumPy, float32" in " ".join(log.split())

    assert "compute capability" in page
    assert "| float32 | " in page
    assert "| distillation, 784-128-10, cached | 4 |" in page
    assert "| student_distilled | " in page
    assert " passed, 0 failed, " in page


def test_a_step_that_fails_does_not_cost_the_rest(stand_in, tmp_path):
    path = os.pathsep.join([str(HERE / "stand_in"), str(HERE.parents[1])])
    environment = os.environ | {"OUT": str(tmp_path), "PY": "false", "ONLY": "env lesson", "PYTHONPATH": path}
    done = subprocess.run(["bash", HERE / "run.sh"], env=environment, capture_output=True, text=True)
    assert done.stdout.count("failed (1)") == 2


def test_steps_for_which_no_time_is_left_are_noted_and_not_started(stand_in, tmp_path):
    environment = os.environ | {"OUT": str(tmp_path), "PY": "false", "ONLY": "env lesson", "BUDGET": "0"}
    done = subprocess.run(["bash", HERE / "run.sh"], env=environment, capture_output=True, text=True)
    assert done.stdout.count("no time left") == (tmp_path / "findings.jsonl").read_text().count("no time left") == 2
    assert not list((tmp_path / "done").iterdir())
