"""A convolution, pooling and ReLU on a device against NumPy's layers one by one, and bugs planted in its kernels."""

import importlib

import numpy as np
import pytest

from minikd.backends import Backend, to_host
from minikd.backends.host import numpy_alone
from minikd.nn import Conv2d, Linear, ReLU, Sequential
from minikd.nn.blocks import BlockCache, ComputedInBlock
from tests import border
from tests.backends.loops.compare import assert_close
from tests.backends.loops.test_blocks import CONVOLUTIONS, TAILS, network, pictures, upstream

DEVICE, DTYPES = Backend("cupy", ""), ("float32", "float64")


@pytest.fixture(autouse=True)
def on_a_device(backend):
    if backend.name == "numpy":
        pytest.skip("of CuPy alone: pytest --backend cupy")
    with border.closed():
        yield


def passes(model, x, dy, put=lambda array: array):
    """Return everything that a forward and a backward pass give, on the host."""
    y, cache = model.forward(put(x))
    dx, grads = model.backward(put(dy), cache)
    alone = model.parameter_gradients(put(dy), cache)
    return [to_host(one) for one in (y, model(put(x)), dx, *grads.values(), *alone.values())]


def both(model, x, dy):
    """Return what a device's kernels answer, and NumPy's layers."""
    with np.errstate(all="ignore"), numpy_alone():
        return passes(model.copy().to(DEVICE), x, dy, DEVICE.put), passes(model, x, dy)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("tail", TAILS)
@pytest.mark.parametrize("convolution", sorted(CONVOLUTIONS.keys() - {"more weights than a loop covers"}))
def test_a_block_is_its_layers_one_by_one(convolution, tail, dtype):
    model, x = network(convolution, tail, dtype), pictures(convolution, dtype)
    if any(side < 3 for side in model.layers[0].output_shape(x.shape[1:])[1:]):
        pytest.skip("too small for the windows")
    assert_close(*both(model, x, upstream(model, x)), scale=40)


@pytest.mark.parametrize("memory", ["gaps", "channels first"])
@pytest.mark.parametrize("count", [1, 5])
def test_memory_order_and_number_of_images_do_not_matter(memory, count):
    for convolution in ("3x3, the teacher's second", "stride 2"):
        model = network(convolution, "pool and relu", "float64")
        x = pictures(convolution, "float64", count, memory)
        dy = np.repeat(upstream(model, x), 2, axis=1)[:, ::2]
        assert_close(*both(model, x, dy), scale=40)


def test_every_convolution_is_a_block_there():
    for convolution in CONVOLUTIONS:
        model, x = network(convolution, "pool and relu", "float32").to(DEVICE), pictures(convolution, "float32")
        _, cache = model.forward(DEVICE.put(x))
        assert [type(one) for one in cache] == [BlockCache, ComputedInBlock, ComputedInBlock]


GROUPED = {
    "depthwise": ((6, 6, 3), {"padding": 1, "groups": 6}),
    "depthwise, two outputs each, stride 2": ((4, 8, 3), {"stride": 2, "padding": 1, "groups": 4}),
    "wide groups of 1x1": ((40, 36, 1), {"groups": 2}),
    "dilation": ((6, 9, (3, 2)), {"stride": (2, 1), "dilation": (1, 2), "padding": (0, 1), "groups": 3}),
}


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("tail", ["alone", "pool and relu"])
@pytest.mark.parametrize("case", GROUPED)
def test_groups_with_a_bias_and_without(case, tail, bias):
    sizes, moves = GROUPED[case]
    rng = np.random.default_rng(6)
    conv = Conv2d(*sizes, rng, **moves, bias=bias)
    model = Sequential(conv, *(layer.copy() for layer in TAILS[tail])).astype("float64")
    model.vector = rng.standard_normal(model.vector.shape)
    x = rng.standard_normal((3, sizes[0], 9, 8))
    dy = rng.standard_normal(model(x).shape)
    assert_close(*both(model, x, dy), scale=40)
    there = model.copy().to(DEVICE)
    _, cache = there.forward(DEVICE.put(x))
    flat = DEVICE.put(np.full(model.size, np.nan))
    there.parameter_gradients(DEVICE.put(dy), cache, into=flat)
    grads = model.parameter_gradients(dy, model.forward(x)[1])
    np.testing.assert_allclose(to_host(flat), np.concatenate([one.ravel() for one in grads.values()]), atol=1e-9)


@pytest.mark.parametrize("relu", [True, False])
def test_a_dense_layer_without_a_bias(relu):
    rng = np.random.default_rng(6)
    model = Sequential(Linear(5, 4, rng, bias=False), *[ReLU()] * relu).astype("float64")
    x = rng.standard_normal((7, 5))
    assert_close(*both(model, x, upstream(model, x)), scale=40)
    assert type(model.copy().to(DEVICE).forward(DEVICE.put(x))[1][0]) is BlockCache


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_stays_visible(value):
    model, x = (
        network("3x3, the teacher's second", "pool and relu", "float32"),
        pictures("3x3, the teacher's second", "f4"),
    )
    x[1, :, 4, 5] = value
    with np.errstate(all="ignore"), numpy_alone():
        found, wanted = to_host(model.copy().to(DEVICE)(DEVICE.put(x))), model(x)
    assert_close(found, wanted, scale=40)
    assert not np.isfinite(wanted).all()


def test_of_equals_the_first_wins():
    """Few different values: every window has ties, exact ones, since all sums are small whole numbers."""
    for convolution in ("3x3, the teacher's second", "1x1"):
        model = network(convolution, "pool and relu", "float64")
        model.vector = np.random.default_rng(5).integers(-1, 2, model.vector.shape)
        x = np.round(pictures(convolution, "float64"))
        assert_close(*both(model, x, upstream(model, x)), scale=40)


BUGS = {
    "the kernel is turned": ("_GATHER", "r * move.tap_y", "(move.R - 1 - r) * move.tap_y"),
    "the last columns of the image are left out": ("_GATHER", "(unsigned)image.W;", "(unsigned)(image.W - 1);"),
    "the padding is forgotten": ("_GATHER", "p * move.step_y + move.from_y", "p * move.step_y"),
    "a tile of rows is left out": ("_FORWARD", "k0 < K; k0 += 16", "k0 < K - 16; k0 += 16"),
    "threads go on before the tile is whole": (
        "_FORWARD",
        "right[across][down + 16 * j] = b[j];\n            __syncthreads();",
        "right[across][down + 16 * j] = b[j];",
    ),
    "the bias is left out": ("_FORWARD", "has_bias ? bias[o]", "false ? bias[o]"),
    "ReLU hides NaN": ("_FORWARD", "relu && value < 0", "relu && !(value > 0)"),
    "db misses the last rows": ("_WEIGHTS", "T(k == K && m < last)", "T(k == K && m < last - 1)"),
    "a run of rows begins too late": (
        "_WEIGHTS",
        "first = blockIdx.z / groups * rows",
        "first = blockIdx.z / groups * rows + (blockIdx.z > 0)",
    ),
    "every eighth part is left out": ("_WEIGHTS", "int y = 1; y < 8", "int y = 2; y < 8"),
    "a group reads the first group's channels": ("_WEIGHTS", "x += group * image.C * image.c;", ""),
    "a group has the first group's weights": ("_FORWARD", "w += group * weight.group", "w += 0"),
    "a group writes where the first one does": ("_FORWARD", "(long long)m * groups + group)", "(long long)m * groups)"),
    "db of a group is the first group's": ("_WEIGHTS", "o = i / O / (K + 1) * O + i % O", "o = i % O"),
    "dw is not in the order of the weights": ("_WEIGHTS", "dw[(o * C + k % C) * RS + k / C]", "dw[o * C * RS + k]"),
}


@pytest.mark.parametrize("bug", BUGS)
def test_a_bug_in_a_kernel_is_seen(bug, monkeypatch):
    convolution = importlib.import_module("minikd.backends.cuda.convolution")
    name, right, wrong = BUGS[bug]
    source = getattr(convolution, name)
    assert right in source
    monkeypatch.setattr(convolution, name, source.replace(right, wrong))
    monkeypatch.setattr(convolution, "_kernel", convolution._kernel.__wrapped__)
    seen = 0
    for case, tail in (
        ("stride, dilation and padding of two axes", "alone"),
        ("3x3, the teacher's second", "relu"),
        ("groups", "alone"),
    ):
        model, x = network(case, tail, "float64"), pictures(case, "float64", count=4)
        x[0, :, 3, 3] = np.nan if "NaN" in bug else 1.0
        found, wanted = both(model, x, upstream(model, x))
        seen += any(not np.allclose(a, b, 1e-9, 1e-9, equal_nan=True) for a, b in zip(found, wanted, strict=True))
    assert seen
