"""The table of `minikd bench --backend cupy`, and in which ways PyTorch is measured; no device is needed for either."""

import pytest

from minikd.evidence.bench.on_device import theirs
from minikd.evidence.bench.on_device.table import markdown, text
from minikd.evidence.bench.works import WORKS, TeacherAndStudent

CARD = {"name": "a card", "compute_capability": "9.0", "memory_gib": 1.0, "driver": "1"}


def row(side, how, microseconds, error=""):
    named = {"work": "student", "title": "distillation", "batch": 1024, "side": side, "how": how}
    return {**named, "host_us": 1.0, "device_us": microseconds, "mib": 2.0, "error": error}


REPORT = {
    **{"device": {**CARD, "driver_cuda": "13.0", "cupy_cuda": "12.9", "cupy": "14.2.0"}, "tf32": True, "torch": "2.0"},
    "rows": [
        *(row("minikd", "eager", 900.0), row("minikd", "graph", 100.0)),
        *(row("PyTorch", "eager", 800.0), row("PyTorch", "graph", 150.0)),
        *(row("PyTorch", "eager, fused Adam", 700.0), row("PyTorch", "graph, fused Adam", 120.0)),
        row("PyTorch", "fused Adam, compiled", 0.0, "RuntimeError: no compiler"),
    ],
}


def test_pytorchs_fastest_way_counts_and_a_failure_is_no_time():
    assert markdown(REPORT)[-1] == "| distillation | 1,024 | 900 | 100 | 700 | 120 | 1.20 |"


def test_the_terminal_names_the_card_the_rounding_and_what_failed(monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    told = text(REPORT)
    assert "distillation, PyTorch fused Adam, compiled: RuntimeError: no compiler" in told
    assert "a card, TF32; PyTorch 2.0" in told


def test_without_pytorch_there_is_no_ratio():
    ours = [one for one in REPORT["rows"] if one["side"] == "minikd"]
    assert markdown(REPORT | {"rows": ours})[-1] == "| distillation | 1,024 | 900 | 100 | – | – | – |"


@pytest.fixture(scope="module")
def problems():
    stage = TeacherAndStudent.of(8, map, 1)
    return {
        work.name: work.problem(stage) for work in WORKS if work.name in ("teacher", "student", "inference-student")
    }


@pytest.mark.parametrize(
    ("name", "compiled", "ways"),
    [
        ("teacher", False, ["", "fused Adam", "channels-last", "channels-last, fused Adam"]),
        ("teacher", True, ["fused Adam, compiled", "channels-last, fused Adam, compiled"]),
        ("student", False, ["", "fused Adam"]),
        ("student", True, ["fused Adam, compiled"]),
        ("inference-student", False, [""]),
        ("inference-student", True, ["compiled"]),
    ],
)
def test_pytorch_is_measured_with_its_defaults_and_in_every_way_that_can_matter(name, compiled, ways, problems):
    found = [one.name.removeprefix("PyTorch").strip(", ") for one in theirs.settings_of(problems[name], compiled)]
    assert found == ways
