"""The embedding by hand, against the dense layer that it is, and what it refuses."""

import numpy as np
import pytest

from minikd import nn
from minikd.backends import to_host
from minikd.errors import ConfigError, DataError, DtypeError, ShapeError
from minikd.nn.embedding import embedding, embedding_backward
from minikd.nn.linear import linear, linear_backward

W = np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
IDS = np.array([[2, 0], [2, 2]])
DY = np.array([[[1.0, 10.0], [2.0, 20.0]], [[4.0, 40.0], [8.0, 80.0]]])


def test_forward_by_hand():
    assert embedding(IDS, W)[0].tolist() == [[[5, 6], [1, 2]], [[5, 6], [5, 6]]]


def test_backward_by_hand_sums_over_an_id_that_comes_again_and_is_0_where_none_came():
    assert embedding_backward(DY, embedding(IDS, W)[1]).tolist() == [[2, 20], [0, 0], [13, 130]]


def test_it_is_the_dense_layer_of_one_hot_rows():
    rng = np.random.default_rng(0)
    ids, w = rng.integers(0, 7, (5, 3)), rng.standard_normal((7, 4))
    one_hot = np.eye(7)[ids.ravel()]
    y, cache = embedding(ids, w)
    dense, dense_cache = linear(one_hot, w.T.copy(), np.zeros(4))
    np.testing.assert_allclose(y.reshape(-1, 4), dense)
    dy = rng.standard_normal(y.shape)
    dw = linear_backward(dy.reshape(-1, 4), dense_cache)[1]
    np.testing.assert_allclose(embedding_backward(dy, cache), dw.T, atol=1e-12)


def test_a_model_of_texts_trains_its_table(backend):
    rng = np.random.default_rng(0)
    model = nn.Sequential(nn.Embedding(6, 3, rng), nn.Flatten(), nn.Linear(12, 5, rng)).to(backend)
    ids = backend.put(rng.integers(0, 5, (8, 4)))
    y, cache = model.forward(ids)
    assert y.shape == (8, *model.output_shape((4,)))
    dy = backend.put(rng.standard_normal((8, 5)).astype(np.float32))
    grads, (dx, whole) = model.parameter_gradients(dy, cache), model.backward(dy, cache)
    assert not to_host(dx).any()
    np.testing.assert_array_equal(to_host(whole["0.weight"]), to_host(grads["0.weight"]))
    dw = to_host(grads["0.weight"])
    assert dw.dtype == np.float32
    assert dw[:5].any(axis=1).all()
    assert not dw[5].any(), "nobody looked it up"


def test_an_empty_text_has_a_gradient_of_zero():
    y, cache = embedding(IDS[:0], W)
    assert y.shape == (0, 2, 2)
    assert not embedding_backward(y, cache).any()


def test_a_copy_has_a_table_of_its_own():
    layer = nn.Embedding(4, 2, np.random.default_rng(0))
    twin = layer.copy()
    twin.params["weight"][0] = 7
    assert not (layer.params["weight"] == 7).any()
    assert repr(layer) == "Embedding(num_embeddings=4, embedding_dim=2)"


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: embedding(IDS.astype(float), W), DtypeError, r"ids is float64.*ids.astype\('int64'\)"),
        (lambda: embedding(IDS + 1, W), DataError, "the ids are from 1 to 3, but a table of 3 rows has 0 to 2"),
        (lambda: embedding(IDS - 1, W), DataError, "the ids are from -1 to 1"),
        (lambda: embedding(IDS, W[0]), ShapeError, r"w has shape \(2,\)"),
        (lambda: embedding(IDS, IDS), DtypeError, "w is int64"),
        (lambda: embedding_backward(DY[:1], embedding(IDS, W)[1]), ShapeError, r"dy has shape \(1, 2, 2\)"),
        (lambda: embedding_backward(DY.astype("f"), embedding(IDS, W)[1]), DtypeError, "dy is float32"),
        (lambda: nn.Embedding(0, 2, np.random.default_rng(0)), ConfigError, "num_embeddings is 0"),
        (lambda: nn.Embedding(2, 0, np.random.default_rng(0)), ConfigError, "embedding_dim is 0"),
        (lambda: nn.Embedding(2, 2, 0), ConfigError, "rng is 0"),
    ],
)
def test_what_cannot_be_looked_up_is_refused(call, error, words):
    with pytest.raises(error, match=words):
        call()
