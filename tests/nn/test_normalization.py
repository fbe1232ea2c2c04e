import numpy as np
import pytest

from minikd import nn
from minikd.errors import ConfigError, DtypeError, ShapeError
from minikd.nn.normalization import normalize

X = np.array([[1.0, 10.0], [3.0, 20.0], [8.0, 60.0]], np.float32)  # means 4 and 30, variances 26/3 and 1400/3


def random(shape):
    return (5 + 3 * np.random.default_rng(0).standard_normal(shape)).astype(np.float32)


def test_training_normalises_by_the_batch_with_the_biased_variance():
    y, _ = nn.BatchNorm1d(2, eps=1e-5).forward(X, training=True)
    np.testing.assert_allclose(y[:, 0], (X[:, 0] - 4) / np.sqrt(26 / 3 + 1e-5), rtol=1e-6)
    np.testing.assert_allclose(y[:, 1], (X[:, 1] - 30) / np.sqrt(1400 / 3 + 1e-5), rtol=1e-6)


def test_running_statistics_by_hand_with_the_unbiased_variance():
    layer = nn.BatchNorm1d(2, momentum=0.1)
    layer.update_state(layer.forward(X, training=True)[1])
    np.testing.assert_allclose(layer.state["running_mean"], [0.4, 3.0], rtol=1e-6)
    np.testing.assert_allclose(layer.state["running_var"], [0.9 + 0.1 * 13, 0.9 + 0.1 * 700], rtol=1e-6)
    assert layer.state["num_batches_tracked"] == 1


def test_running_statistics_of_images_count_every_pixel():
    layer, x = nn.BatchNorm2d(3, momentum=1.0), random((2, 3, 4, 5))
    layer.update_state(layer.forward(x, training=True)[1])
    np.testing.assert_allclose(layer.state["running_mean"], x.mean((0, 2, 3)), rtol=1e-5)
    np.testing.assert_allclose(layer.state["running_var"], x.var((0, 2, 3), ddof=1), rtol=1e-5)


def test_evaluation_uses_what_is_remembered_and_not_the_batch():
    layer = nn.BatchNorm1d(2, eps=1e-5)
    layer.state["running_mean"][:], layer.state["running_var"][:] = [1, 2], [4, 9]
    layer.params["weight"][:], layer.params["bias"][:] = [2, 3], [5, 6]
    y, _ = layer.forward(X)
    wanted = np.array([2, 3]) * (X - [1, 2]) / np.sqrt(np.array([4, 9]) + 1e-5) + [5, 6]
    np.testing.assert_allclose(y, wanted, rtol=1e-6)
    assert np.array_equal(layer.forward(X[:1])[0], y[:1])


@pytest.mark.parametrize("training", [True, False])
def test_a_forward_pass_leaves_the_state_alone(training):
    layer = nn.BatchNorm1d(2)
    before = {name: value.copy() for name, value in layer.state.items()}
    _, cache = layer.forward(X, training)
    layer.backward(np.ones_like(X), cache)
    assert all(np.array_equal(layer.state[name], before[name]) for name in before)


def test_evaluation_has_nothing_to_remember():
    layer = nn.BatchNorm1d(2)
    with pytest.raises(DtypeError, match=r"FixedNormCache.*needs the NormCache"):
        layer.update_state(layer.forward(X)[1])


@pytest.mark.parametrize(("layer", "shape"), [(nn.BatchNorm1d(2), (1, 2)), (nn.BatchNorm2d(2), (1, 2, 1, 1))])
def test_one_value_a_channel_is_refused_in_training_and_fine_in_evaluation(layer, shape):
    with pytest.raises(ShapeError, match=r"has 1 values for each mean.*use a batch of at least 2 in train"):
        layer.forward(np.ones(shape, np.float32), training=True)
    assert layer.forward(np.ones(shape, np.float32))[0].shape == shape


def test_one_image_is_a_batch_of_its_pixels():
    y, _ = nn.BatchNorm2d(2).forward(random((1, 2, 3, 3)), training=True)
    np.testing.assert_allclose(y.mean((0, 2, 3)), 0, atol=1e-6)


def test_a_constant_channel_becomes_the_bias():
    layer = nn.BatchNorm1d(2)
    layer.params["bias"][:] = [7, 8]
    assert np.array_equal(layer.forward(np.ones((4, 2), np.float32), training=True)[0], [[7, 8]] * 4)


@pytest.mark.parametrize(("axes", "shape"), [((3,), (5,)), ((2, 3), (4, 5)), ((1, 2, 3), (3, 4, 5))])
def test_layer_norm_normalises_each_sample_over_its_last_axes(axes, shape):
    layer, x = nn.LayerNorm(shape), random((2, 3, 4, 5))
    rng = np.random.default_rng(1)
    for value in layer.params.values():
        value[...] = rng.standard_normal(shape)
    y, _ = layer.forward(x)
    wanted = (x - x.mean(axes, keepdims=True)) / np.sqrt(x.var(axes, keepdims=True) + 1e-5)
    np.testing.assert_allclose(y, wanted * layer.params["weight"] + layer.params["bias"], rtol=1e-4, atol=1e-5)
    grads = layer.backward(np.ones_like(x), layer.forward(x)[1])[1]
    assert grads["weight"].shape == grads["bias"].shape == shape


def test_layer_norm_is_the_same_in_training_and_does_not_look_across_the_batch():
    layer, x = nn.LayerNorm(5), random((4, 5))
    y, _ = layer.forward(x)
    assert np.array_equal(y, layer.forward(x, training=True)[0])
    np.testing.assert_allclose(layer.forward(x[:1])[0], y[:1], rtol=1e-6)
    assert not layer.across_batch


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: nn.BatchNorm1d(0), "BatchNorm1d's num_features is 0"),
        (lambda: nn.BatchNorm2d(2, eps=0), "BatchNorm2d's eps is 0, but must be positive"),
        (lambda: nn.BatchNorm2d(2, momentum=0), "momentum is 0"),
        (lambda: nn.BatchNorm2d(2, momentum=1.5), r"momentum is 1\.5"),
        (lambda: nn.LayerNorm((3, 0)), r"LayerNorm's normalized_shape is \(3, 0\)"),
        (lambda: nn.LayerNorm(()), r"LayerNorm's normalized_shape is \(\)"),
        (lambda: nn.LayerNorm(3, eps=-1), "LayerNorm's eps is -1"),
    ],
)
def test_settings_that_cannot_be_are_refused(make, message):
    with pytest.raises(ConfigError, match=message):
        make()


@pytest.mark.parametrize(
    ("layer", "shape", "message"),
    [
        (nn.BatchNorm1d(3), (4, 2), r"BatchNorm1d: x has shape \(4, 2\), but must be \(N, 3\)"),
        (nn.BatchNorm1d(3), (4, 3, 2, 2), r"must be \(N, 3\)"),
        (nn.BatchNorm2d(3), (4, 3), r"BatchNorm2d: x has shape \(4, 3\), but must be \(N, 3, H, W\)"),
        (nn.LayerNorm((2, 3)), (4, 3, 2), r"LayerNorm: x has shape \(4, 3, 2\), but must end in \(2, 3\)"),
        (nn.LayerNorm(3), (3,), r"x has shape \(3,\)"),
    ],
)
def test_inputs_that_do_not_fit_are_refused(layer, shape, message):
    with pytest.raises(ShapeError, match=message):
        layer.forward(np.zeros(shape, np.float32))
    with pytest.raises(ShapeError, match="but gets"):
        layer.output_shape(shape[1:])


@pytest.mark.parametrize("layer", [nn.BatchNorm1d(2), nn.LayerNorm(2)])
def test_another_dtype_is_refused(layer):
    with pytest.raises(DtypeError, match="x is float64, but the parameters are float32"):
        layer.forward(X.astype(np.float64))


@pytest.mark.parametrize("order", ["NCHW", "NHWC"])
def test_statistics_of_many_values_keep_float32s_digits(order):
    """Both sum 25,000 values for each channel. The error of a float32 sum would decide about the sign of many."""
    x = np.abs(np.random.default_rng(0).standard_normal((128, 14, 14, 8))).astype("f4") * 3
    x = x.transpose(0, 3, 1, 2) if order == "NHWC" else np.ascontiguousarray(x.transpose(0, 3, 1, 2))
    _, cache = normalize(x, np.ones((1, 8, 1, 1), "f4"), np.zeros((1, 8, 1, 1), "f4"), (0, 2, 3), 1e-5)
    exact = x.astype(np.float64)
    assert cache.mean.dtype == cache.var.dtype == np.float32
    assert np.allclose(cache.mean, exact.mean((0, 2, 3), keepdims=True), rtol=2e-7, atol=0)
    assert np.allclose(cache.var, exact.var((0, 2, 3), keepdims=True), rtol=4e-7, atol=0)
