import math

import numpy as np
import pytest

from minikd import nn
from minikd.errors import ConfigError, DtypeError, ShapeError

ALL = [nn.ReLU(), nn.LeakyReLU(0.1), nn.Sigmoid(), nn.Tanh(), nn.GELU()]
POINTS = (-3.0, -1.0, -0.25, 0.5, 2.0)

# the function and its derivative, written with Python's floats
BY_HAND = {
    "ReLU": (lambda x: max(x, 0.0), lambda x: float(x > 0)),
    "LeakyReLU": (lambda x: x if x > 0 else 0.1 * x, lambda x: 1.0 if x > 0 else 0.1),
    "Sigmoid": (lambda x: 1 / (1 + math.exp(-x)), lambda x: math.exp(-x) / (1 + math.exp(-x)) ** 2),
    "Tanh": (math.tanh, lambda x: 1 / math.cosh(x) ** 2),
    "GELU": (
        lambda x: x * (1 + math.erf(x / math.sqrt(2))) / 2,
        lambda x: (1 + math.erf(x / math.sqrt(2))) / 2 + x * math.exp(-x * x / 2) / math.sqrt(2 * math.pi),
    ),
}


def name(layer):
    return type(layer).__name__


def slope_at(layer, x):
    x = np.array([x])
    return layer.backward(np.ones_like(x), layer.forward(x)[1])[0].item()


@pytest.mark.parametrize("layer", ALL, ids=name)
def test_value_and_derivative_are_the_formulas(layer):
    function, derivative = BY_HAND[name(layer)]
    for x in POINTS:
        assert layer.forward(np.array([x]))[0].item() == pytest.approx(function(x), rel=1e-14)
        assert slope_at(layer, x) == pytest.approx(derivative(x), rel=1e-12)


@pytest.mark.parametrize(("kind", "slope"), list(zip(BY_HAND, (0.0, 0.1, 0.25, 1.0, 0.5), strict=True)))
def test_the_derivative_at_zero(kind, slope):
    layer = next(layer for layer in ALL if name(layer) == kind)
    assert layer.forward(np.zeros(1))[0].item() == (0.5 if kind == "Sigmoid" else 0.0)
    assert slope_at(layer, 0.0) == slope


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    ("kind", "low", "high"), [("ReLU", 0, 1e4), ("LeakyReLU", -1e3, 1e4), ("Sigmoid", 0, 1), ("Tanh", -1, 1)]
)
def test_large_arguments_reach_the_limit_without_overflow(kind, low, high, dtype):
    layer = next(layer for layer in ALL if name(layer) == kind)
    y, cache = layer.forward(np.array([-1e4, 1e4], dtype))
    assert y.tolist() == pytest.approx([low, high], rel=1e-6)
    assert np.isfinite(layer.backward(np.ones_like(y), cache)[0]).all()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_gelu_of_large_arguments_is_relu(dtype):
    layer = nn.GELU()
    y, cache = layer.forward(np.array([-1e4, 1e4], dtype))
    assert y.tolist() == [0, 1e4]
    assert layer.backward(np.ones_like(y), cache)[0].tolist() == [0, 1]


@pytest.mark.parametrize("layer", ALL, ids=name)
def test_nan_is_passed_on(layer):
    assert np.isnan(layer.forward(np.array([np.nan]))[0]).all()


@pytest.mark.parametrize("layer", ALL, ids=name)
def test_an_upstream_gradient_that_does_not_fit_is_refused(layer):
    _, cache = layer.forward(np.ones((2, 3), np.float32))
    with pytest.raises(ShapeError, match=r"dy has shape \(3, 2\), but the output had shape \(2, 3\)"):
        layer.backward(np.ones((3, 2), np.float32), cache)
    with pytest.raises(DtypeError, match="dy is float64, but the output was float32"):
        layer.backward(np.ones((2, 3)), cache)


@pytest.mark.parametrize("slope", [math.nan, math.inf])
def test_a_slope_that_is_no_number_is_refused(slope):
    with pytest.raises(ConfigError, match=f"slope is {slope}"):
        nn.LeakyReLU(slope)


@pytest.mark.parametrize("layer", ALL, ids=name)
def test_whole_numbers_are_refused(layer):
    with pytest.raises(DtypeError, match=r"x is int64, but must be float32 or float64; use x\.astype"):
        layer.forward(np.arange(4))
