"""What every layer promises, whichever it is."""

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from minikd.evidence.gradcheck import suite

CASES = [*suite.layers(np.random.default_rng(0)), *suite.models(np.random.default_rng(0))]
each = pytest.mark.parametrize(("layer", "shape", "training"), [case[1:] for case in CASES], ids=[c[0] for c in CASES])


def images(shape, dtype="float32"):
    return np.random.default_rng(1).standard_normal(shape).astype(dtype)


def passes(layer, x, training, dy=None):
    """Return y, dx and the gradients by name, for a random dy."""
    y, cache = layer.forward(x, training, np.random.default_rng(2))
    if dy is None:
        dy = np.random.default_rng(3).standard_normal(y.shape).astype(y.dtype)
    dx, grads = layer.backward(dy, cache)
    return {"y": y, "dx": dx, **grads}


def assert_same(one, two):
    assert one.keys() == two.keys()
    for name, value in one.items():
        np.testing.assert_allclose(two[name], value, rtol=1e-5, atol=1e-5, err_msg=name)


@each
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_dtype_that_goes_in_comes_out_everywhere(layer, shape, training, dtype):
    results = passes(layer.astype(dtype), images(shape, dtype), training)
    assert {name: str(value.dtype) for name, value in results.items()} == dict.fromkeys(results, dtype)


@each
def test_no_argument_is_changed(layer, shape, training):
    """Writing to an array that is read-only raises, so nothing wrote."""
    frozen, x = layer.copy(), images(shape)
    dy = images(layer.forward(x, training, np.random.default_rng(2))[0].shape)
    for array in (x, dy, *frozen.params.values(), *frozen.state.values()):
        array.flags.writeable = False
    assert_same(passes(layer, x.copy(), training, dy.copy()), passes(frozen, x, training, dy))


@each
def test_the_memorys_order_does_not_matter(layer, shape, training):
    x = images(shape)
    wanted = passes(layer, x, training)
    dy = np.random.default_rng(3).standard_normal(wanted["y"].shape).astype(np.float32)
    wide, wide_dy = (np.repeat(a, 2, axis=-1) for a in (x, dy))
    for strange_x, strange_dy in (
        (np.asfortranarray(x), np.asfortranarray(dy)),
        (wide[..., ::2], wide_dy[..., ::2]),
        (np.flip(np.flip(x, 0).copy(), 0), np.flip(np.flip(dy, 0).copy(), 0)),
    ):
        assert_same(wanted, passes(layer, strange_x, training, strange_dy))


@each
def test_each_gradient_has_the_shape_of_its_array(layer, shape, training):
    results = passes(layer, images(shape), training)
    assert results["dx"].shape == shape
    assert {name: results[name].shape for name in layer.params} == {k: v.shape for k, v in layer.params.items()}
    assert results.keys() == {"y", "dx", *layer.params}


@each
def test_output_shape_is_the_shape_that_comes_out(layer, shape, training):
    y, _ = layer.forward(images(shape), training, np.random.default_rng(2))
    assert y.shape == (shape[0], *layer.output_shape(shape[1:]))
    assert layer.macs(shape[1:]) >= 0


@each
def test_two_threads_use_one_layer_at_once(layer, shape, training):
    """Both are through the forward pass before either goes back: a layer that kept its cache would mix them up."""
    inputs, both_forward = [images(shape), 2 * images(shape)], threading.Barrier(2, timeout=10)

    def passes_together(x):
        y, cache = layer.forward(x, training, np.random.default_rng(2))
        both_forward.wait()
        dx, grads = layer.backward(y, cache)
        return {"y": y, "dx": dx, **grads}

    with ThreadPoolExecutor(2) as pool:
        together = list(pool.map(passes_together, inputs))
    for x, found in zip(inputs, together, strict=True):
        alone = passes(layer, x, training, dy=found["y"])
        assert all(np.array_equal(found[name], alone[name]) for name in alone)


@each
def test_an_empty_batch_gives_an_empty_output(layer, shape, training):
    y, cache = layer.forward(images((0, *shape[1:])))
    assert y.shape == (0, *layer.output_shape(shape[1:]))
    dx, _ = layer.backward(y, cache)
    assert dx.shape == (0, *shape[1:])


@each
def test_a_cache_of_another_kind_is_refused_with_the_layers_name(layer, shape, training):
    y, _ = layer.forward(images(shape))
    with pytest.raises(TypeError, match=rf"{type(layer).__name__}.*backward got a NoneType, but needs the \w+Cache"):
        layer.backward(y, None)
