"""What a stranger reads on the terminal."""

import pytest

from minikd.evidence.bench.table import INSTALL, megabytes, milliseconds, percent, ratio_and_target, spread, text
from tests.evidence.bench import sample

pytestmark = pytest.mark.numpy_only("the benchmark times NumPy")


@pytest.fixture(autouse=True)
def wide(monkeypatch):
    """A terminal in which no table stands in parts."""
    monkeypatch.setattr("minikd.console.layout.WIDE", 300)
    monkeypatch.setenv("COLUMNS", "300")


def lines_with(words, report):
    return [line for line in text(report).splitlines() if words in line]


def test_each_work_has_its_times_and_its_ratios_with_their_targets():
    times, ratios = lines_with("training step, teacher", sample.report())
    for part in ("20.0 ms", "38.0 ms", "16.0 ms", "8.00 ms", "1.30 s", "±5 %"):
        assert part in times
    for part in ("1.90 (≥ 1.7) ok", "0.80 (≥ 1) –", "2.50 (≤ 2) –", "channels-last, fused Adam"):
        assert part in ratios


def test_memory_has_its_own_unit():
    amounts, ratios = lines_with("peak memory", sample.report())
    assert "157 MB" in amounts
    assert "470 MB" in amounts
    assert "2.99 (≥ 2.5) ok" in ratios


def test_the_machine_is_named_and_what_engines_lack():
    printed = text(sample.report())
    for part in ("A processor, 2 cores", "2 threads", "numpy: openblas 0.3 Haswell", "sklearn: no convolution"):
        assert part in printed
    assert INSTALL not in printed


def test_variables_that_are_set_are_told():
    report = sample.report()
    report["machine"]["environment"] = {"OMP_NUM_THREADS": "1"}
    assert "OMP_NUM_THREADS=1" in text(report)


def test_without_pytorch_the_fix_is_visible():
    printed = text(sample.without_torch())
    assert INSTALL in printed
    assert "pip install '.[bench]'" in printed
    times, ratios = lines_with("training step, teacher", sample.without_torch())
    assert "20.0 ms" in times
    assert times.count("–") >= 2
    assert "2.50 (≤ 2) –" in ratios


def test_a_busy_machine_is_told_with_the_works_to_repeat():
    report = sample.report()
    assert "busy" not in text(report)
    report["rows"][0] = {**sample.STEP, "spread_ms": {**sample.STEP["spread_ms"], "PyTorch": (38.0, 48.0)}}
    assert "--only teacher --repeats 50" in text(report)
    report["rows"][0]["spread_ms"] = {"tinynn": (1000.0, 2000.0)}  # no ratio depends on it
    assert "busy" not in text(report)


@pytest.mark.parametrize("width", [60, 80])
def test_the_table_fits_a_terminal(width, monkeypatch):
    monkeypatch.setenv("COLUMNS", str(width))
    assert max(map(len, text(sample.report()).splitlines())) <= width


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0.0173, "17.3 µs"), (0.9994, "999 µs"), (0.9996, "1.00 ms"), (18.24, "18.2 ms"), (999.6, "1.00 s")],
)
def test_times_have_three_digits_and_a_unit(value, shown):
    assert milliseconds(value) == shown


def test_what_is_not_there_is_a_dash():
    assert milliseconds(None) == megabytes(None) == ratio_and_target(None, 1.0) == "–"
    assert ratio_and_target(1.234, None) == "1.23"
    assert spread({**sample.STEP, "repeats": 1}) is None
    assert percent(None) == "–"


def test_a_target_is_reached_at_itself():
    assert ratio_and_target(1.7, 1.7).endswith("ok")
    assert ratio_and_target(2.0, 2.0, at_most=True).endswith("ok")
    assert not ratio_and_target(2.01, 2.0, at_most=True).endswith("ok")
