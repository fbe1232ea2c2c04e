import numpy as np
import pytest

from minikd import nn
from minikd.errors import ConfigError

ONES = np.ones((40, 50), np.float32)


def drop(rate, seed=0, x=ONES):
    return nn.Dropout(rate).forward(x, True, np.random.default_rng(seed))[0]


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.9])
def test_the_share_dropped_is_the_rate_and_the_mean_stays(rate):
    y = drop(rate)
    deviation = np.sqrt(rate * (1 - rate) / y.size)
    assert abs((y == 0).mean() - rate) < 4 * deviation
    assert set(np.unique(y)) == {np.float32(0), np.float32(1 / (1 - rate))}


def test_the_same_generator_draws_the_same_mask_and_another_one_another():
    assert np.array_equal(drop(0.5, seed=3), drop(0.5, seed=3))
    assert not np.array_equal(drop(0.5, seed=3), drop(0.5, seed=4))


def test_a_generator_goes_on_from_step_to_step():
    layer, rng = nn.Dropout(0.5), np.random.default_rng(0)
    assert not np.array_equal(layer.forward(ONES, True, rng)[0], layer.forward(ONES, True, rng)[0])


def test_the_mask_does_not_depend_on_the_dtype():
    assert np.array_equal(drop(0.5) == 0, drop(0.5, x=ONES.astype(np.float64)) == 0)


def test_evaluation_is_the_identity_in_both_passes_and_draws_nothing():
    layer, rng = nn.Dropout(0.5), np.random.default_rng(0)
    before = rng.bit_generator.state
    y, cache = layer.forward(ONES, False, rng)
    assert np.array_equal(y, ONES)
    assert np.array_equal(layer.backward(3 * ONES, cache)[0], 3 * ONES)
    assert rng.bit_generator.state == before


def test_the_gradient_takes_the_mask_of_its_forward_pass():
    layer = nn.Dropout(0.5)
    y, cache = layer.forward(ONES, True, np.random.default_rng(0))
    assert np.array_equal(layer.backward(5 * ONES, cache)[0], 5 * y)


def test_training_without_a_generator_is_refused_with_the_fix():
    with pytest.raises(ConfigError, match=r"pass forward\(x, training=True, rng=generator\)"):
        nn.Dropout(0.5).forward(ONES, training=True)
    assert np.array_equal(nn.Dropout(0.0).forward(ONES, training=True)[0], ONES)


@pytest.mark.parametrize("rate", [-0.1, 1.0, float("nan")])
def test_a_rate_that_cannot_be_is_refused(rate):
    with pytest.raises(ConfigError, match=f"p is {rate}, but must be at least 0 and less than 1"):
        nn.Dropout(rate)
