"""The window layers at any geometry that hypothesis thinks of: shapes, values and gradients are those of the loops."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from minikd import nn
from minikd.errors import ShapeError
from tests.nn import naive

SIZES = st.integers(1, 7)
PAIRS = st.tuples(st.integers(1, 3), st.integers(1, 3))
BORDERS = st.tuples(st.integers(0, 2), st.integers(0, 2))


def images(*shape):
    return np.random.default_rng(0).standard_normal(shape)


def fits(layer, shape):
    """True where a window fits; where none does, both the shape and the pass are refused."""
    try:
        return layer.output_shape(shape)
    except ShapeError:
        with pytest.raises(ShapeError, match="does not fit"):
            layer.forward(images(2, *shape))
        return None


@settings(max_examples=60, deadline=None)
@given(height=SIZES, width=SIZES, groups=st.integers(1, 2), kernel=PAIRS, stride=PAIRS, padding=BORDERS, dilation=PAIRS)
def test_convolution(height, width, groups, kernel, stride, padding, dilation):
    rng = np.random.default_rng(1)
    layer = nn.Conv2d(2 * groups, 3 * groups, kernel, rng, stride, padding, dilation, groups).astype("float64")
    x = images(2, 2 * groups, height, width)
    wanted = fits(layer, x.shape[1:])
    assume(wanted)
    y, cache = layer.forward(x)
    assert y.shape == (2, *wanted)
    w, b = layer.params["weight"], layer.params["bias"]
    assert y == pytest.approx(naive.conv2d(x, w, b, stride, padding, dilation, groups), abs=1e-12)
    dx, grads = layer.backward(y, cache)
    loops = naive.conv2d_backward(y, x, w, stride, padding, dilation, groups)
    for found, right in zip((dx, grads["weight"], grads["bias"]), loops, strict=True):
        assert found == pytest.approx(right, abs=1e-10)


@pytest.mark.parametrize("kind", [nn.MaxPool2d, nn.AvgPool2d])
@settings(max_examples=60, deadline=None)
@given(height=SIZES, width=SIZES, kernel=PAIRS, stride=PAIRS, padding=BORDERS)
def test_pooling(kind, height, width, kernel, stride, padding):
    assume(all(2 * p <= k for p, k in zip(padding, kernel, strict=True)))
    layer, x = kind(kernel, stride, padding), images(2, 3, height, width)
    wanted = fits(layer, x.shape[1:])
    assume(wanted)
    y, cache = layer.forward(x)
    assert y.shape == (2, *wanted)
    dx, _ = layer.backward(np.ones_like(y), cache)
    assert dx.shape == x.shape
    if kind is nn.MaxPool2d:
        assert np.isin(y, x).all()
        assert dx.sum() == y.size  # each window's gradient goes whole to one pixel
    else:
        assert (y * y).sum() == pytest.approx(
            (x * layer.backward(y, cache)[0]).sum()
        )  # the adjoint: <Ax, y> = <x, Aᵀy>


@settings(max_examples=40, deadline=None)
@given(samples=st.integers(0, 4), shape=st.lists(st.integers(1, 4), min_size=1, max_size=3), outputs=st.integers(1, 5))
def test_a_dense_chain(samples, shape, outputs):
    model = nn.Sequential(nn.Flatten(), nn.Linear(int(np.prod(shape)), outputs, np.random.default_rng(0)), nn.Tanh())
    x = images(samples, *shape).astype(np.float32)
    y, cache = model.forward(x)
    assert y.shape == (samples, *model.output_shape(tuple(shape)))
    dx, grads = model.backward(y, cache)
    assert dx.shape == x.shape
    assert model.flat_gradient(grads).shape == model.vector.shape
