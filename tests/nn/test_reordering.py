"""A model's outputs in another order: the same numbers at other places, whatever the model ends in."""

import numpy as np
import pytest

from minikd import nn
from minikd.backends import to_host
from minikd.nn.reordering import reordered
from tests.problems import same_bits

ORDER = (2, 0, 3, 1)


def rng():
    return np.random.default_rng(0)


def dense(*after):
    return nn.Sequential(nn.Flatten(), nn.Linear(36, 5, rng()), nn.ReLU(), nn.Linear(5, 4, rng()), *after)


def conv(groups=1):
    return nn.Conv2d(4, 4, 3, rng(), groups=groups)


CHAINS = {
    "dense": dense(),
    "dense and activation": dense(nn.Tanh(), nn.Dropout(0.5)),
    "dense and norm": dense(nn.BatchNorm1d(4)),
    "pooled maps": nn.Sequential(nn.Conv2d(1, 4, 3, rng()), nn.ReLU(), conv(), nn.GlobalAvgPool2d(), nn.Flatten()),
    "pooled maps in groups": nn.Sequential(nn.Conv2d(1, 4, 3, rng()), conv(2), nn.GlobalAvgPool2d(), nn.Flatten()),
    "one map": nn.Sequential(nn.Conv2d(1, 1, 5, rng()), nn.Flatten()),
    "residual": nn.Sequential(dense(), nn.Residual(nn.Linear(4, 4, rng()))),
    "a block alone": nn.Residual(nn.Linear(4, 4, rng())),
}
AT_THE_END = ("dense", "dense and activation", "pooled maps")
"""Those whose own rows can be put in order; a dense layer is added to the others."""


@pytest.mark.parametrize("name", ["dense", "dense and norm"])
def test_the_names_go_with_the_outputs(name):
    model = CHAINS[name].copy()
    assert reordered(model, ORDER).class_names == ()
    model.class_names = ("a", "b", "c", "d")
    assert reordered(model, ORDER).class_names == ("c", "a", "d", "b")
    assert model.class_names == ("a", "b", "c", "d")


def lived(name):
    """The chain with no weight and no running statistic where it starts."""
    model, draw = CHAINS[name].copy(), np.random.default_rng(1)
    model.vector[:] = draw.standard_normal(model.size)
    for key, value in model.state.items():
        value[...] = draw.uniform(0.5, 2, value.shape) if "running" in key else 3
    return model


@pytest.mark.parametrize("name", CHAINS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_each_output_is_the_one_that_was_asked_for(name, dtype, backend):
    model = lived(name).astype(dtype).to(backend)
    shape = (3, 4) if name == "a block alone" else (3, 1, 6, 6)
    x = backend.put(rng().standard_normal(shape).astype(dtype))
    found = to_host(reordered(model, ORDER)(x))
    assert found.dtype == dtype
    np.testing.assert_allclose(found, to_host(model(x))[:, list(ORDER)], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", CHAINS)
def test_a_layer_is_added_only_where_the_last_has_no_rows_of_its_own(name):
    model = lived(name)
    added = reordered(model, ORDER).size - model.size
    assert added == (0 if name in AT_THE_END else 4 * 4 + 4)


@pytest.mark.parametrize("name", CHAINS)
def test_the_model_stays_as_it_was_and_its_own_order_needs_no_copy(name):
    model = lived(name)
    before = model.copy()
    reordered(model, ORDER)
    assert same_bits(model, before)
    assert reordered(model, (0, 1, 2, 3)) is model
