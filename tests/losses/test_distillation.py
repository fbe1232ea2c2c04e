import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minikd.errors import ConfigError, DataError, DtypeError, ShapeError
from minikd.losses import cross_entropy, distillation_loss, kl_divergence
from tests.losses.logits import labels_for, logits, many, temperatures

Z, V = np.random.default_rng(0).standard_normal((2, 4, 6))
LABELS = labels_for(Z)


def same(one, two):
    return np.array_equal(one[0], two[0]) and np.array_equal(one[1], two[1])


@pytest.mark.parametrize("temperature", [0.5, 4.0])
def test_alpha_one_is_the_divergence_alone_and_alpha_zero_the_labels_alone(temperature):
    assert same(distillation_loss(Z, V, LABELS, temperature, 1.0), kl_divergence(Z, V, temperature))
    assert same(distillation_loss(Z, V, LABELS, temperature, 0.0), cross_entropy(Z, LABELS))


def test_by_hand():
    """p = (1/2, 1/2), q = (1/4, 3/4), label 0, T = 1, α = 1/4: the gradient is (q - p)/4 + 3(q - t)/4."""
    z, v = np.log([[1.0, 3.0]]), np.zeros((1, 2))
    loss, dz = distillation_loss(z, v, np.array([0]), 1.0, 0.25)
    assert loss == pytest.approx(0.25 * np.log(4 / 3) / 2 + 0.75 * np.log(4), rel=1e-14)
    np.testing.assert_allclose(dz, [[-0.25 / 4 - 3 * 0.75 / 4, 0.25 / 4 + 3 * 0.75 / 4]], rtol=1e-14)


def test_the_defaults_are_those_of_the_contract():
    assert same(distillation_loss(Z, V, LABELS), distillation_loss(Z, V, LABELS, temperature=4.0, alpha=0.9))


def test_soft_labels_are_labels_too():
    soft = np.eye(6)[LABELS]
    for found, wanted in zip(distillation_loss(Z, V, LABELS), distillation_loss(Z, V, soft), strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-14, atol=1e-16)  # a compiled loop may round otherwise


@many
@given(logits(count=2), temperatures, st.floats(0, 1))
def test_finite_of_the_logits_dtype_and_without_a_sum_over_the_classes(pair, T, alpha):
    z, v = pair
    loss, dz = distillation_loss(z, v, labels_for(z), T, alpha)
    assert loss.dtype == dz.dtype == z.dtype
    assert np.isfinite(loss)
    assert np.isfinite(dz).all()
    assert abs(dz.sum(1)).max() <= 1e-5 * max(T, 1)


@pytest.mark.parametrize("alpha", [-0.1, 1.1, np.nan])
def test_an_alpha_outside_zero_to_one_is_refused(alpha):
    with pytest.raises(ConfigError, match=f"alpha is {alpha}, but must be from 0 to 1"):
        distillation_loss(Z, V, LABELS, alpha=alpha)


@pytest.mark.parametrize("alpha", [0.0, 0.5, 1.0])
def test_what_a_term_refuses_is_refused_whatever_its_weight(alpha):
    with pytest.raises(ConfigError, match="temperature is 0"):
        distillation_loss(Z, V, LABELS, 0, alpha)
    with pytest.raises(DataError, match="label 6 of sample 0"):
        distillation_loss(Z, V, LABELS + np.array([4, 0, 0, 0]), 4.0, alpha)
    with pytest.raises(ShapeError, match="teacher_logits"):
        distillation_loss(Z, V[:3], LABELS, 4.0, alpha)
    with pytest.raises(DtypeError, match="teacher_logits is float32"):
        distillation_loss(Z, V.astype(np.float32), LABELS, 4.0, alpha)
