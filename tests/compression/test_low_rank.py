"""Low rank: the nearest product, the same network where nothing is cut off, and training from there."""

import numpy as np
import pytest

import minikd
from minikd.compression.low_rank import factors, low_rank
from minikd.errors import ConfigError
from minikd.exports.quantize import quantize
from minikd.nn import Flatten, Linear, ReLU, Sequential
from minikd.training import Plan
from tests import problems
from tests.exports import networks

pytestmark = pytest.mark.numpy_only("its decomposition is computed on the host")


def student(hidden=12):
    rng = np.random.default_rng(0)
    return Sequential(Flatten(), Linear(36, hidden, rng), ReLU(), Linear(hidden, 3, rng))


@pytest.mark.parametrize("rank", [1, 3, 6])
def test_the_product_misses_by_the_singular_values_that_are_cut_off(rank):
    w = np.random.default_rng(0).normal(size=(6, 9))
    u, v = factors(w, rank)
    product = u @ v  # (O, C) = (O, r) @ (r, C)
    left_out = np.sqrt(np.linalg.eigvalsh(w @ w.T)[: 6 - rank].clip(0))  # (O, O) = (O, C) @ (C, O)
    assert np.isclose(np.square(w - product).sum(), np.square(left_out).sum())
    assert np.allclose(np.square(u).sum(0), np.square(v).sum(1))  # both factors have the same share


def test_a_layer_that_has_this_rank_already_answers_as_before():
    model, rng = student(), np.random.default_rng(1)
    model.params["1.weight"][...] = rng.normal(size=(12, 4)) @ rng.normal(size=(4, 36))  # (O, C) = (O, r) @ (r, C)
    model.params["1.bias"][...] = rng.normal(size=12)
    thin, x = low_rank(model, 4), rng.normal(size=(5, 1, 6, 6)).astype(np.float32)
    assert [type(layer).__name__ for layer in thin.layers] == ["Flatten", "Linear", "Linear", "ReLU", "Linear"]
    assert thin.size == 4 * 36 + 4 + 12 * 4 + 12 + 3 * 12 + 3
    assert np.allclose(thin(x), model(x), atol=1e-4)
    assert not np.shares_memory(thin.vector, model.vector)


def test_it_learns_on_and_is_exported_in_float32_alone(tmp_path):
    data, model = problems.dataset(), student()
    minikd.train(model, data, Plan(epochs=20, batch_size=8), callbacks=[])
    thin = low_rank(model, 2)
    before = thin.vector.copy()
    minikd.train(thin, data, Plan(epochs=5, batch_size=8), callbacks=[])
    assert not np.array_equal(before, thin.vector)
    found = minikd.export(thin, data, to="c", path=tmp_path / "thin.c")
    assert found.errors == minikd.evaluate(thin, data).errors
    with pytest.raises(ConfigError, match=r"has no ReLU before .*: its outputs may be negative"):
        quantize(thin, networks.card_of(data), data.train_images)


def test_a_rank_that_makes_nothing_smaller_is_refused():
    with pytest.raises(ConfigError, match="no dense layer gets smaller by rank 12; choose a lower one"):
        low_rank(student(), 12)
    with pytest.raises(ConfigError):
        low_rank(student(), 0)
