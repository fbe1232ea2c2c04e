"""What must hold for small students, whatever is drawn: rounding and its gradient, and which weights are pruned."""

import numpy as np
import pytest

from minikd.compression import layers, low_rank, pruning, straight_through
from minikd.compression.layers import CompressedLinear, Compression, RoundedReLU
from minikd.exports.integer import LEVELS
from minikd.nn import Linear, Sequential
from tests.compression.surrogate import check_layer, check_rounding

pytestmark = pytest.mark.numpy_only("the surrogate is computed on the host")


def test_rounding_has_the_gradient_with_its_errors_kept_fixed():
    for low, high in (*((-Q, Q) for Q in LEVELS.values()), (0, 255)):
        check_rounding(0, low, high)


def test_rounding_goes_to_the_nearest_whole_number_of_steps():
    x = np.linspace(-2, 2, 401)
    y, _ = straight_through.rounded(x, np.array(0.25), -7, 7)
    assert np.allclose(np.abs(x - y), np.abs(x[:, None] - np.arange(-7, 8) / 4).min(1))


def test_small_layers_have_the_gradients_with_their_rounding_kept_fixed():
    linear = Linear(6, 4, np.random.default_rng(0))
    for last in (False, True):
        for steps in (0, 10):
            layer = CompressedLinear(linear, Compression("int4", True, 0.5, 10), 0.3, last)
            layer.state["steps"][...] = steps
            check_layer(layer, (5, 6))
    check_layer(RoundedReLU(3, Compression("int8"), np.zeros(0)), (4, 7))


def test_rounding_begins_late_with_steps_that_fit():
    how = Compression("int4", True, 0.0, 5)
    layer, x = CompressedLinear(Linear(6, 4, np.random.default_rng(0)), how, 1.0, False), np.eye(6, dtype=np.float32)
    relu, small_bits = RoundedReLU(0, how, x), layer.params["weight_bits"].copy()
    layer.params["weight"] *= 8
    in_floats, bits = [], []
    for _ in range(5):
        y, cache = layer.forward(x)
        z, relu_cache = relu.forward(np.float32(2.3) * x)
        in_floats.append((np.array_equal(y, layer.layer.forward(x)[0] * 8), np.array_equal(z, np.float32(2.3) * x)))
        bits.append((*(layer.params["weight_bits"] - small_bits), relu.bits))
        layer.update_state(cache)
        relu.update_state(relu_cache)
    assert in_floats == [(True, True)] * 4 + [(False, False)]
    assert bits == [(0, 0, 0, 0, 0)] * 4 + [(-3, -3, -3, -3, 6)]  # 255 steps of 1/64 hold 2.3, of 1/128 do not


def test_pruning_follows_the_cubic_curve_and_takes_the_smallest():
    begin, end = pruning.BEGIN, pruning.END
    half = (begin + end) / 2
    found = [pruning.fraction_out(progress, 0.8) for progress in (0, begin, half, end, 1)]
    assert np.allclose(found, [0, 0, 0.8 * 7 / 8, 0.8, 0.8])
    weight = np.array([[3.0, -0.1], [-2.0, 1.0]])
    assert pruning.smallest_out(weight, 0.5).tolist() == [[1, 0], [1, 0]]


def test_the_first_step_is_the_one_with_the_smallest_rounding_error():
    weight = np.random.default_rng(0).normal(0, 0.1, (3, 50))
    for kind, Q in LEVELS.items():
        bits = layers.first_bits(weight, Q, False)

        def error(bits, Q=Q):
            step = 2.0 ** -np.asarray(bits)[:, None]
            return ((step * np.clip(np.round(weight / step), -Q, Q) - weight) ** 2).sum(1)

        assert (error(bits) <= np.minimum(error(bits + 1), error(bits - 1))).all(), kind


def test_two_thin_layers_miss_by_the_singular_values_that_are_cut_off_and_share_the_rest():
    rng = np.random.default_rng(0)
    model = Sequential(Linear(9, 6, rng)).astype("float64")
    model.params["0.bias"][...] = rng.normal(size=6)
    w = model.params["0.weight"]
    thin = low_rank.low_rank(model, 2)
    v, u = (layer.params["weight"] for layer in thin.layers)
    left_out = np.linalg.eigvalsh(w @ w.T)[:4]  # (O, O) = (O, C) @ (C, O)
    missed = np.square(w - u @ v).sum()  # (O, C) = (O, r) @ (r, C)
    assert np.isclose(missed, left_out.sum())
    assert np.allclose(np.square(u).sum(0), np.square(v).sum(1))
    zero = np.zeros((1, 9))
    assert np.allclose(thin(zero), model(zero))
