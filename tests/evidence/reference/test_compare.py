"""Every comparison with PyTorch holds; a planted error does not; and the table says so."""

import numpy as np
import pytest

from minikd import nn
from minikd.backends.host import numpy_alone
from minikd.evidence import reference
from minikd.evidence.reference import Comparison, compare_all, layers, losses, optimizers, table
from minikd.evidence.reference.rows import DTYPES, compare, difference
from minikd.nn import conv, linear, normalization


@pytest.fixture(scope="module")
def torch():
    return pytest.importorskip("torch", reason="PyTorch is not installed: pip install '.[torch]'")


@pytest.fixture(scope="module")
def rows(torch):
    return compare_all(np.random.default_rng(0))


def names_that_fail(rows):
    return {row.name for row in rows if not row.ok}


def test_every_row_is_within_its_bound(rows):
    assert not names_that_fail(rows), table(rows)


def test_float64_is_tight_everywhere(rows):
    assert {row.bound for row in rows if row.dtype == "float64"} == {1e-10}


def test_every_layer_is_compared_forward_and_backward():
    cases = layers.cases(np.random.default_rng(0))
    inside = [layer for case in cases for layer in getattr(case.layer, "layers", [])]
    compared = {type(layer).__name__ for layer in [*(case.layer for case in cases), *inside]}
    containers_and_types = {"Grads", "Layer"}
    assert compared >= set(nn.__all__) - containers_and_types


def test_rows_cover_inputs_parameters_and_running_statistics(rows):
    for dtype in DTYPES:
        found = {row.what for row in rows if row.name == "BatchNorm2d, training" and row.dtype == dtype}
        statistics = {"0.running_mean", "0.running_var", "0.num_batches_tracked"}
        assert found == {"output", "dx", "d0.weight", "d0.bias"} | statistics
        assert {row.what for row in rows if row.name == "20 steps of the student" and row.dtype == dtype} >= {"losses"}


def scaled(function, place=None, factor=1 + 1e-5):
    """The same function with its result, or one part of it, a little wrong."""

    def wrong(*arguments, **options):
        result = function(*arguments, **options)
        if place is None:
            return result * factor
        return (*result[:place], result[place] * factor, *result[place + 1 :])

    return wrong


def layer_rows():
    return layers.layer_rows(np.random.default_rng(0))


def loss_rows():
    return losses.loss_rows(np.random.default_rng(0))


@pytest.mark.parametrize(
    ("module", "function", "place", "rows_of", "where", "what"),
    [
        (linear, "linear_backward", 0, layer_rows, "Linear", {"dx"}),
        (linear, "linear_backward", 1, layer_rows, "Linear", {"d0.weight"}),
        (linear, "linear_backward", 2, layer_rows, "Linear", {"d0.bias"}),
        (conv, "conv2d_backward_input", None, layer_rows, "Conv2d 3x3", {"dx"}),
        (conv, "conv2d_backward_parameters", 0, layer_rows, "Conv2d 3x3", {"d0.weight"}),
        (normalization, "normalize_backward", 1, layer_rows, "LayerNorm", {"d0.weight"}),
        (losses, "kl_divergence", 0, loss_rows, "kl_divergence, T 4", {"loss"}),
        (losses, "kl_divergence", 1, loss_rows, "kl_divergence, T 4", {"dlogits"}),
        (losses, "distillation_loss", 1, loss_rows, "distillation_loss, alpha 0.3", {"dlogits"}),
    ],
)
def test_a_planted_error_of_a_hundred_thousandth_is_found(
    torch, monkeypatch, module, function, place, rows_of, where, what
):
    monkeypatch.setattr(module, function, scaled(getattr(module, function), place))
    with numpy_alone():  # the bug lies in NumPy's lines, which compiled loops would pass by
        failed = [row for row in rows_of() if not row.ok]
    for dtype in DTYPES:
        assert {row.what for row in failed if row.name == where and row.dtype == dtype} == what
    assert "ReLU, with zeros" not in names_that_fail(failed)
    assert f"FAILED: {where}, {min(what)}, float64" in table(failed)


def test_a_planted_error_in_the_running_variance_is_found(torch, monkeypatch):
    biased = normalization._move
    monkeypatch.setattr(normalization, "_move", lambda average, value, momentum: biased(average, 0.8 * value, momentum))
    assert "BatchNorm1d, training" in names_that_fail(layer_rows())


def test_a_planted_error_in_the_optimiser_is_found(torch, monkeypatch):
    step = optimizers.Adam.step
    monkeypatch.setattr(optimizers.Adam, "step", lambda self, p, g, state, lr: step(self, p, g, state, lr * 1.00001))
    rows = list(optimizers.optimizer_rows(np.random.default_rng(0)))
    assert {"Adam", "AdamW"} <= names_that_fail(rows)
    assert "SGD" not in names_that_fail(rows)


def test_a_difference_is_relative_to_the_largest_value():
    assert difference(np.array([1.0, 4.0]), np.array([1.5, 5.0])) == pytest.approx(0.2)
    assert difference(np.zeros(2), np.zeros(2)) == 0
    assert difference(np.full(2, 1e-30), np.zeros(2)) == np.inf
    assert difference(np.ones(2), np.ones(3)) == np.inf
    assert difference(np.ones(2, np.float32), np.ones(2)) == np.inf
    assert not Comparison("a", "b", "float64", difference(np.array([np.nan]), np.ones(1)), 1.0).ok


def test_an_array_that_one_side_lacks_fails():
    ours, theirs = {"output": np.ones(2)}, {"output": np.ones(2), "dx": np.ones(2)}
    assert [row.ok for row in compare("layer", "float64", ours, theirs, 1e-10)] == [True, False]
    assert [row.ok for row in compare("layer", "float64", theirs, ours, 1e-10)] == [True, False]


def test_the_table_shows_the_worst_array_of_each_dtype():
    rows = [
        Comparison("Linear", "output", "float64", 1e-16, 1e-10),
        Comparison("Linear", "dx", "float64", 3e-16, 1e-10),
        Comparison("Linear", "dx", "float32", 2e-7, 2e-6),
        Comparison("cosine", "learning rates", "float64", 0.5, 1e-10),
    ]
    lines = table(rows).splitlines()
    assert lines[3].split() == ["Linear", "3", "3.0e-16", "1e-10", "2.0e-07", "2e-06", "ok"]
    assert lines[4].split() == ["cosine", "1", "5.0e-01", "1e-10", "–", "–", "FAILED"]
    assert lines[6] == "FAILED: cosine, learning rates, float64: 5.0e-01 > 1e-10"
    assert lines[7] == "3 of 4 arrays are within their bounds"


def test_the_package_offers_these_names():
    assert set(reference.__all__) == {"Comparison", "compare_all", "from_torch_state", "table", "to_torch"}
