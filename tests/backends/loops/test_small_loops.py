"""The loops over vectors, rows and images against NumPy's lines: random shapes and values, NaN, infinities, ties."""

import numpy as np
import pytest

from minikd import losses, optim
from minikd.backends.host import numpy_alone
from minikd.data import Augmentation, Views, augment
from minikd.data.draws import keys, uniform
from minikd.nn.activations import relu, relu_backward
from minikd.nn.conv import conv2d, conv2d_backward
from minikd.nn.pooling import max_pool2d, max_pool2d_backward
from tests.backends.loops.compare import DTYPES, assert_close, both, needs_loops

pytestmark = [needs_loops, pytest.mark.numpy_only("the loops are for NumPy's arrays")]

OPTIMIZERS = (
    optim.SGD(),
    optim.SGD(weight_decay=0.1),
    optim.SGD(0.9),
    optim.SGD(0.9, nesterov=True, weight_decay=0.1),
    optim.Adam(),
    optim.Adam(weight_decay=0.1),
    optim.AdamW(),
)


def steps(optimizer, params, gradients):
    """Return the parameters and the state after so many steps."""
    params, state = params.copy(), optimizer.init(params)
    for gradient in gradients:
        optimizer.step(params, gradient, state, 1e-2)
    return params, *(state[name] for name in sorted(state))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=repr)
def test_an_optimiser_takes_the_same_steps(optimizer, dtype):
    rng = np.random.default_rng(0)
    for size in (0, 1, 7, 101, 40_000):
        params = rng.standard_normal(size).astype(dtype)
        gradients = (rng.standard_normal((70, size)) * 10.0 ** rng.integers(-6, 3, size)).astype(dtype)
        found, wanted = both(steps, optimizer, params, gradients)
        assert_close(found, wanted, scale=70)


@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=repr)
def test_an_optimiser_passes_nan_and_infinity_on(optimizer):
    params = np.ones(64, np.float32)
    gradients = np.zeros((3, 64), np.float32)
    gradients[1, 5], gradients[1, 17] = np.nan, np.inf
    found, wanted = both(steps, optimizer, params, gradients)
    assert np.isnan(found[0][5])
    assert_close(found, wanted)


def test_an_optimiser_takes_a_view_with_gaps():
    rng = np.random.default_rng(0)
    wide = rng.standard_normal((4, 200)).astype(np.float32)
    found, wanted = both(steps, optim.Adam(), wide[0, ::2], wide[1:, ::2])
    assert_close(found, wanted, scale=4)


def test_what_fades_into_subnormal_numbers_becomes_zero():
    state = {"step": np.array(optim.FLUSH_EVERY - 1), "m": np.full(3, 1e-40, "f"), "v": np.full(3, 1e-40, "f")}
    optim.Adam().step(np.ones(3, "f"), np.zeros(3, "f"), state, 1e-3)
    assert not state["m"].any()
    assert not state["v"].any()


def logits(rng, dtype):
    """Yield pairs of logits (N, K): ordinary ones, huge ones, classes excluded, NaN, infinity, ties."""
    for N, K in ((1, 1), (1, 10), (5, 3), (128, 10), (17, 300)):
        z, v = rng.standard_normal((2, N, K)).astype(dtype)
        yield z, v
        yield 1e4 * z, 1e4 * v
        yield np.zeros_like(z), np.round(v)
        for value in (np.nan, np.inf, -np.inf):
            broken = z.copy()
            broken[N // 2, K // 2] = value
            yield broken, v
            yield z, np.where(np.isnan(broken) | np.isinf(broken), broken, v)
            yield broken, broken
    yield np.asfortranarray(z), np.repeat(v, 2, axis=1)[:, ::2]


@pytest.mark.parametrize("dtype", DTYPES)
def test_softmax_and_its_losses_are_the_same(dtype):
    rng = np.random.default_rng(1)
    for z, v in logits(rng, dtype):
        N, K = z.shape
        labels = rng.integers(0, K, N)
        for T in (0.5, 4.0):
            assert_close(*both(losses.log_softmax, z, T), scale=4)
            assert_close(*both(losses.kl_divergence, z, v, T), scale=60)
        for kind in (np.int64, np.uint8 if K < 256 else np.int16):
            for smoothing in (0.0, 0.1):
                assert_close(*both(losses.cross_entropy, z, labels.astype(kind), smoothing), scale=20)
        assert_close(*both(losses.distillation_loss, z, v, labels), scale=60)


def test_two_far_logits_keep_their_digits():
    z = np.array([[1e6, 1e6 + 1.0]], np.float32)
    assert_close(losses.log_softmax(z), np.array([[-1.3132617, -0.3132617]], np.float32))


def images(rng, dtype):
    """Yield images (N, C, H, W) in several memory orders, some of few values, so that many are equal."""
    for shape in ((1, 1, 6, 7), (2, 3, 9, 8), (3, 16, 6, 6)):
        x = rng.standard_normal(shape).astype(dtype)
        yield x
        yield np.ascontiguousarray(x.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)
        yield np.round(x)
        yield np.repeat(x, 2, axis=3)[..., ::2]
        yield x.transpose(0, 1, 3, 2)
        for value in (np.nan, np.inf, -np.inf):
            y = np.round(x)
            y[:, :, 2:5, 1:4] = value
            yield y


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("windows", [(2, 2, 0), (3, 2, 1), (2, 1, 1), ((1, 3), (2, 1), (0, 1)), (4, 5, 2), (1, 1, 0)])
def test_max_pooling_is_the_same_to_the_bit(windows, dtype):
    rng = np.random.default_rng(2)
    for x in images(rng, dtype):
        (y, cache), (wanted, wanted_cache) = both(max_pool2d, x, *windows)
        np.testing.assert_array_equal(y, wanted)
        np.testing.assert_array_equal(cache.column, wanted_cache.column)
        np.testing.assert_array_equal(cache.row, wanted_cache.row)
        dy = rng.standard_normal(y.shape).astype(dtype)
        assert_close(*both(max_pool2d_backward, dy, cache))


def test_relu_passes_back_where_it_was_positive():
    rng = np.random.default_rng(3)
    for x in images(rng, np.float32):
        y, cache = relu(x)
        for dy in (rng.standard_normal(x.shape).astype(np.float32), y):
            np.testing.assert_array_equal(*both(relu_backward, dy, cache))
    assert relu_backward(np.full(3, np.nan, "f"), relu(np.array([-1, 0, 1], "f"))[1])[2] != 0


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_strided_convolution_adds_its_windows_back(dtype):
    rng = np.random.default_rng(4)
    x, b = rng.standard_normal((3, 4, 11, 9)).astype(dtype), np.zeros(6, dtype)
    for stride, padding, dilation, groups in ((2, 1, 1, 1), ((2, 3), (0, 2), (2, 1), 2), (1, 4, 1, 1)):
        w = rng.standard_normal((6, 4 // groups, 3, 2)).astype(dtype)
        y, cache = conv2d(x, w, b, stride, padding, dilation, groups)
        assert_close(*both(conv2d_backward, y, cache), scale=40)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("pixels", ["uint8", "float32", "float64"])
def test_pixels_are_normalized_alike(pixels, dtype):
    rng = np.random.default_rng(5)
    for shape in ((7, 1, 28, 28), (3, 3, 5, 4), (2, 2, 1, 1)):
        images = rng.integers(0, 256, shape).astype("u1") if pixels == "uint8" else rng.random(shape).astype(pixels)
        for stored in (images, images.transpose(0, 1, 3, 2), np.repeat(images, 2, axis=0)[::2]):
            stored.flags.writeable = False
            C = shape[1]
            views = Views(
                stored, np.zeros(len(stored), int), (0.25,) * C, (0.5, 0.25, 0.1)[:C], dtype=np.dtype(dtype).type
            )
            for index in (slice(1, None), slice(0, 0), np.array([1, 0, 1])):
                assert_close(*both(views.clean, index), scale=4)
    broken = Views(np.array([[[[np.nan, np.inf]]]], "f"), np.zeros(1, int), (0.0,), (1.0,))
    np.testing.assert_array_equal(*both(broken.clean))


VARIED = [
    Augmentation(shift=30),
    Augmentation(shift=2, rotation=40, scale=0.5),
    Augmentation(rotation=180, elastic=3.0, elastic_smoothing=1.5),
]


@pytest.mark.parametrize("pixels", ["uint8", "float32", "float64"])
@pytest.mark.parametrize("augmentation", VARIED, ids=str)
def test_images_are_augmented_alike(augmentation, pixels):
    """Up to rounding: a position that rounds otherwise, by 1e-6 pixels, meets neighbours that differ by up to 1."""
    rng = np.random.default_rng(6)
    for shape in ((7, 1, 28, 28), (3, 3, 5, 4), (2, 2, 1, 1), (0, 1, 4, 4)):
        images = rng.random(shape)
        images = (images * 255).astype("u1") if pixels == "uint8" else images.astype(pixels)
        for stored in (images, images.transpose(0, 1, 3, 2), np.repeat(images, 2, axis=0)[::2]):
            stored.flags.writeable = False
            found, wanted = both(augment, stored, augmentation, 3, 4, np.arange(len(stored)))
            assert (found.shape, found.dtype) == (wanted.shape, np.float32)
            np.testing.assert_allclose(found, wanted, rtol=0, atol=(255 if pixels == "uint8" else 1) * 3e-5)


def test_a_broken_pixel_stays_visible_where_it_is():
    images = np.zeros((1, 1, 6, 6), "f")
    images[0, 0, 2, 2] = np.nan
    found, wanted = both(augment, images, Augmentation(shift=1), 0, 0, np.arange(1))
    assert np.isnan(found).any()
    np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize("count", [1, 2, 5, 1568])
def test_random_numbers_are_the_same_to_the_bit(count):
    key, index = keys(0, 0, 1)[0], np.array([0, 7, 59_999, 3], np.int64)
    np.testing.assert_array_equal(*both(uniform, key, index, count))


def test_numpy_alone_is_numpy_alone():
    from minikd.backends import kernels_of

    assert kernels_of(np.ones(1)) is not None
    with numpy_alone():
        assert kernels_of(np.ones(1)) is None
