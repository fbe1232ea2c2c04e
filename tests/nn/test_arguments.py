"""Every function of the contract refuses what its layer refuses, with what was found."""

import math

import numpy as np
import pytest

from minikd import losses, metrics, nn, norms, optim, schedules
from minikd.checks import check_float, number, whole_number
from minikd.data import Views, mean_and_std
from minikd.errors import ConfigError, DataError, DtypeError, ShapeError
from minikd.losses import cross_entropy, kl_divergence, virtual_teacher
from minikd.losses.features.attention import attention_transfer
from minikd.nn.activations import gelu, leaky_relu, relu, sigmoid, tanh
from minikd.nn.conv import conv2d
from minikd.nn.dropout import dropout
from minikd.nn.linear import linear
from minikd.nn.normalization import normalize, normalize_fixed
from minikd.nn.pooling import avg_pool2d, global_avg_pool2d, max_pool2d
from minikd.training.inference import logits_of
from tests import problems


def ones(*shape, dtype=np.float32):
    return np.ones(shape, dtype)


X, W, B = ones(2, 4, 5, 6), ones(6, 4, 3, 3), ones(6)
ROWS = ones(5, 3)
ONE, ZERO = ones(1, 3), np.zeros((1, 3), np.float32)


def conv(**given):
    return lambda: conv2d(X, W, B, **given)


CONVOLUTIONS = {
    "O not divisible by groups": (
        lambda: conv2d(X, ones(3, 2, 3, 3), ones(3), groups=2),
        ConfigError,
        "out_channels=3, gr",
    ),
    "groups 0": (conv(groups=0), ConfigError, "groups is 0"),
    "groups -1": (conv(groups=-1), ConfigError, "groups is -1"),
    "groups 1.0": (conv(groups=1.0), ConfigError, r"groups is 1\.0"),
    "stride 0": (conv(stride=(1, 0)), ConfigError, r"conv2d's stride is \(1, 0\)"),
    "stride -1": (conv(stride=-1), ConfigError, "conv2d's stride is -1"),
    "stride of three": (conv(stride=(1, 1, 1)), ConfigError, "or two of them"),
    "stride nan": (conv(stride=math.nan), ConfigError, "stride is nan"),
    "padding -1": (conv(padding=(0, -1)), ConfigError, r"conv2d's padding is \(0, -1\)"),
    "dilation 0": (conv(dilation=0), ConfigError, "conv2d's dilation is 0"),
    "kernel larger than the image": (conv(dilation=4), ShapeError, "does not fit into an image of 5x6"),
    "bias too long": (lambda: conv2d(X, W, ones(7)), ShapeError, r"b has shape \(7,\), but must be \(6,\)"),
    "bias of one": (lambda: conv2d(X, W, ones(1)), ShapeError, r"b has shape \(1,\), but must be \(6,\)"),
    "bias of two axes": (lambda: conv2d(X, W, ones(6, 1)), ShapeError, r"b has shape \(6, 1\)"),
    "bias in float64": (lambda: conv2d(X, W, ones(6, dtype=np.float64)), DtypeError, "w is float32, but b is float64"),
    "x of three axes": (lambda: conv2d(X[0], W, B), ShapeError, r"x has shape \(4, 5, 6\)"),
    "w of three axes": (lambda: conv2d(X, W[0], B), ShapeError, r"w has shape \(4, 3, 3\), but must have 4 axes"),
    "a kernel of no width": (lambda: conv2d(X, W[..., :0], B), ShapeError, r"w has shape \(6, 4, 3, 0\)"),
    "no outputs": (lambda: conv2d(X, W[:0], B[:0]), ShapeError, r"w has shape \(0, 4, 3, 3\)"),
    "other channels": (lambda: conv2d(X, W, B, groups=2), ShapeError, r"must be \(N, 8, H, W\)"),
    "images without pixels": (lambda: conv2d(X[:, :, :0], W, B, padding=3), ShapeError, "without a single pixel"),
}
POOLINGS = {
    f"{pool.__name__}, {name}": (lambda pool=pool, given=given: pool(X, *given), error, message)
    for pool in (max_pool2d, avg_pool2d)
    for name, given, error, message in (
        (
            "padding beyond half",
            ((3, 3), (1, 1), (2, 0)),
            ConfigError,
            r"padding is \(2, 0\), but must be at most half",
        ),
        ("padding -1", (3, 1, -1), ConfigError, "padding is -1"),
        ("stride 0", (2, (0, 1)), ConfigError, r"stride is \(0, 1\)"),
        ("stride -2", (2, -2), ConfigError, "stride is -2"),
        ("kernel 0", (0, 1), ConfigError, "kernel_size is 0"),
        ("kernel 2.0", (2.0, 1), ConfigError, r"kernel_size is 2\.0"),
        ("kernel too large", (6, 1), ShapeError, "window of 6x6 .* does not fit into an image of 5x6"),
    )
}
POOLINGS["global, without pixels"] = (lambda: global_avg_pool2d(X[..., :0]), ShapeError, "without a single pixel")
NORMS = {
    "an empty batch": (lambda: normalize(ROWS[:0], ONE, ZERO, (0,), 1e-5), ShapeError, "has 0 values for each mean"),
    "a batch of one": (lambda: normalize(ROWS[:1], ONE, ZERO, (0,), 1e-5), ShapeError, "has 1 values for each mean"),
    "no axes": (lambda: normalize(ROWS, ONE, ZERO, (), 1e-5), ShapeError, r"no mean over the axes \(\)"),
    "an axis too many": (lambda: normalize(ROWS, ONE, ZERO, (2,), 1e-5), ShapeError, r"no mean over the axes \(2,\)"),
    "an axis twice": (
        lambda: normalize(ROWS, ONE, ZERO, (0, -2), 1e-5),
        ShapeError,
        r"no mean over the axes \(0, -2\)",
    ),
    "eps 0": (lambda: normalize(ROWS, ONE, ZERO, (0,), 0.0), ConfigError, r"normalize's eps is 0\.0"),
    "eps nan": (lambda: normalize(ROWS, ONE, ZERO, (0,), math.nan), ConfigError, "eps is nan"),
    "eps inf": (lambda: normalize(ROWS, ONE, ZERO, (0,), math.inf), ConfigError, "eps is inf"),
    "gamma too long": (lambda: normalize(ROWS, ones(4), ZERO, (0,), 1e-5), ShapeError, r"gamma has shape \(4,\)"),
    "gamma larger": (lambda: normalize(ROWS, ones(2, 5, 3), ZERO, (0,), 1e-5), ShapeError, r"gamma has shape \(2, 5"),
    "beta for each row": (lambda: normalize(ROWS, ONE, ones(5), (0,), 1e-5), ShapeError, r"beta has shape \(5,\)"),
    "beta in float64": (lambda: normalize(ROWS, ONE, ZERO.astype("f8"), (0,), 1e-5), DtypeError, "beta is float64"),
    "mean too long": (
        lambda: normalize_fixed(ROWS, ONE, ZERO, ones(4), ONE, (0,), 1e-5),
        ShapeError,
        r"normalize_fixed: mean has shape \(4,\)",
    ),
    "var in float64": (
        lambda: normalize_fixed(ROWS, ONE, ZERO, ZERO, ONE.astype("f8"), (0,), 1e-5),
        DtypeError,
        "var is float64",
    ),
    "BatchNorm1d, empty": (lambda: nn.BatchNorm1d(3).forward(ROWS[:0], True), ShapeError, "has 0 values"),
    "BatchNorm2d, empty": (lambda: nn.BatchNorm2d(4).forward(X[:0], True), ShapeError, "use a batch of at least 2"),
    "BatchNorm2d, no pixels": (lambda: nn.BatchNorm2d(4).forward(X[..., :0], True), ShapeError, "has 0 values"),
    "LayerNorm of one": (lambda: nn.LayerNorm(1), ConfigError, "must hold at least 2 values"),
    "LayerNorm of 2.5": (lambda: nn.LayerNorm(2.5), ConfigError, r"a size is 2\.5"),
    "BatchNorm of nan": (lambda: nn.BatchNorm1d(3, momentum=math.nan), ConfigError, "momentum is nan"),
}
REST = {
    "linear, bias too long": (lambda: linear(ROWS, ones(2, 3), ones(3)), ShapeError, r"b has shape \(3,\).*\(2,\)"),
    "linear, bias of one": (lambda: linear(ROWS, ones(2, 3), ones(1)), ShapeError, r"b has shape \(1,\)"),
    "linear, w of one axis": (lambda: linear(ROWS, ones(3), ones(3)), ShapeError, "w has shape .* must have 2 axes"),
    "linear, other length": (lambda: linear(ROWS, ones(2, 4), ones(2)), ShapeError, r"x has shape \(5, 3\)"),
    "leaky_relu, nan": (lambda: leaky_relu(ROWS, math.nan), ConfigError, "leaky_relu's negative_slope is nan"),
    "leaky_relu, inf": (lambda: leaky_relu(ROWS, math.inf), ConfigError, "leaky_relu's negative_slope is inf"),
    "leaky_relu, text": (lambda: leaky_relu(ROWS, "0.1x"), ConfigError, r"negative_slope is '0\.1x'"),
    "dropout, 1": (lambda: dropout(ROWS, 1.0, np.random.default_rng(0)), ConfigError, r"dropout's p is 1\.0"),
    "dropout, -0.1": (lambda: dropout(ROWS, -0.1, np.random.default_rng(0)), ConfigError, r"p is -0\.1"),
    "dropout, nan": (lambda: dropout(ROWS, math.nan, np.random.default_rng(0)), ConfigError, "p is nan"),
    "dropout, a seed": (lambda: dropout(ROWS, 0.5, 3), ConfigError, "rng is 3, but must be a generator"),
    "Linear, 2.5": (lambda: nn.Linear(2.5, 3, np.random.default_rng(0)), ConfigError, r"in_features is 2\.5"),
    "metrics, bins": (lambda: metrics.reliability(ROWS, np.zeros(5, int), 0), ConfigError, "bins is 0"),
    "metrics, half a bin": (lambda: metrics.ece(ROWS, np.zeros(5, int), 2.5), ConfigError, r"bins is 2\.5"),
    "inference of nothing": (
        lambda: logits_of(problems.mlp(), Views(X[:0, :1], np.zeros(0, int), (0.0,), (1.0,)), map),
        DataError,
        "there are no images; give at least one",
    ),
    "mean of no images": (lambda: mean_and_std(X[:0]), DataError, "no images to take the mean of"),
    "clipping a matrix": (lambda: norms.clip_by_norm(ROWS, 1.0), ShapeError, "must be the flat gradient"),
    "clipping at nan": (lambda: norms.clip_by_norm(ones(3), math.nan), ConfigError, "max_norm is nan"),
    "limit 0": (lambda: norms.limit_weights(ones(3, 3), 0.0), ConfigError, r"max_norm is 0\.0"),
    "limit nan": (lambda: norms.limit_weights(ones(3, 3), math.nan), ConfigError, "max_norm is nan"),
    "limit of a bias": (lambda: norms.limit_weights(ones(3), 1.0), ShapeError, r"weight has shape \(3,\)"),
    "adam, one beta": (lambda: optim.Adam(betas=0.9), ConfigError, r"betas is 0\.9"),
    "adam, eps text": (lambda: optim.Adam(eps="small"), ConfigError, "eps is 'small'"),
    "sgd, momentum text": (lambda: optim.SGD(momentum="heavy"), ConfigError, "momentum is 'heavy'"),
    "adam, decay nan": (lambda: optim.Adam(weight_decay=math.nan), ConfigError, "weight_decay is nan"),
    "warm-up nan": (lambda: schedules.warm_up(schedules.constant(0.1), math.nan), ConfigError, "steps is nan"),
    "half a step": (lambda: schedules.cosine(0.1, 2.5), ConfigError, r"total is 2\.5"),
    "steps nan": (lambda: schedules.step_decay(0.1, math.nan), ConfigError, "every is nan"),
    "run of nan steps": (lambda: schedules.build("constant", 0.1, math.nan), ConfigError, "total_steps is nan"),
    "a second stage at -1": (
        lambda: schedules.in_turn(schedules.constant(0.1), schedules.constant(0.2), -1),
        ConfigError,
        "start is -1",
    ),
    "rate text": (lambda: schedules.constant("fast"), ConfigError, "learning rate is 'fast'"),
    "temperature 0": (lambda: kl_divergence(ROWS, ROWS, 0.0), ConfigError, r"temperature is 0\.0"),
    "temperature too low for float32": (lambda: kl_divergence(ROWS, ROWS, 1e-50), ConfigError, "temperature is 1e-50"),
    "temperature too high for float32": (
        lambda: kl_divergence(ROWS, ROWS, 1e30),
        ConfigError,
        r"temperature is 1e\+30",
    ),
    "temperature text": (lambda: kl_divergence(ROWS, ROWS, "hot"), ConfigError, "temperature is 'hot'"),
    "temperature None": (lambda: kl_divergence(ROWS, ROWS, None), ConfigError, "temperature is None"),
    "smoothing nan": (lambda: cross_entropy(ROWS, np.zeros(5, int), math.nan), ConfigError, "label_smoothing is nan"),
    "half a class": (lambda: virtual_teacher(np.zeros(2, int), 2.5), ConfigError, r"classes is 2\.5"),
    "attention nan": (lambda: attention_transfer(X, X, math.nan), ConfigError, "p is nan"),
}
EVERY = {**CONVOLUTIONS, **POOLINGS, **NORMS, **REST}


@pytest.mark.parametrize(("call", "error", "message"), EVERY.values(), ids=EVERY)
def test_what_cannot_be_is_refused(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_an_empty_batch_leaves_the_running_statistics_alone():
    layer = nn.BatchNorm2d(3)
    before = {name: value.copy() for name, value in layer.state.items()}
    with pytest.raises(ShapeError):
        layer.update_state(layer.forward(np.ones((0, 3, 2, 2), np.float32), training=True)[1])
    assert all(np.array_equal(value, before[name]) for name, value in layer.state.items())


def test_numbers_of_numpy_are_as_good_as_pythons_and_turn_nothing_into_float64():
    half, rng = np.float64(0.5), np.random.default_rng(0)
    assert leaky_relu(-ROWS, half)[0].dtype == np.float32
    assert dropout(ROWS, half, rng)[0].dtype == np.float32
    assert normalize(ROWS, ONE, ZERO, (0,), np.float64(1e-5))[0].dtype == np.float32
    assert cross_entropy(ROWS, np.zeros(5, int), np.float64(0.1))[1].dtype == np.float32
    assert kl_divergence(ROWS, ROWS, np.float64(2))[1].dtype == np.float32
    assert conv2d(X, W, B, np.int64(2), (np.int32(1), 0))[0].shape == (2, 6, 3, 2)
    layer = nn.Linear(np.int64(3), np.int32(2), rng)
    assert {type(value) for value in layer.config().values()} == {int}
    assert {type(value) for value in nn.BatchNorm1d(np.int64(3), np.float32(1e-3)).config().values()} == {int, float}


OTHER_FLOATS = (np.float16, np.longdouble, np.complex64)
FLOAT_FUNCTIONS = {
    "conv2d": lambda d: conv2d(X.astype(d), W.astype(d), B.astype(d)),
    "linear": lambda d: linear(ROWS.astype(d), ones(2, 3, dtype=d), ones(2, dtype=d)),
    "max_pool2d": lambda d: max_pool2d(X.astype(d), 2, 2),
    "avg_pool2d": lambda d: avg_pool2d(X.astype(d), 2, 2),
    "global_avg_pool2d": lambda d: global_avg_pool2d(X.astype(d)),
    "normalize": lambda d: normalize(ROWS.astype(d), ONE.astype(d), ZERO.astype(d), (0,), 1e-5),
    "relu": lambda d: relu(ROWS.astype(d)),
    "leaky_relu": lambda d: leaky_relu(ROWS.astype(d)),
    "sigmoid": lambda d: sigmoid(ROWS.astype(d)),
    "tanh": lambda d: tanh(ROWS.astype(d)),
    "gelu": lambda d: gelu(ROWS.astype(d)),
    "dropout": lambda d: dropout(ROWS.astype(d), 0.5, np.random.default_rng(0)),
    "cross_entropy": lambda d: cross_entropy(ROWS.astype(d), np.zeros(5, int)),
    "kl_divergence": lambda d: kl_divergence(ROWS.astype(d), ROWS.astype(d)),
    "attention_transfer": lambda d: attention_transfer(X.astype(d), X.astype(d)),
    "metrics": lambda d: metrics.accuracy(ROWS.astype(d), np.zeros(5, int)),
    "adam": lambda d: optim.Adam().init(ones(3, dtype=d)),
    "a step": lambda d: optim.SGD().step(ones(3, dtype=d), ones(3, dtype=d), {"step": np.zeros((), np.int64)}, 0.1),
    "softmax_backward": lambda d: losses.softmax_backward(ROWS.astype(d), ROWS.astype(d)),
    "log_softmax_backward": lambda d: losses.log_softmax_backward(ROWS.astype(d), ROWS.astype(d)),
    "mse": lambda d: losses.mse(ROWS.astype(d), ROWS.astype(d)),
    "unit_rows": lambda d: losses.unit_rows(ROWS.astype(d)),
    "unit_rows_backward": lambda d: losses.unit_rows_backward(ROWS.astype(d), ROWS.astype(d), ROWS[:, :1].astype(d)),
    "limit_weights": lambda d: norms.limit_weights(ROWS.astype(d), 1.0),
    "Flatten": lambda d: nn.Flatten().forward(X.astype(d)),
    "Dropout": lambda d: nn.Dropout(0.5).forward(ROWS.astype(d)),
    "clip_by_norm": lambda d: norms.clip_by_norm(ones(3, dtype=d), 1.0),
}


@pytest.mark.numpy_only("CuPy has no longdouble")
@pytest.mark.parametrize("dtype", OTHER_FLOATS, ids=lambda dtype: dtype.__name__)
@pytest.mark.parametrize("function", FLOAT_FUNCTIONS.values(), ids=FLOAT_FUNCTIONS)
def test_floats_that_the_engine_does_not_compute_in_are_refused(function, dtype):
    with pytest.raises(DtypeError, match=f"is {np.dtype(dtype)}, but must be float32 or float64"):
        function(dtype)


def test_a_model_cannot_be_trained_on_views_in_float16():
    views = problems.views(dtype=np.float16)
    assert isinstance(views, Views)
    with pytest.raises(DtypeError, match="x is float16, but must be float32"):
        logits_of(problems.mlp(), views, map)


@pytest.mark.parametrize("given", [2, np.int8(2), np.uint64(2), True + 1])
def test_whole_numbers_come_back_as_pythons(given):
    assert whole_number(given, "it", 2) == 2
    assert type(whole_number(given, "it", 2)) is int


@pytest.mark.parametrize("given", [1, 2.0, "2", None, np.float32(2), math.nan, [2]])
def test_what_is_no_whole_number_or_too_small_is_refused(given):
    with pytest.raises(ConfigError, match=r"it is .*, but must be a whole number of at least 2"):
        whole_number(given, "it", 2)


def test_what_is_no_number_is_nan():
    assert number(np.float32(0.5)) == number(0.5) == 0.5
    assert type(number(np.float64(2))) is float
    assert all(math.isnan(number(given)) for given in ("x", None, [1.0, 2.0], 10**400, 1j))


def test_bytes_in_the_other_order_are_refused():
    with pytest.raises(DtypeError, match="it is >f4, but must be float32 or float64"):
        check_float(np.ones(2, ">f4"), "it")
