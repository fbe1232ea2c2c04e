"""A line of the table: medians, the best configuration, and ratios of medians."""

import pytest

from minikd.evidence.bench.rows import ratio, sized_row, timed_row
from minikd.evidence.bench.timing import Times

pytestmark = pytest.mark.numpy_only("the benchmark times NumPy")

TIMES = {
    "minikd": Times((9.0, 10.0, 500.0)),
    "PyTorch": Times((19.0, 20.0, 20.5)),
    "PyTorch, fused Adam": Times((1.0, 15.0, 16.0)),
    "PyTorch, channels-last": Times((14.0, 18.0, 90.0)),
    "tinynn": Times((70.0, 80.0, 90.0)),
    "matrix products alone": Times((4.0, 5.0, 6.0)),
}
CONFIGURATIONS = ["PyTorch", "PyTorch, fused Adam", "PyTorch, channels-last"]


def test_ratios_are_those_of_medians():
    row = timed_row(TIMES, CONFIGURATIONS, ["tinynn"], "matrix products alone")
    assert (row["minikd_ms"], row["torch_default_ms"], row["torch_best_ms"], row["roofline_ms"]) == (10, 20, 15, 5)
    assert row["ratio_default"] == 2.0
    assert row["ratio_best"] == 1.5
    assert row["ratio_roofline"] == 2.0
    assert row["best"] == "PyTorch, fused Adam"
    assert row["engines_ms"] == {"tinynn": 80.0}
    assert row["spread_ms"]["PyTorch"] == (19.5, 20.25)
    assert row["repeats"] == 3


def test_the_defaults_may_be_the_best():
    times = {**TIMES, "PyTorch": Times((1.0,))}
    row = timed_row(times, CONFIGURATIONS, [], "matrix products alone")
    assert row["best"] == "PyTorch"
    assert row["ratio_best"] == row["ratio_default"] == pytest.approx(0.1)


def test_without_pytorch_there_is_nothing_to_compare_with():
    times = {name: TIMES[name] for name in ("minikd", "matrix products alone")}
    row = timed_row(times, [], [], "matrix products alone")
    assert row["minikd_ms"] == 10
    assert row["ratio_roofline"] == 2.0
    for key in ("torch_default_ms", "torch_best_ms", "best", "ratio_default", "ratio_best"):
        assert row[key] is None


def test_bytes_are_compared_too():
    row = sized_row(2e6, 5e6)
    assert (row["minikd_mb"], row["torch_default_mb"], row["ratio_default"]) == (2, 5, 2.5)
    assert row["minikd_ms"] is None
    assert sized_row(2e6, None)["ratio_default"] is None


def test_nothing_is_divided_by_nothing():
    assert ratio(None, 1.0) is None
    assert ratio(1.0, None) is None
