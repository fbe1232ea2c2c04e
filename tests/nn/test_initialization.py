import numpy as np
import pytest

from minikd import nn
from minikd.errors import ConfigError
from minikd.nn.initialization import glorot, he


def rng():
    return np.random.default_rng(0)


@pytest.mark.parametrize("fan_in", [10, 400])
def test_he_draws_normal_weights_of_variance_two_over_fan_in(fan_in):
    w = he(rng(), (40_000,), fan_in)
    assert w.dtype == np.float32
    assert w.var() == pytest.approx(2 / fan_in, rel=0.03)  # 4 standard errors: 4·√(2/40,000)
    assert abs(w.mean()) < 4 * np.sqrt(2 / fan_in / w.size)
    assert (np.abs(w) > 2 * w.std()).mean() == pytest.approx(0.0455, abs=0.005)


def test_glorot_draws_even_weights_of_variance_two_over_both_fans():
    w = glorot(rng(), (40_000,), 30, 50)
    assert w.dtype == np.float32
    assert w.var() == pytest.approx(2 / 80, rel=0.03)
    assert 0.99 < np.abs(w).max() / np.sqrt(6 / 80) <= 1


@pytest.mark.parametrize(
    ("make", "variance"),
    [
        (lambda init: nn.Linear(50, 200, rng(), init=init), {"he": 2 / 50, "glorot": 2 / 250}),
        (lambda init: nn.Conv2d(8, 40, (3, 5), rng(), init=init), {"he": 2 / 120, "glorot": 2 / 720}),
        (lambda init: nn.Conv2d(8, 80, (3, 5), rng(), groups=2, init=init), {"he": 2 / 60, "glorot": 2 / 660}),
    ],
    ids=["Linear", "Conv2d", "Conv2d, groups"],
)
@pytest.mark.parametrize("init", ["he", "glorot"])
def test_a_layer_counts_the_inputs_and_outputs_of_one_unit(make, variance, init):
    layer = make(init)
    assert layer.params["weight"].var() == pytest.approx(variance[init], rel=0.08)
    assert not layer.params["bias"].any()


def test_the_same_generator_gives_the_same_weights():
    one, two = (nn.Linear(3, 4, rng()).params["weight"] for _ in range(2))
    assert np.array_equal(one, two)


def test_a_forgotten_generator_is_named():
    with pytest.raises(ConfigError, match=r"rng is 2, but must be a generator, such as np\.random\.default_rng\(0\)"):
        nn.Conv2d(1, 4, 3, 2)
