import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import rel_entr
from scipy.special import softmax as scipys_softmax

from minikd.errors import ConfigError, DtypeError, ShapeError
from minikd.losses import kl_divergence
from tests.losses.logits import logits, many, temperatures

STUDENT, TEACHER = np.log(np.array([[1.0, 3.0]])), np.log(np.array([[1.0, 1.0]]))  # q = (1/4, 3/4), p = (1/2, 1/2)


def rounding(z, T):
    """How far a loss computed in z's dtype may be off: T² times what logarithms of softmax lose."""
    return 4 * z.shape[1] * np.finfo(z.dtype).eps * T * T * (1 + np.abs(z).max() / T)


def test_by_hand():
    loss, dz = kl_divergence(STUDENT, TEACHER, 1.0)
    assert loss == pytest.approx((np.log(2) + np.log(2 / 3)) / 2, rel=1e-14)
    np.testing.assert_allclose(dz, [[-0.25, 0.25]], rtol=1e-14)


def test_a_temperature_by_hand():
    """Logits twice as far apart at T = 2 are the same probabilities; the loss is T² = 4 times, the gradient T = 2."""
    loss, dz = kl_divergence(2 * STUDENT, 2 * TEACHER, 2.0)
    assert loss == pytest.approx(2 * (np.log(2) + np.log(2 / 3)), rel=1e-14)
    np.testing.assert_allclose(dz, [[-0.5, 0.5]], rtol=1e-14)


def test_the_teacher_comes_first_in_the_divergence():
    """It is not symmetric: the other way round, Σ q log(q/p) is another number."""
    assert kl_divergence(STUDENT, TEACHER, 1.0)[0] != pytest.approx(kl_divergence(TEACHER, STUDENT, 1.0)[0], rel=0.05)


@many
@given(logits(count=2, dtypes=["float64"]), temperatures)
def test_it_is_scipys_relative_entropy(pair, T):
    z, v = np.clip(pair[0], -300 * T, 300 * T), pair[1]  # within them no q underflows, which scipy needs
    p, q = scipys_softmax(v / T, 1), scipys_softmax(z / T, 1)
    loss, dz = kl_divergence(z, v, T)
    assert loss == pytest.approx(T * T * rel_entr(p, q).sum() / len(z), rel=1e-6, abs=rounding(np.hstack(pair), T))
    np.testing.assert_allclose(dz, T * (q - p) / len(z), rtol=1e-6, atol=1e-10 * T)


@many
@given(logits(count=2), temperatures)
def test_finite_of_the_logits_dtype_and_never_negative_beyond_rounding(pair, T):
    z, v = pair
    loss, dz = kl_divergence(z, v, T)
    assert loss.dtype == dz.dtype == z.dtype
    assert np.isfinite(loss)
    assert np.isfinite(dz).all()
    assert loss >= -rounding(np.hstack(pair), T)
    assert abs(dz.sum(1)).max() <= 1e-5 * T


@many
@given(logits(most=50, dtypes=["float64"]), temperatures)
def test_zero_where_the_student_matches_up_to_a_constant_in_each_row(v, T):
    loss, dz = kl_divergence(v + 3.0 * np.arange(len(v))[:, None], v, T)
    assert abs(loss) <= rounding(v + 12, T)
    assert abs(dz).max() <= 1e-11 * max(1.0, T)


@many
@given(st.integers(2, 6), st.floats(0.1, 5), st.sampled_from([0.5, 1.0, 4.0, 20.0]))
def test_positive_where_it_does_not(classes, gap, T):
    v = np.zeros((1, classes))
    z = v.copy()
    z[0, -1] = gap
    assert kl_divergence(z, v, T)[0] > 1e-4
    assert kl_divergence(z, v, T)[1][0, -1] > 1e-4


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_at_high_temperature_the_gradient_matches_centred_logits(dtype):
    """Hinton et al. 2015, equation 4; in float32 at T = 1000 too."""
    z, v = np.random.default_rng(0).standard_normal((2, 5, 7)).astype(dtype)
    gap = (z - z.mean(1, keepdims=True)) - (v - v.mean(1, keepdims=True))
    np.testing.assert_allclose(kl_divergence(z, v, 1000.0)[1], gap / (5 * 7), rtol=0.01, atol=1e-4)


@pytest.mark.parametrize("temperature", [0.0, -4.0, np.nan, np.inf])
def test_a_temperature_that_cannot_be_is_refused(temperature):
    with pytest.raises(ConfigError, match=f"temperature is {temperature}, but must be a positive number"):
        kl_divergence(STUDENT, TEACHER, temperature)


def test_logits_that_do_not_belong_together_are_refused():
    with pytest.raises(ShapeError, match=r"student_logits has shape \(1, 2\), but teacher_logits has \(2, 1\)"):
        kl_divergence(STUDENT, TEACHER.T)
    with pytest.raises(DtypeError, match=r"student_logits is float64, but teacher_logits is float32"):
        kl_divergence(STUDENT, TEACHER.astype(np.float32))
    with pytest.raises(ShapeError, match=r"student_logits has shape \(0, 2\)"):
        kl_divergence(STUDENT[:0], TEACHER[:0])
