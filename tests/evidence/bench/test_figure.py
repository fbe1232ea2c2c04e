"""The figure of ratios: every bar, its length, its label."""

import pytest

from minikd.evidence.bench.figure import BARS, ratio_figure, shown
from minikd.report.figures import png
from tests.evidence.bench import sample

pytestmark = pytest.mark.numpy_only("the benchmark times NumPy")


def test_every_work_has_its_bars():
    (ax,) = ratio_figure(sample.report()).axes
    assert [label.get_text().split("\n")[0] for label in ax.get_yticklabels()] == [
        "training step, teacher",
        "inference, student, one image",
        "peak memory of that job",
    ]
    ends = sorted(round(bar.get_x() + bar.get_width(), 3) for bar in ax.patches)
    assert ends == [0.4, 0.4, 0.8, 0.8, 1.9, 1.9, 2.99]  # the products alone take 1 / 2.5 of minikd's time


def test_bars_start_at_minikds_own_time():
    (ax,) = ratio_figure(sample.report()).axes
    assert all(bar.get_x() == 1 or bar.get_x() + bar.get_width() == 1 for bar in ax.patches)


def test_bars_differ_without_colour():
    hatches = {hatch for _, _, hatch in BARS.values()}
    assert len(hatches) == len(BARS)


def test_without_pytorch_the_products_are_left():
    (ax,) = ratio_figure(sample.without_torch()).axes
    assert len(ax.patches) == 2
    assert set(shown(sample.without_torch()["rows"][0])) == {"roofline"}


def test_a_number_does_not_lie_under_its_target():
    report = sample.report()
    report["rows"] = [{**sample.STEP, "ratio_default": 1.6, "ratio_best": 0.9, "target_best": 1.0}]
    (ax,) = ratio_figure(report).axes
    places = {text.get_text().strip(): text.get_position()[0] for text in ax.texts}
    assert places["1.60"] == 1.7  # beside the mark
    assert places["0.90"] == 0.9


def test_it_is_drawn():
    assert png(ratio_figure(sample.report())).startswith(b"\x89PNG")
