import json
import sys

import numpy as np
import pytest

from minikd.cli import main
from minikd.gradcheck.suite import checks
from tests import border

SMALL = ("gpu-check", "--batch-size", "4", "--steps", "2", "--output")


@pytest.fixture
def on_a_device(backend):
    if backend.name == "numpy":
        pytest.skip("of CuPy alone: pytest --backend cupy")
    with border.closed():
        yield


def test_without_cupy_it_says_how_to_get_it(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "cupy", None)
    with border.closed():
        assert main([*SMALL, str(tmp_path / "found.json")]) == 2
    assert "pip install 'minikd[gpu]'" in capsys.readouterr().err
    assert not (tmp_path / "found.json").exists()


@pytest.mark.parametrize("flag", ["--steps", "--batch-size"])
def test_numbers_that_cannot_be_are_refused(flag, capsys):
    assert main(["gpu-check", flag, "0"]) == 2
    assert f"{flag} is 0, but must be at least 1" in capsys.readouterr().err


def test_everything_is_compared_and_written_to_a_file_to_send(on_a_device, tmp_path, capsys):
    path = tmp_path / "found.json"
    assert main([*SMALL, str(path)]) == 0
    found, printed = json.loads(path.read_text()), capsys.readouterr().out
    suite = {check.name for check in checks(np.random.default_rng(0))}
    assert suite - {case["name"] for case in found["cases"]} == {"log_softmax, T=4"}, "which goes with softmax"
    assert {case["dtype"] for case in found["cases"]} == {"float64", "float32"}
    assert all(case["difference"] <= case["bound"] for case in found["cases"])
    assert any(case["difference"] > 0 for case in found["cases"]), "NumPy was compared with itself"
    for words in (found["device"]["name"], found["device"]["cupy"], "all within bounds", "images/s", str(path)):
        assert words in printed
    costs = {step["name"]: (step["copies_to_device"], step["copies_to_host"]) for step in found["trainings"]}
    assert costs == {
        "teacher": (2, 0),
        "student on labels": (2, 0),
        "student, cached teacher": (3, 0),
        "student, live teacher": (2, 0),
    }
    assert all(step["milliseconds"] > 0 and max(step["difference"].values()) < 1e-4 for step in found["trainings"])


def test_a_device_that_computes_otherwise_is_found(on_a_device, tmp_path, monkeypatch, capsys):
    from minikd import kernels

    real = kernels.relu_backward
    monkeypatch.setattr(kernels, "relu_backward", lambda dy, y: real(dy, y) * 1.001)
    assert main([*SMALL, str(tmp_path / "found.json")]) == 1
    printed = capsys.readouterr().out
    assert "DIFFERS: ReLU, float32: dx by 1.0e-03, bound 1e-04" in printed
    assert "SOME DIFFER" in printed
