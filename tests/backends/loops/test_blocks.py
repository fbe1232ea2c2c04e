"""A convolution with pooling and ReLU in one go against the layers one by one: any shape, any move, any value."""

import numpy as np
import pytest

from minikd.backends.host import numpy_alone
from minikd.errors import ConfigError, ShapeError
from minikd.nn import BatchNorm2d, Conv2d, Flatten, Linear, MaxPool2d, ReLU, Sequential
from minikd.nn.blocks import BlockCache, ComputedInBlock
from minikd.training.parallel import workers
from tests.backends.loops.compare import DTYPES, assert_close, both, needs_loops

pytestmark = [needs_loops, pytest.mark.numpy_only("the loops are for NumPy's arrays")]

CONVOLUTIONS = {
    "3x3, the teacher's first": ((1, 32, 3), {"padding": 1}, (28, 28)),
    "3x3, the teacher's second": ((32, 64, 3), {"padding": 1}, (14, 14)),
    "3x3, odd sides": ((8, 12, 3), {"padding": 1}, (13, 9)),
    "3x3, few channels": ((3, 5, 3), {"padding": 1}, (10, 12)),
    "3x3, not padded": ((16, 8, 3), {}, (8, 10)),
    "3x3, padded by two": ((8, 8, 3), {"padding": 2}, (6, 6)),
    "3x3, a wide image": ((8, 16, 3), {"padding": 1}, (4, 38)),
    "5x5, the original teacher's": ((1, 32, 5), {}, (28, 28)),
    "stride 2": ((3, 8, 3), {"stride": 2, "padding": 1}, (17, 16)),
    "stride, dilation and padding of two axes": (
        (4, 6, (3, 2)),
        {"stride": (2, 3), "padding": (0, 2), "dilation": (2, 1)},
        (21, 19),
    ),
    "grey, stride and dilation": ((1, 7, (2, 3)), {"stride": (1, 2), "dilation": (3, 2), "padding": 1}, (15, 16)),
    "1x1": ((16, 24, 1), {}, (7, 7)),
    "7x7": ((3, 16, 7), {"stride": 2, "padding": 3}, (32, 32)),
    "groups": ((8, 8, 3), {"padding": 1, "groups": 4}, (8, 8)),
    "more weights than a loop covers": ((128, 300, 3), {"padding": 1}, (4, 4)),
}
TAILS = {
    "alone": [],
    "pool": [MaxPool2d(2)],
    "relu": [ReLU()],
    "pool and relu": [MaxPool2d(2), ReLU()],
    "pool 3x2 and relu": [MaxPool2d((3, 2)), ReLU()],
    "windows that overlap": [MaxPool2d(3, 2), ReLU()],
}


def network(convolution, tail, dtype, before=()):
    """Return a chain of a convolution, with a bias, and what follows it."""
    sizes, moves, _ = CONVOLUTIONS[convolution]
    model = Sequential(
        *before, Conv2d(*sizes, np.random.default_rng(1), **moves), *(layer.copy() for layer in TAILS[tail])
    )
    model.vector = np.random.default_rng(2).standard_normal(model.vector.shape) / 4
    return model.astype(dtype)


def passes(model, x, dy):
    """Return everything that a forward and a backward pass give."""
    y, cache = model.forward(x)
    dx, grads = model.backward(dy, cache)
    return [y, model(x), dx, *grads.values(), *model.parameter_gradients(dy, cache).values()]


def pictures(convolution, dtype, count=3, memory="channels last"):
    """Return images for a convolution."""
    (C, *_), _, (H, W) = CONVOLUTIONS[convolution]
    x = np.random.default_rng(3).standard_normal((count, H, W, C)).astype(dtype).transpose(0, 3, 1, 2)
    return x if memory == "channels last" else np.repeat(x, 2, axis=0)[::2] if memory == "gaps" else x.copy("C")


def upstream(model, x):
    return np.random.default_rng(4).standard_normal(model(x).shape).astype(x.dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("tail", TAILS)
@pytest.mark.parametrize("convolution", CONVOLUTIONS)
def test_a_block_is_its_layers_one_by_one(convolution, tail, dtype):
    model, x = network(convolution, tail, dtype), pictures(convolution, dtype)
    if any(side < 3 for side in model.layers[0].output_shape(x.shape[1:])[1:]):
        pytest.skip("too small for the windows")
    assert_close(*both(passes, model, x, upstream(model, x)), scale=40)


@pytest.mark.parametrize("groups", [1, 2, 4, 8])
@pytest.mark.parametrize("channels", [8, 16])
def test_groups_are_convolutions_side_by_side(groups, channels):
    """Also with as many groups as channels, also as a part of an image with gaps in memory."""
    rng = np.random.default_rng(1)
    for moves in ({"padding": 1}, {"stride": 2, "padding": (0, 2), "dilation": (2, 1)}):
        layers = [Conv2d(channels, 2 * channels, 3, rng, groups=groups, **moves), MaxPool2d(2), ReLU()]
        model, x = Sequential(*layers), rng.standard_normal((3, 2 * channels, 12, 11)).astype("f")[:, ::2]
        _, caches = model.forward(x)
        assert [type(one) for one in caches] == [BlockCache, ComputedInBlock, ComputedInBlock]
        dy, into = upstream(model, x), np.empty_like(model.vector)
        assert_close(*both(passes, model, x, dy), scale=40)
        model.parameter_gradients(dy, caches, into=into)
        np.testing.assert_array_equal(into, model.flat_gradient(model.parameter_gradients(dy, caches)))


@pytest.mark.parametrize("shape", [(2, 12, 8, 8), (2, 16, 8, 8), (2, 8, 64)])
def test_what_does_not_fit_the_groups_is_refused_as_before(shape):
    model = network("groups", "pool and relu", "float32")
    with pytest.raises(ShapeError, match=r"layer 0.*x has shape .*must be \(N, 8, H, W\)"):
        model(np.ones(shape, "f"))


@pytest.mark.parametrize("memory", ["gaps", "channels first"])
@pytest.mark.parametrize("count", [1, 2, 5])
def test_memory_order_and_number_of_images_do_not_matter(memory, count):
    for convolution in ("3x3, the teacher's first", "3x3, the teacher's second", "stride 2"):
        model = network(convolution, "pool and relu", "float64")
        x = pictures(convolution, "float64", count, memory)
        dy = np.repeat(upstream(model, x), 2, axis=1)[:, ::2]
        assert_close(*both(passes, model, x, dy), scale=40)


def test_the_usual_networks_run_in_blocks():
    cases = {"3x3, the teacher's first": 2, "3x3, the teacher's second": 2, "5x5, the original teacher's": 2}
    for convolution, inside in cases.items():
        model = network(convolution, "pool and relu", "float32")
        _, cache = model.forward(pictures(convolution, "float32"))
        assert [type(one) for one in cache] == [BlockCache, *[ComputedInBlock] * inside]
        with numpy_alone():
            _, cache = model.forward(pictures(convolution, "float32"))
        assert not {BlockCache, ComputedInBlock} & {type(one) for one in cache}


@pytest.mark.parametrize("convolution", ["3x3, the teacher's first", "3x3, the teacher's second", "7x7"])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_stays_visible(convolution, value):
    """Beside it, Winograd's sums may make NaN of what the plain sums leave finite: at most three pixels away."""
    model, x = network(convolution, "pool and relu", "float32"), pictures(convolution, "float32", count=2)
    x[1, :, 4, 5] = value
    found, wanted = both(model, x)
    np.testing.assert_array_equal(found[0].shape, wanted[0].shape)
    assert_close(found[0], wanted[0], scale=40)
    assert not np.isfinite(found[~np.isfinite(wanted)]).any()
    assert np.isfinite(found).mean() > 0.5


def test_of_equals_the_first_wins():
    """Few different values: every window has ties, exact ones, since all sums are small whole numbers."""
    for convolution in ("3x3, the teacher's first", "3x3, the teacher's second", "5x5, the original teacher's", "1x1"):
        model = network(convolution, "pool and relu", "float64")
        model.vector = np.random.default_rng(5).integers(-1, 2, model.vector.shape)
        x = np.round(pictures(convolution, "float64"))
        found, wanted = both(passes, model, x, upstream(model, x))
        assert_close(found, wanted, scale=40)


def test_a_tap_inside_a_block_ends_it():
    model = network("3x3, few channels", "pool and relu", "float64")
    x = pictures("3x3, few channels", "float64")
    for name in ("0", "1", "2"):

        def with_tap(name=name):
            y, taps, cache = model.forward_with_taps(x, [name])
            dx, grads = model.backward(np.ones_like(y), cache, {name: np.ones_like(taps[name])})
            return [y, taps[name], dx, *grads.values()]

        assert_close(*both(with_tap), scale=40)


def test_a_gradient_by_an_output_inside_a_block_is_refused_where_nobody_asked_for_it():
    model, x = network("3x3, few channels", "pool and relu", "float32"), pictures("3x3, few channels", "float32")
    y, cache = model.forward(x)
    with pytest.raises(ConfigError, match=r"layer 1.*forward_with_taps\(x, \['1'\]\)"):
        model.backward(y, cache, {"1": y})
    dx = model.backward(y, cache, {"2": y})[0]
    assert_close(dx, model.backward(2 * y, cache)[0])


def test_the_number_of_threads_does_not_matter():
    rng = np.random.default_rng(6)
    features = [
        Conv2d(1, 32, 3, rng, padding=1),
        MaxPool2d(2),
        ReLU(),
        Conv2d(32, 16, 3, rng, padding=1),
        BatchNorm2d(16),
    ]
    model = Sequential(*features, Flatten(), Linear(16 * 49, 10, rng))
    batches = [rng.standard_normal((9, 1, 14, 14)).astype("f") for _ in range(6)]

    def gradient(x):
        y, cache = model.forward(x, training=True)
        return y, model.flat_gradient(model.parameter_gradients(y, cache))

    alone = [gradient(x) for x in batches]
    with workers(4) as map_:
        for (y, g), (wanted, wanted_g) in zip(map_(gradient, batches), alone, strict=True):
            np.testing.assert_array_equal(y, wanted)
            np.testing.assert_array_equal(g, wanted_g)
