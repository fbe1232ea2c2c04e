"""Dense layers in compiled loops against NumPy's lines: alone, with ReLU, as a row that answers in one call."""

import copy

import numpy as np
import pytest

from minikd.errors import DtypeError, ShapeError
from minikd.nn import Conv2d, Dropout, Flatten, Linear, MaxPool2d, ReLU, Sequential, Tanh
from minikd.nn.blocks import BlockCache, ComputedInBlock
from minikd.nn.dense_rows import DenseRow
from tests.backends.loops.compare import DTYPES, assert_close, both, needs_loops

pytestmark = [needs_loops, pytest.mark.numpy_only("the loops are for NumPy's arrays")]

RNG = np.random.default_rng(1)
CHAINS = {
    "one layer": lambda: [Linear(12, 5, RNG)],
    "one layer and ReLU": lambda: [Linear(12, 5, RNG), ReLU()],
    "a student": lambda: [Flatten(), Linear(12, 30, RNG), ReLU(), Linear(30, 10, RNG)],
    "deeper": lambda: [Linear(12, 7, RNG), ReLU(), Linear(7, 1, RNG), ReLU(), Linear(1, 17, RNG), ReLU()],
    "no bias in the middle": lambda: [Linear(12, 8, RNG), ReLU(), Linear(8, 8, RNG, bias=False), Linear(8, 3, RNG)],
    "nothing between two": lambda: [Linear(12, 8, RNG), Linear(8, 3, RNG), ReLU()],
    "another function": lambda: [Linear(12, 8, RNG), Tanh(), Linear(8, 3, RNG), ReLU(), Linear(3, 3, RNG)],
    "dropout between": lambda: [Linear(12, 8, RNG), ReLU(), Dropout(0.5), Linear(8, 3, RNG)],
}


def chain(name, dtype="float32"):
    model = Sequential(*CHAINS[name]())
    model.vector = np.random.default_rng(2).standard_normal(model.vector.shape) / 2
    return model.astype(dtype)


def rows(count, dtype="float32", memory="plain"):
    x = np.random.default_rng(3).standard_normal((count, 12)).astype(dtype)
    return {"plain": x, "gaps": np.repeat(x, 2, axis=1)[:, ::2], "columns": np.asfortranarray(x)}[memory]


def passes(model, x, dy):
    """Return all that a forward and a backward pass give, the gradients also as a vector that the caller brings."""
    y, cache = model.forward(x)
    dx, grads = model.backward(dy, cache)
    into = np.empty_like(model.vector)
    model.parameter_gradients(dy, cache, into=into)
    return [y, model(x), dx, *grads.values(), into]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", CHAINS)
def test_dense_layers_are_the_same_as_in_numpy(name, dtype):
    model = chain(name, dtype)
    for count, memory in ((1, "plain"), (2, "gaps"), (3, "columns"), (40, "plain"), (0, "plain")):
        x = rows(count, dtype, memory)
        dy = np.random.default_rng(4).standard_normal(model(x).shape).astype(dtype)
        dy = np.asfortranarray(dy) if memory == "columns" else dy
        assert_close(*both(passes, model, x, dy), scale=40)


def test_images_are_laid_flat_in_rows_whatever_their_memory():
    model = chain("a student")
    x = rows(3).reshape(3, 4, 3, 1).transpose(0, 2, 1, 3)
    for images in (x, np.ascontiguousarray(x), x[:1]):
        images = images.copy()
        images.flags.writeable = False
        assert_close(*both(model, images), scale=10)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_is_passed_on(value):
    """An infinity times a weight and a NaN stay what they are, forward and, from above, backward."""
    model, x = chain("one layer and ReLU"), rows(3)
    x[1, 4] = value
    dy = np.ones((3, 5), np.float32)
    dy[2] = value
    found, wanted = both(passes, model, x, dy)
    assert_close(found, wanted, scale=10)
    assert np.isfinite(found[0][0]).all()


def test_which_layers_answer_in_one_call():
    wanted = {
        "a student": {0: 4},
        "deeper": {0: 6},
        "no bias in the middle": {0: 2, 3: 4},
        "nothing between two": {0: 1, 1: 3},
        "another function": {0: 1, 2: 5},
        "dropout between": {0: 2, 3: 4},
    }
    assert {name: {i: row.stop for i, row in chain(name)._rows.items()} for name in wanted} == wanted
    image = Sequential(Conv2d(1, 4, 3, RNG), MaxPool2d(2), ReLU(), Flatten(), Linear(16, 5, RNG))
    assert list(image._rows) == [3]
    assert_close(*both(image, np.ones((2, 1, 6, 6), np.float32)), scale=10)


def test_a_row_answers_with_the_weights_of_now():
    model, x = chain("a student"), rows(1)
    before, other = model(x), copy.deepcopy(model)
    model.layers[1].params["weight"] *= 2
    model.layers[3].params["bias"] = np.ones(10)
    assert not np.allclose(before, model(x))
    assert_close(*both(model, x), scale=10)
    assert_close(other(x), before)
    vector = np.zeros(2 * model.size, np.float32)[::2]
    model.bind(vector)  # with gaps: no row, and each layer alone
    assert not model._rows
    np.testing.assert_array_equal(model(x), np.zeros((1, 10), np.float32))


def test_a_layer_that_left_the_chains_vector_answers_with_its_own_weights():
    model, x = chain("a student"), rows(2)
    model.layers[3]._bind_views(np.ones(model.layers[3].size, np.float32))
    assert_close(*both(model, x), scale=10)


@pytest.mark.parametrize(
    ("x", "error", "text"),
    [
        (np.ones((2, 11), "f"), ShapeError, r"layer 1.*x has shape \(2, 11\)"),
        (np.ones((2, 12)), DtypeError, "layer 1.*x is float64"),
        (np.ones(12, "f"), ShapeError, "layer 1"),
    ],
)
def test_what_does_not_fit_is_refused_as_before(x, error, text):
    with pytest.raises(error, match=text):
        chain("a student")(x)


def test_a_gradient_vector_with_gaps_is_filled():
    model, x = chain("a student"), rows(5)
    y, cache = model.forward(x)
    into = np.zeros(2 * model.size, np.float32)[::2]
    model.parameter_gradients(y, cache, into=into)
    np.testing.assert_array_equal(into, model.flat_gradient(model.parameter_gradients(y, cache)))


def test_dense_layers_run_in_blocks_unless_somebody_wants_what_is_inside():
    model, x = chain("a student"), rows(2)
    _, cache = model.forward(x)
    assert [type(one) for one in cache[1:]] == [BlockCache, ComputedInBlock, BlockCache]

    def with_tap():
        y, taps, cache = model.forward_with_taps(x, ["1"])
        dx, grads = model.backward(y, cache, {"1": taps["1"]})
        return [y, taps["1"], dx, *grads.values()]

    assert_close(*both(with_tap), scale=40)
    assert isinstance(model._rows[0], DenseRow)
