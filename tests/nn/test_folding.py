"""Batch norm folded into the layer before it: the same function, without the batch norm."""

import numpy as np
import pytest

from minikd import models, nn
from minikd.nn.folding import fold, folded
from tests.problems import same_bits

X = np.random.default_rng(1).standard_normal((7, 6))


def rng():
    return np.random.default_rng(0)


def lived(*layers):
    """A chain in float64 whose weights, biases and running statistics are all away from where they start."""
    model, draw = nn.Sequential(*layers).astype("float64"), np.random.default_rng(2)
    model.vector[:] = draw.standard_normal(model.size)
    for name, value in model.state.items():
        value[...] = draw.uniform(0.5, 2, value.shape) if "running" in name else 3
    return model


def test_by_hand():
    """s = γ/sqrt(σ² + ε) = 6/sqrt(3 + 1) = 3: w' = 3 · 2, b' = 3 (5 - 1) + 7."""
    model = nn.Sequential(nn.Linear(1, 1, rng()), nn.BatchNorm1d(1, eps=1.0))
    model.params["0.weight"][:], model.params["0.bias"][:] = 2, 5
    model.params["1.weight"][:], model.params["1.bias"][:] = 6, 7
    model.state["1.running_mean"][:], model.state["1.running_var"][:] = 1, 3
    (dense,) = folded(model).layers
    assert isinstance(dense, nn.Linear)
    assert (dense.params["weight"].item(), dense.params["bias"].item()) == (6, 19)


def test_a_convolution_folds_as_a_dense_layer_does():
    model = lived(nn.Conv2d(4, 6, (3, 2), rng(), padding=1, groups=2), nn.BatchNorm2d(6))
    x = np.random.default_rng(3).standard_normal((2, 4, 5, 6))
    right = model(x)
    convolution, norm = model.layers
    fold(convolution, norm)
    assert np.allclose(convolution.forward(x)[0], right, atol=1e-12)


def test_the_model_stays_as_it_was_and_the_dtype_too():
    model = lived(nn.Linear(6, 5, rng()), nn.BatchNorm1d(5))
    before = model.copy()
    assert folded(model).vector.dtype == np.float64
    assert same_bits(model, before)


def test_a_batch_norm_that_stands_elsewhere_stays():
    """Behind a ReLU, which is no line."""
    model = lived(nn.Linear(6, 5, rng()), nn.ReLU(), nn.BatchNorm1d(5), nn.Linear(5, 3, rng()))
    found = folded(model)
    assert [type(layer) for layer in found.layers] == [type(layer) for layer in model.layers]
    assert np.array_equal(found(X), model(X))


@pytest.mark.parametrize("model", [models.deep_cnn, models.cnn])
def test_a_network_without_such_batch_norms_keeps_its_bits(model):
    made = model((1, 8, 8), 3, rng())
    assert same_bits(folded(made), made)


def test_a_residual_block_keeps_its_short_way():
    model = lived(nn.Residual(nn.Linear(6, 6, rng()), nn.BatchNorm1d(6)))
    (block,) = model.layers
    found = folded(block)
    assert isinstance(found, nn.Residual)
    assert len(found.layers) == 1
    np.testing.assert_allclose(found(X), block(X), rtol=1e-12, atol=1e-14)
