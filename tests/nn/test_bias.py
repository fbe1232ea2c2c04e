"""Dense layers and convolutions without a bias."""

import numpy as np
import pytest

from minikd import nn
from minikd.nn.build import build_sequential
from minikd.nn.folding import folded, with_bias

X = np.random.default_rng(1).standard_normal((4, 6), np.float32)
IMAGES = X.reshape(2, 3, 2, 2)


def rng():
    return np.random.default_rng(0)


@pytest.mark.parametrize(
    ("make", "x"),
    [(lambda **more: nn.Linear(6, 5, rng(), **more), X), (lambda **more: nn.Conv2d(3, 4, 2, rng(), **more), IMAGES)],
)
def test_without_a_bias_it_is_the_layer_whose_bias_is_zero(make, x):
    bare, zero = make(bias=False), make()
    assert list(bare.params) == ["weight"]
    y, cache = bare.forward(x)
    wanted, other = zero.forward(x)
    np.testing.assert_array_equal(y, wanted)
    dx, grads = bare.backward(y, cache)
    their_dx, theirs = zero.backward(y, other)
    np.testing.assert_array_equal(dx, their_dx)
    assert list(grads) == ["weight"]
    np.testing.assert_array_equal(grads["weight"], theirs["weight"])
    assert list(bare.parameter_gradients(y, cache)) == ["weight"]


def test_a_model_without_biases_is_described_and_built_again():
    model = nn.Sequential(nn.Conv2d(3, 4, 1, rng(), bias=False), nn.Flatten(), nn.Linear(16, 2, rng(), bias=False))
    assert list(model.params) == ["0.weight", "2.weight"]
    assert "bias=False" in repr(model)
    built = build_sequential(model.config(), {name: value.shape for name, value in model.state_dict().items()})
    built.load_state_dict(model.state_dict())
    np.testing.assert_array_equal(built(IMAGES), model(IMAGES))


def test_the_identity_of_layers_with_a_bias_stays():
    assert nn.Linear(6, 5, rng()).in_one_line() == "Linear(in_features=6, out_features=5)"


def test_batch_norm_behind_it_becomes_its_bias():
    model = nn.Sequential(nn.Linear(6, 5, rng(), bias=False), nn.BatchNorm1d(5))
    model.layers[1].state["running_mean"][...] = 0.5
    model.layers[1].params["bias"][...] = 2.0
    whole = folded(model)
    assert list(whole.params) == ["0.weight", "0.bias"]
    np.testing.assert_allclose(whole(X), model(X), rtol=1e-6, atol=1e-6)
    assert list(model.params) == ["0.weight", "1.weight", "1.bias"]


def test_a_bias_of_zeros_has_the_weights_dtype():
    assert with_bias(nn.Linear(6, 5, rng(), bias=False).astype("float64")).params["bias"].dtype == np.float64
