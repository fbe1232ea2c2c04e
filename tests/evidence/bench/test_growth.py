"""Growth: the line, the distance from it, the memory of a point, and the whole in short."""

import json
from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest

from minikd.evidence.bench import growth
from minikd.evidence.bench.growth import Span, distance_from_line, line, measured, peak
from minikd.evidence.bench.growth_report import growth_figure, text
from minikd.evidence.bench.points import STEPS, SeriesPoint, activations, by_batch, by_images
from minikd.evidence.bench.works import TeacherAndStudent
from minikd.report.figures import png

pytestmark = pytest.mark.numpy_only("the benchmark times NumPy")


def test_a_line_is_found_again():
    assert line([1, 2, 5, 9], [5, 7, 13, 21]) == pytest.approx((2, 3))
    assert distance_from_line([1, 2, 5, 9], [5, 7, 13, 21]) == pytest.approx(0, abs=1e-9)


def test_a_parabola_lies_off_every_line():
    assert distance_from_line([1, 2, 4, 8], [1, 4, 16, 64]) > 0.3


def test_a_line_weighs_points_by_their_own_size():
    """The noise of a measurement is a part of it: the largest point must not outweigh all others."""
    slope, height = line([1, 2, 3, 1000], [2, 4, 6, 2100])
    assert slope == pytest.approx(2.1, rel=0.06)
    assert abs(height) < 0.2


def allocation(megabytes):
    held = np.ones(megabytes * 10**6, np.uint8)

    def work():
        return len(np.concatenate([held, held[: len(held) // 2]]))

    return work


def test_the_peak_is_what_is_held_at_once():
    assert peak(SeriesPoint(1, 1, lambda: allocation(40))) == pytest.approx(100, abs=2)
    assert peak(SeriesPoint(1, 1, lambda: allocation(4))) == pytest.approx(10, abs=1)


def test_a_series_tells_time_by_a_single_work_and_memory(monkeypatch):
    clock = iter(np.arange(0, 1000, 0.5))
    monkeypatch.setattr(growth, "perf_counter", lambda: float(next(clock)))
    points = [SeriesPoint(x, times, partial(allocation, 2 * x)) for x, times in ((1, 4), (2, 2), (4, 1))]
    series = measured("a thing", "things", points, 3)
    assert series["x"] == [1, 2, 4]
    assert series["ms"] == [125.0, 250.0, 500.0]
    assert series["off_line_ms"] == pytest.approx(0, abs=1e-9)
    assert series["mb"] == pytest.approx([5, 10, 20], rel=0.1)


def test_the_teachers_activations_are_those_counted_by_hand():
    first, second, dense = 32 * (784 + 196 + 196), 64 * (196 + 49 + 49), 64 * 49 + 128 + 128 + 10
    assert activations() == 4 * (784 + first + second + dense)


def test_points_do_the_work_that_their_number_says(monkeypatch):
    counted = []
    monkeypatch.setattr(
        "minikd.evidence.bench.ours.step",
        lambda _, index, rate: counted.append(len(index)) or SimpleNamespace(loss=0.0),
    )
    stage = TeacherAndStudent.of(600, map, 1)
    by_images(stage, [300])[0].prepare()()
    assert counted == [128, 128, 44]
    counted.clear()
    point = by_batch(stage, [64])[0]
    point.prepare()()
    assert counted == [64] * (STEPS // 64) == [64] * point.times


@pytest.fixture(scope="module")
def found():
    return growth.growth(Span((64, 128), (2, 4), (16, 32), 1, 0.01), 1, lambda line: None)


def test_the_whole_in_short(found):
    assert set(found["series"]) == {"images", "channels", "batch"}
    for series in found["series"].values():
        assert len(series["x"]) == len(series["ms"]) == len(series["mb"]) == 2
        assert min(series["ms"] + series["mb"]) > 0
    assert found["threads"]["ratio"] == pytest.approx(found["threads"]["one_ms"] / found["threads"]["all_ms"])
    assert found["threads"]["target"] is None  # on one thread there is nothing to win
    json.dumps(found)


def test_the_text_names_each_series_and_its_growth(found, monkeypatch):
    monkeypatch.setenv("COLUMNS", "60")
    assert max(map(len, text(found).splitlines())) <= 60
    monkeypatch.setattr("minikd.console.layout.WIDE", 300)
    monkeypatch.setenv("COLUMNS", "300")
    printed = text(found)
    for part in ("training pass by images", "128 (×2)", "convolution by channels", "training step by batch"):
        assert part in printed
    assert f"{1000 * found['activations_mb']:.0f} kB" in printed


def test_the_figure_has_every_point(found):
    figure = growth_figure(found)
    assert len(figure.axes) == 6
    for ax, series in zip(figure.axes, found["series"].values(), strict=False):
        points = ax.lines[1]
        assert list(points.get_xdata()) == series["x"]
        assert list(points.get_ydata()) == series["ms"]
    assert len(figure.axes[5].lines) == 3  # the batch's activations stand beside its memory
    assert png(figure).startswith(b"\x89PNG")
