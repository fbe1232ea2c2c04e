import numpy as np
import pytest

from minikd import nn
from minikd.errors import ConfigError, DtypeError, ShapeError
from minikd.nn.linear import linear, linear_backward

X = np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
W = np.array([[1.0, -1.0], [0.5, 2.0]])
B = np.array([10.0, 20.0])
DY = np.array([[1.0, 0.0], [0.0, 1.0], [2.0, -1.0]])


def test_forward_by_hand():
    assert linear(X, W, B)[0].tolist() == [[9, 24.5], [9, 29.5], [9, 34.5]]


def test_backward_by_hand():
    dx, dw, db = linear_backward(DY, linear(X, W, B)[1])
    assert dx.tolist() == [[1, -1], [0.5, 2], [1.5, -4]]
    assert dw.tolist() == [[11, 14], [-2, -2]]
    assert db.tolist() == [3, 0]


def test_a_batch_without_samples_gives_a_gradient_of_zero():
    dx, dw, db = linear_backward(DY[:0], linear(X[:0], W, B)[1])
    assert dx.shape == (0, 2)
    assert not dw.any()
    assert not db.any()


def test_output_shape_and_multiply_adds():
    layer = nn.Linear(7, 3, np.random.default_rng(0))
    assert layer.output_shape((7,)) == (3,)
    assert layer.macs((7,)) == 21
    assert layer.size == 24


def test_images_are_refused_with_the_layer_that_is_missing():
    layer = nn.Linear(12, 3, np.random.default_rng(0))
    with pytest.raises(ShapeError, match=r"x has shape \(2, 3, 2, 2\).*\(N, 12\); put a Flatten before it"):
        layer.forward(np.zeros((2, 3, 2, 2), np.float32))
    with pytest.raises(ShapeError, match=r"samples of shape \(12,\), but gets \(3, 2, 2\); put a Flatten"):
        layer.output_shape((3, 2, 2))


def test_rows_of_another_length_are_refused():
    with pytest.raises(ShapeError, match=r"x has shape \(3, 5\), but w \(2, 2\) needs x of shape \(N, 2\)"):
        linear(np.zeros((3, 5)), W, B)


def test_another_dtype_is_refused_with_the_fix():
    with pytest.raises(DtypeError, match=r"x is float32, but the parameters are float64; use x\.astype\('float64'\)"):
        linear(X.astype(np.float32), W, B)


def test_an_upstream_gradient_that_does_not_fit_is_refused():
    _, cache = linear(X, W, B)
    with pytest.raises(ShapeError, match=r"dy has shape \(3, 1\), but the output had shape \(3, 2\)"):
        linear_backward(DY[:, :1], cache)
    with pytest.raises(DtypeError, match=r"dy is float32, but the output was float64; use dy\.astype\('float64'\)"):
        linear_backward(DY.astype(np.float32), cache)


def test_sizes_below_one_are_refused():
    with pytest.raises(ConfigError, match="Linear's in_features is 0, but must be a whole number of at least 1"):
        nn.Linear(0, 3, np.random.default_rng(0))
