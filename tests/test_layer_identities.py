"""What a gradient check cannot see in a layer: a forward pass wrong together with its backward pass; and ties."""

import copy
import math
import pickle

import numpy as np

from minikd import nn
from minikd.nn.folding import folded


def seeded():
    return np.random.default_rng(0)


def test_convolution_is_the_sum_over_the_window():
    """y = b + Σ x̄ w, with the kernel as it lies (cross-correlation), one output at a time."""
    for groups in (1, 2):
        layer = nn.Conv2d(4, 6, (3, 2), seeded(), (2, 1), (1, 2), (1, 2), groups).astype("float64")
        layer.params["bias"][:] = np.arange(6)
        x = seeded().standard_normal((2, 4, 7, 6))
        y, _ = layer.forward(x)
        padded, w = np.pad(x, ((0, 0), (0, 0), (1, 1), (2, 2))), layer.params["weight"]
        for n, o, p, q in np.ndindex(*y.shape):
            first = o // (6 // groups) * (4 // groups)
            window = padded[n, first : first + 4 // groups, 2 * p : 2 * p + 3, q : q + 3 : 2]
            assert math.isclose(y[n, o, p, q], (window * w[o]).sum() + o, rel_tol=1e-9, abs_tol=1e-12)


def test_max_pooling_takes_the_largest_pixel_and_never_the_padding():
    x = -1 - seeded().random((2, 3, 5, 4))
    y, _ = nn.MaxPool2d((3, 2), (2, 1), (1, 1)).forward(x)
    padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)), constant_values=-np.inf)
    for n, c, p, q in np.ndindex(*y.shape):
        assert y[n, c, p, q] == padded[n, c, 2 * p : 2 * p + 3, q : q + 2].max()


def test_of_equal_pixels_the_first_gets_the_whole_gradient():
    layer = nn.MaxPool2d(2)
    x = np.zeros((1, 1, 4, 4))
    x[0, 0, 2:, 2:] = [[1, 2], [2, 0]]
    dx, _ = layer.backward(np.array([[[[1.0, 2.0], [3.0, 4.0]]]]), layer.forward(x)[1])
    assert np.array_equal(dx[0, 0], [[1, 0, 2, 0], [0, 0, 0, 0], [3, 0, 0, 4], [0, 0, 0, 0]])


def test_a_window_of_nothing_but_minus_infinity_gives_its_gradient_to_its_first_pixel():
    layer = nn.MaxPool2d(2, 2, 1)
    dx, _ = layer.backward(np.ones((1, 1, 3, 3)), layer.forward(np.full((1, 1, 4, 4), -np.inf))[1])
    assert np.array_equal(dx[0, 0], [[1, 1, 0, 1], [1, 1, 0, 1], [0, 0, 0, 0], [1, 1, 0, 1]])


def test_average_pooling_divides_by_the_whole_window():
    x = np.ones((1, 1, 4, 4))
    y, _ = nn.AvgPool2d(2, 2, 1).forward(x)
    assert np.array_equal(y[0, 0], [[0.25, 0.5, 0.25], [0.5, 1, 0.5], [0.25, 0.5, 0.25]])


def test_dropout_keeps_the_mean_and_scales_what_it_keeps():
    x = np.ones((100, 100))
    y, _ = nn.Dropout(0.4).forward(x, True, seeded())
    assert np.allclose(np.unique(y), [0, 1 / 0.6])
    assert abs(y.mean() - 1) < 0.02
    assert nn.Dropout(0.4).forward(x)[0] is x


def test_batch_norm_normalises_each_channel_and_evaluates_with_what_it_remembers():
    layer, x = nn.BatchNorm2d(3).astype("float64"), 5 + 3 * seeded().standard_normal((4, 3, 7, 6))
    y, _ = layer.forward(x, training=True)
    assert np.allclose(y.mean((0, 2, 3)), 0, atol=1e-12)
    assert np.allclose(y.var((0, 2, 3)), 1, atol=1e-4)
    layer.state["running_mean"][:], layer.state["running_var"][:] = [1, 2, 3], [4, 9, 16]
    y, _ = layer.forward(x)
    assert np.allclose(y[:, 1], (x[:, 1] - 2) / math.sqrt(9 + 1e-5))


def test_layer_norm_normalises_each_sample():
    x = 5 + 3 * seeded().standard_normal((4, 9))
    y, _ = nn.LayerNorm(9).astype("float64").forward(x)
    assert np.allclose(y.mean(1), 0, atol=1e-12)
    assert np.allclose(y.var(1), 1, atol=1e-4)


def test_gelu_is_the_exact_one():
    x = np.linspace(-4, 4, 81)
    y, _ = nn.GELU().forward(x)
    assert np.allclose(y, [t * 0.5 * math.erfc(-t / math.sqrt(2)) for t in x], rtol=1e-13, atol=1e-15)


def test_a_copied_chain_answers_by_the_vector_that_is_trained():
    model = nn.Sequential(nn.Linear(3, 2, seeded()), nn.Residual(nn.Linear(2, 2, seeded())))
    x = np.ones((1, 3), np.float32)
    for twin in (copy.copy(model), copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        twin.vector[:] = 0
        assert not twin(x).any()
    assert model(x).any()


def test_flatten_reads_rows_first():
    x = np.asfortranarray(np.arange(24.0).reshape(2, 3, 2, 2))
    assert np.array_equal(nn.Flatten().forward(x)[0], np.arange(24.0).reshape(2, 12))


def test_batch_norm_that_is_folded_away_changes_no_output():
    """w' = s w, b' = s (b - μ) + β with s = γ/sqrt(σ² + ε), where none of them is what it was before any training."""
    rng, x = seeded(), seeded().standard_normal((7, 6))
    for eps in (1e-5, 0.5):
        model = nn.Sequential(
            *(nn.Linear(6, 5, rng), nn.BatchNorm1d(5, eps), nn.ReLU()),
            *(nn.Linear(5, 4, rng), nn.BatchNorm1d(4, eps), nn.BatchNorm1d(4), nn.Tanh(), nn.Linear(4, 3, rng)),
        ).astype("float64")
        model.vector[:] = rng.standard_normal(model.size)
        for name, value in model.state.items():
            value[...] = rng.uniform(0.5, 2, value.shape) if "running" in name else 3
        found = folded(model)
        assert [type(layer).__name__ for layer in found.layers] == ["Linear", "ReLU", "Linear", "Tanh", "Linear"]
        np.testing.assert_allclose(found(x), model(x), rtol=1e-10, atol=1e-13)
