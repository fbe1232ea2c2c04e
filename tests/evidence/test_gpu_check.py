import json
import sys

import numpy as np
import pytest

from minikd.backends import Backend
from minikd.cli import main
from minikd.evidence.gpu_check import report, steps
from minikd.evidence.gpu_check.device import DeviceTime
from minikd.evidence.gradcheck.suite import checks
from tests import border

DEVICE = Backend("cupy", "")
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
    assert "pip install '.[gpu]'" in capsys.readouterr().err
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
    assert all(step["device_ms"] > 0 and step["host_ms"] > 0 for step in found["trainings"])
    assert all(max(step["difference"].values()) < 1e-4 for step in found["trainings"])


def test_quick_takes_float32_alone(on_a_device, tmp_path, capsys):
    assert main([*SMALL, str(tmp_path / "found.json"), "--quick"]) == 0
    found = json.loads((tmp_path / "found.json").read_text())
    assert {case["dtype"] for case in found["cases"]} == {"float32"}
    assert all(step["difference"].keys() == {"float32"} for step in found["trainings"])
    assert "float64" not in capsys.readouterr().out


def test_what_was_found_is_in_the_file_whatever_comes_after_it(on_a_device, tmp_path, monkeypatch):
    def stopped(device, dtypes):
        raise KeyboardInterrupt
        yield

    monkeypatch.setattr(report, "differences", stopped)
    path = tmp_path / "found.json"
    with pytest.raises(KeyboardInterrupt):
        report.run(DEVICE, path, 4, 1)
    assert [step["name"] for step in json.loads(path.read_text())["trainings"]] == list(steps.KINDS)


def test_a_case_and_a_training_that_fail_are_rows_and_the_others_are_still_run(
    on_a_device, tmp_path, monkeypatch, capsys
):
    def failing(*arguments):
        raise RuntimeError("a kernel is lost")

    from minikd.backends import cuda as kernels

    for name in ("relu_backward", "dense_backward"):
        monkeypatch.setattr(kernels, name, failing)
    assert main([*SMALL, str(tmp_path / "found.json")]) == 1
    found, printed = json.loads((tmp_path / "found.json").read_text()), capsys.readouterr().out
    assert "FAILED: ReLU, float32: RuntimeError: a kernel is lost" in printed
    assert "FAILED: teacher: RuntimeError: a kernel is lost" in printed
    assert sum(case["ok"] for case in found["cases"]) > len(found["cases"]) / 2


@pytest.mark.parametrize("batch_size", [4, 1500])
def test_images_a_second_are_of_the_images_that_a_step_takes(on_a_device, monkeypatch, batch_size):
    taken = []
    monkeypatch.setattr(steps, "spent", lambda work, count: DeviceTime(0.5, 0.25))
    monkeypatch.setattr(steps, "losses", lambda run, count, size: [1.0])
    monkeypatch.setattr(steps, "take", lambda run, step, batch_size: taken.append(batch_size))
    monkeypatch.setattr(steps, "KINDS", ["student on labels"])
    (found,) = steps.trainings(DEVICE, batch_size, 1)
    assert found["images_per_second"] == batch_size / 0.5
    assert set(taken) == {batch_size}


def test_a_device_that_computes_otherwise_is_found(on_a_device, tmp_path, monkeypatch, capsys):
    from minikd.backends import cuda as kernels

    real = kernels.relu_backward
    monkeypatch.setattr(kernels, "relu_backward", lambda dy, y: real(dy, y) * 1.001)
    assert main([*SMALL, str(tmp_path / "found.json")]) == 1
    printed = capsys.readouterr().out
    assert "DIFFERS: ReLU, float32: dx by 1.0e-03, bound 1e-04" in printed
    assert "SOME DIFFER" in printed
