"""Rounding and its gradient: the derivative of what stays when the rounding errors are kept fixed."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minikd.compression.layers import Compressed, CompressedConv2d, CompressedLinear, Compression, RoundedReLU
from minikd.compression.straight_through import power_of_two, power_of_two_backward, rounded, rounded_backward
from minikd.exports.integer import LEVELS
from minikd.nn import Conv2d, Linear
from tests.compression.surrogate import check_layer, check_rounding

pytestmark = pytest.mark.numpy_only("the surrogate is computed on the host")

BOUNDS = [*((-Q, Q) for Q in LEVELS.values()), (0, 255)]


@pytest.mark.parametrize(("low", "high"), BOUNDS)
def test_rounding_gives_the_nearest_whole_number_of_steps_in_its_range(low, high):
    x = np.random.default_rng(0).normal(0, high, 1000)
    y, _ = rounded(x, np.array(0.25), low, high)
    choices = 0.25 * np.arange(low, high + 1)
    nearest = np.abs(x[:, None] - choices).min(1)
    assert np.allclose(np.abs(x - y), nearest)


@pytest.mark.parametrize(("low", "high"), BOUNDS)
@given(st.integers(0, 2**32 - 1))
@settings(max_examples=20, deadline=None)
def test_the_gradient_is_that_with_the_rounding_errors_kept_fixed(low, high, seed):
    check_rounding(seed, low, high)


def test_nothing_passes_outside_the_range_but_to_the_step():
    x, dy = np.array([-3.0, -0.2, 0.2, 3.0]), np.ones(4)
    _, cache = rounded(x, np.array(1.0), -1, 1)
    dx, dstep = rounded_backward(dy, cache)
    assert dx.tolist() == [0, 1, 1, 0]
    assert np.allclose(dstep, [-1, 0.2, -0.2, 1])


def test_a_step_is_a_power_of_two_of_the_rounded_bits():
    bits = np.array([-3.4, 0.0, 2.6, 24.2], np.float32)
    assert np.array_equal(power_of_two(bits), np.array([8, 1, 1 / 8, 2**-24], np.float32))
    assert power_of_two(bits).dtype == np.float32


def test_the_gradient_of_the_bits_is_minus_log_two_times_the_step():
    step = np.array([0.5, 4.0])
    assert np.allclose(power_of_two_backward(np.ones(2), step), [-0.5 * math.log(2), -4 * math.log(2)])


def small_layers():
    """Return layers to check, by what they do."""
    rng = np.random.default_rng(0)
    found = {}
    for kind in (*LEVELS, ""):
        for learned in (True, False):
            for prune in (0.0, 0.5):
                how = Compression(kind, learned, prune, 100)
                name = f"{kind or 'float32'} {'learned' if learned else 'fixed'} {prune:g}"
                found[f"linear {name}"] = CompressedLinear(Linear(6, 4, rng), how, 0.3, False), (5, 6)
                conv = Conv2d(2, 4, (3, 2), rng, stride=2, padding=1, groups=2)
                found[f"conv {name}"] = CompressedConv2d(conv, how, 1.0, True), (3, 2, 5, 4)
    for learned in (True, False):
        relu = RoundedReLU(3, Compression("int8", learned, 0.0, 100), np.zeros(0))
        found[f"relu {'learned' if learned else 'fixed'}"] = relu, (4, 7)
    return found


@pytest.mark.parametrize("steps", [0, 79, 80, 100])
@pytest.mark.parametrize("name", small_layers())
def test_a_layers_gradients_are_those_with_the_rounding_errors_kept_fixed(name, steps):
    layer, shape = small_layers()[name]
    layer.state["steps"][...] = steps
    check_layer(layer, shape)


@pytest.mark.parametrize("name", [name for name in small_layers() if "float32" not in name])
def test_a_layer_computes_in_floats_until_the_last_fifth_of_its_training(name):
    layer, shape = small_layers()[name]
    x = np.random.default_rng(1).normal(0, 1, shape).astype(np.float32)
    in_floats = layer.layer.forward(x)[0] if isinstance(layer, Compressed) else np.maximum(x, 0)
    for step, same in ((0, True), (79, True), (80, False), (100, False)):
        layer.state["steps"][...] = step
        assert np.array_equal(layer.forward(x)[0], in_floats) == same


def test_when_rounding_begins_the_steps_fit_the_weights_and_activations_of_that_moment():
    rng = np.random.default_rng(0)
    how = Compression("int4", True, 0.0, 10)
    layer = CompressedLinear(Linear(6, 4, rng), how, 1.0, False)
    relu = RoundedReLU(-2, how, layer.params["weight"])
    layer.params["weight"] *= np.array([[1], [8], [64], [1 / 8]], np.float32)
    before = layer.params["weight_bits"].copy()
    x = rng.uniform(0, 3, (50, 6)).astype(np.float32)
    for step in range(10):
        _, cache = layer.forward(x)
        y, relu_cache = relu.forward(x)
        assert np.array_equal(y, x) == (step < 8)
        if step < 8:
            assert np.array_equal(layer.params["weight_bits"], before)
            assert relu.bits == -2
        layer.update_state(cache)
        relu.update_state(relu_cache)
    assert np.array_equal(layer.params["weight_bits"] - before, [0, -3, -6, 3])
    assert relu.bits == 6  # 255 steps of 1/64 are 3.98, of 1/128 are 1.99


def test_pruned_weights_stay_out_and_have_no_gradient():
    layer = CompressedLinear(Linear(6, 4, np.random.default_rng(0)), Compression("int4", True, 0.5, 100), 1.0, False)
    layer.state["mask"][:, ::2], layer.state["steps"][...] = 0, 100
    y, cache = layer.forward(np.ones((3, 6), np.float32))
    dw = layer.backward(np.ones_like(y), cache)[1]["weight"]
    assert (dw[:, ::2] == 0).all()
    assert (layer.to_layer().params["weight"][:, ::2] == 0).all()
